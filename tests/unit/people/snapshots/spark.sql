-- people
SELECT CAST(`country` AS STRING) AS `country`, CAST(`language` AS STRING) AS `language`, _people FROM (SELECT `country`, `language`, CAST(least(sum(_people), 4611686018427387904) AS BIGINT) AS _people FROM (SELECT `country`, `language`, 1 AS _people FROM (WITH alike AS (SELECT person, `country`, `language`, count(*) AS _n FROM `events` GROUP BY person, `country`, `language`) SELECT * FROM (SELECT * FROM (SELECT person, (min(struct(-_n AS less, _value IS NULL AS missing, _value AS value))).value AS `country` FROM (SELECT person, `country` AS _value, CAST(sum(_n) AS BIGINT) AS _n FROM alike GROUP BY person, `country`) GROUP BY person) JOIN (SELECT person, coalesce((min(struct(-_n AS less, _value IS NULL AS missing, _value AS value)) FILTER (WHERE _value IS NOT NULL)).value, 'unknown') AS `language` FROM (SELECT person, `language` AS _value, CAST(sum(_n) AS BIGINT) AS _n FROM alike GROUP BY person, `language`) GROUP BY person) USING (person)) WHERE person IS NOT NULL)) GROUP BY `country`, `language` HAVING sum(_people) > 0) ORDER BY 1 NULLS LAST, 2 NULLS LAST;

-- people with events and sums
SELECT CAST(`country` AS STRING) AS `country`, _people, _m0, _m1, _m2, _m3 FROM (SELECT `country`, CAST(least(sum(_people), 4611686018427387904) AS BIGINT) AS _people, CAST(least(sum(CAST(_m0 AS DECIMAL(38, 0))), 4611686018427387904) AS BIGINT) AS _m0, CAST(least(sum(CAST(_m1 AS DECIMAL(38, 0))), 4611686018427387904) AS BIGINT) AS _m1, CAST(least(sum(CAST(_m2 AS DECIMAL(38, 0))), 4611686018427387904) AS BIGINT) AS _m2, CAST(least(sum(CAST(_m3 AS DECIMAL(38, 0))), 4611686018427387904) AS BIGINT) AS _m3 FROM (SELECT `country`, 1 AS _people, coalesce(_m0, 0) AS _m0, coalesce(_m1, 0) AS _m1, coalesce(_m2, 0) AS _m2, coalesce(_m3, 0) AS _m3 FROM (WITH alike AS (SELECT person, `country`, count(*) AS _n FROM `events` GROUP BY person, `country`) SELECT * FROM (SELECT person, (min(struct(-_n AS less, _value IS NULL AS missing, _value AS value))).value AS `country` FROM (SELECT person, `country` AS _value, CAST(sum(_n) AS BIGINT) AS _n FROM alike GROUP BY person, `country`) GROUP BY person) WHERE person IS NOT NULL) LEFT JOIN (SELECT person, CAST(greatest(0, least(coalesce(sum(CAST(`amount` AS DECIMAL(38, 0))), 0), 50)) AS BIGINT) AS _m0, CAST(greatest(0, least(coalesce(sum(CAST(`amount` AS DECIMAL(38, 0))), 0), 70)) AS BIGINT) AS _m1, CAST(greatest(0, least(count(*), 3)) AS BIGINT) AS _m2, CAST(greatest(0, least(count(*), 4)) AS BIGINT) AS _m3 FROM `events` GROUP BY person) USING (person)) GROUP BY `country` HAVING sum(_people) > 0) ORDER BY 1 NULLS LAST;

-- groups
SELECT CAST(`section` AS STRING) AS `section`, _people FROM (SELECT `section`, CAST(least(sum(_people), 4611686018427387904) AS BIGINT) AS _people FROM (
        WITH pairs AS (SELECT person, e.`section` FROM `events` AS e GROUP BY person, e.`section`),
        crowded AS (SELECT person FROM pairs GROUP BY person HAVING count(*) > 2),
        ordered AS (
        SELECT `section`, row_number() OVER so_far AS _rank
        FROM pairs SEMI JOIN crowded USING (person)
        WINDOW so_far AS (
            PARTITION BY person ORDER BY sha2(concat_ws(chr(31), (SELECT secret FROM bounding_secret), CAST(person AS STRING), `section`), 256), `section` NULLS LAST
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ))
        SELECT `section`, 1 AS _people FROM pairs WHERE person IS NOT NULL
        UNION ALL SELECT `section`, CASE WHEN _rank > 2 THEN -1 ELSE 0 END FROM ordered WHERE _rank > 2) GROUP BY `section` HAVING sum(_people) > 0) ORDER BY 1 NULLS LAST;

-- groups with events and sums
SELECT CAST(`section` AS STRING) AS `section`, _people, _m0, _m1, _m2, _m3 FROM (SELECT `section`, CAST(least(sum(_people), 4611686018427387904) AS BIGINT) AS _people, CAST(least(sum(CAST(_m0 AS DECIMAL(38, 0))), 4611686018427387904) AS BIGINT) AS _m0, CAST(least(sum(CAST(_m1 AS DECIMAL(38, 0))), 4611686018427387904) AS BIGINT) AS _m1, CAST(least(sum(CAST(_m2 AS DECIMAL(38, 0))), 4611686018427387904) AS BIGINT) AS _m2, CAST(least(sum(CAST(_m3 AS DECIMAL(38, 0))), 4611686018427387904) AS BIGINT) AS _m3 FROM (
        WITH pairs AS (SELECT person, e.`section`, CAST(greatest(0, least(coalesce(sum(CAST(`amount` AS DECIMAL(38, 0))), 0), 50)) AS BIGINT) AS _m0, CAST(greatest(0, least(coalesce(sum(CAST(`amount` AS DECIMAL(38, 0))), 0), 70)) AS BIGINT) AS _m1, CAST(greatest(0, least(count(*), 3)) AS BIGINT) AS _m2, CAST(greatest(0, least(count(*), 4)) AS BIGINT) AS _m3 FROM `events` AS e GROUP BY person, e.`section`),
        crowded AS (SELECT person FROM pairs GROUP BY person HAVING count(*) > 2 OR sum(CAST(_m1 AS DECIMAL(38, 0))) > 70 OR sum(CAST(_m3 AS DECIMAL(38, 0))) > 4),
        ordered AS (
        SELECT `section`, _m0, _m1, _m2, _m3, row_number() OVER so_far AS _rank, sum(CAST(_m0 AS DECIMAL(38, 0))) OVER so_far AS _m0_so_far, sum(CAST(_m1 AS DECIMAL(38, 0))) OVER so_far AS _m1_so_far, sum(CAST(_m2 AS DECIMAL(38, 0))) OVER so_far AS _m2_so_far, sum(CAST(_m3 AS DECIMAL(38, 0))) OVER so_far AS _m3_so_far
        FROM pairs SEMI JOIN crowded USING (person)
        WINDOW so_far AS (
            PARTITION BY person ORDER BY sha2(concat_ws(chr(31), (SELECT secret FROM bounding_secret), CAST(person AS STRING), `section`), 256), `section` NULLS LAST
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ))
        SELECT `section`, 1 AS _people, _m0, _m1, _m2, _m3 FROM pairs WHERE person IS NOT NULL
        UNION ALL SELECT `section`, CASE WHEN _rank > 2 THEN -1 ELSE 0 END, -CASE WHEN _rank > 2 THEN _m0 ELSE 0 END, -CASE WHEN _rank > 2 THEN _m1 ELSE least(_m1, greatest(0, _m1_so_far - 70)) END, -CASE WHEN _rank > 2 THEN _m2 ELSE 0 END, -CASE WHEN _rank > 2 THEN _m3 ELSE least(_m3, greatest(0, _m3_so_far - 4)) END FROM ordered WHERE _rank > 2 OR _m1_so_far > 70 OR _m3_so_far > 4) GROUP BY `section` HAVING sum(_people) > 0) ORDER BY 1 NULLS LAST;

-- people by groups with sums over all groups
-- folded_people
WITH alike AS (SELECT person, `country`, `language`, count(*) AS _n FROM `events` GROUP BY person, `country`, `language`) SELECT * FROM (SELECT * FROM (SELECT person, (min(struct(-_n AS less, _value IS NULL AS missing, _value AS value))).value AS `country` FROM (SELECT person, `country` AS _value, CAST(sum(_n) AS BIGINT) AS _n FROM alike GROUP BY person, `country`) GROUP BY person) JOIN (SELECT person, coalesce((min(struct(-_n AS less, _value IS NULL AS missing, _value AS value)) FILTER (WHERE _value IS NOT NULL)).value, 'unknown') AS `language` FROM (SELECT person, `language` AS _value, CAST(sum(_n) AS BIGINT) AS _n FROM alike GROUP BY person, `language`) GROUP BY person) USING (person)) WHERE person IS NOT NULL;

SELECT CAST(`country` AS STRING) AS `country`, CAST(`section` AS STRING) AS `section`, _people, _m0, _m1 FROM (SELECT `country`, `section`, CAST(least(sum(_people), 4611686018427387904) AS BIGINT) AS _people, CAST(least(sum(CAST(_m0 AS DECIMAL(38, 0))), 4611686018427387904) AS BIGINT) AS _m0, CAST(least(sum(CAST(_m1 AS DECIMAL(38, 0))), 4611686018427387904) AS BIGINT) AS _m1 FROM (
        WITH pairs AS (SELECT person, p.`country`, e.`section`, CAST(greatest(0, least(coalesce(sum(CAST(`amount` AS DECIMAL(38, 0))), 0), 50)) AS BIGINT) AS _m0, CAST(greatest(0, least(coalesce(sum(CAST(`amount` AS DECIMAL(38, 0))), 0), 70)) AS BIGINT) AS _m1 FROM `events` AS e JOIN (SELECT * FROM folded_people) AS p USING (person) GROUP BY person, p.`country`, e.`section`),
        crowded AS (SELECT person FROM pairs GROUP BY person HAVING count(*) > 3 OR sum(CAST(_m1 AS DECIMAL(38, 0))) > 70),
        ordered AS (
        SELECT `country`, `section`, _m0, _m1, row_number() OVER so_far AS _rank, sum(CAST(_m0 AS DECIMAL(38, 0))) OVER so_far AS _m0_so_far, sum(CAST(_m1 AS DECIMAL(38, 0))) OVER so_far AS _m1_so_far
        FROM pairs SEMI JOIN crowded USING (person)
        WINDOW so_far AS (
            PARTITION BY person ORDER BY sha2(concat_ws(chr(31), (SELECT secret FROM bounding_secret), CAST(person AS STRING), `country`, `section`), 256), `country` NULLS LAST, `section` NULLS LAST
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ))
        SELECT `country`, `section`, 1 AS _people, _m0, _m1 FROM pairs WHERE person IS NOT NULL
        UNION ALL SELECT `country`, `section`, CASE WHEN _rank > 3 THEN -1 ELSE 0 END, -CASE WHEN _rank > 3 THEN _m0 ELSE 0 END, -CASE WHEN _rank > 3 THEN _m1 ELSE least(_m1, greatest(0, _m1_so_far - 70)) END FROM ordered WHERE _rank > 3 OR _m1_so_far > 70) GROUP BY `country`, `section` HAVING sum(_people) > 0) ORDER BY 1 NULLS LAST, 2 NULLS LAST;

-- people by groups with sums over all groups
-- folded_people
WITH alike AS (SELECT person, `country`, `language`, count(*) AS _n FROM `events` GROUP BY person, `country`, `language`) SELECT * FROM (SELECT * FROM (SELECT person, (min(struct(-_n AS less, _value IS NULL AS missing, _value AS value))).value AS `country` FROM (SELECT person, `country` AS _value, CAST(sum(_n) AS BIGINT) AS _n FROM alike GROUP BY person, `country`) GROUP BY person) JOIN (SELECT person, coalesce((min(struct(-_n AS less, _value IS NULL AS missing, _value AS value)) FILTER (WHERE _value IS NOT NULL)).value, 'unknown') AS `language` FROM (SELECT person, `language` AS _value, CAST(sum(_n) AS BIGINT) AS _n FROM alike GROUP BY person, `language`) GROUP BY person) USING (person)) WHERE person IS NOT NULL;

SELECT CAST(`country` AS STRING) AS `country`, CAST(`language` AS STRING) AS `language`, _people FROM (SELECT `country`, `language`, CAST(least(sum(_people), 4611686018427387904) AS BIGINT) AS _people FROM (SELECT `country`, `language`, 1 AS _people FROM (SELECT * FROM folded_people)) GROUP BY `country`, `language` HAVING sum(_people) > 0) ORDER BY 1 NULLS LAST, 2 NULLS LAST;

-- groups that only some events are of
SELECT CAST(`entry_section` AS STRING) AS `entry_section`, _people, _m0 FROM (SELECT `entry_section`, CAST(least(sum(_people), 4611686018427387904) AS BIGINT) AS _people, CAST(least(sum(CAST(_m0 AS DECIMAL(38, 0))), 4611686018427387904) AS BIGINT) AS _m0 FROM (
        WITH pairs AS (SELECT person, e.`entry_section`, CAST(greatest(0, least(count(*), 3)) AS BIGINT) AS _m0 FROM `events` AS e WHERE e.`entry_section` IS NOT NULL GROUP BY person, e.`entry_section`),
        crowded AS (SELECT person FROM pairs GROUP BY person HAVING count(*) > 1),
        ordered AS (
        SELECT `entry_section`, _m0, row_number() OVER so_far AS _rank, sum(CAST(_m0 AS DECIMAL(38, 0))) OVER so_far AS _m0_so_far
        FROM pairs SEMI JOIN crowded USING (person)
        WINDOW so_far AS (
            PARTITION BY person ORDER BY sha2(concat_ws(chr(31), (SELECT secret FROM bounding_secret), CAST(person AS STRING), `entry_section`), 256), `entry_section` NULLS LAST
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ))
        SELECT `entry_section`, 1 AS _people, _m0 FROM pairs WHERE person IS NOT NULL
        UNION ALL SELECT `entry_section`, CASE WHEN _rank > 1 THEN -1 ELSE 0 END, -CASE WHEN _rank > 1 THEN _m0 ELSE 0 END FROM ordered WHERE _rank > 1) GROUP BY `entry_section` HAVING sum(_people) > 0) ORDER BY 1 NULLS LAST;

-- private keys by what only some people are known by
SELECT CAST(`referrer_domain` AS STRING) AS `referrer_domain`, CAST(`language` AS STRING) AS `language`, _people, _m0 FROM (SELECT `referrer_domain`, `language`, CAST(least(sum(_people), 4611686018427387904) AS BIGINT) AS _people, CAST(least(sum(CAST(_m0 AS DECIMAL(38, 0))), 4611686018427387904) AS BIGINT) AS _m0 FROM (
        WITH pairs AS (SELECT person, e.`referrer_domain`, p.`language`, CAST(greatest(0, least(count(*), 4)) AS BIGINT) AS _m0 FROM `events` AS e JOIN (WITH alike AS (SELECT person, `language`, count(*) AS _n FROM `events` GROUP BY person, `language`) SELECT * FROM (SELECT person, coalesce((min(struct(-_n AS less, _value IS NULL AS missing, _value AS value)) FILTER (WHERE _value IS NOT NULL)).value, 'unknown') AS `language` FROM (SELECT person, `language` AS _value, CAST(sum(_n) AS BIGINT) AS _n FROM alike GROUP BY person, `language`) GROUP BY person) WHERE person IS NOT NULL) AS p USING (person) GROUP BY person, e.`referrer_domain`, p.`language`),
        crowded AS (SELECT person FROM pairs GROUP BY person HAVING count(*) > 2 OR sum(CAST(_m0 AS DECIMAL(38, 0))) > 4),
        ordered AS (
        SELECT `referrer_domain`, `language`, _m0, row_number() OVER so_far AS _rank, sum(CAST(_m0 AS DECIMAL(38, 0))) OVER so_far AS _m0_so_far
        FROM pairs SEMI JOIN crowded USING (person)
        WINDOW so_far AS (
            PARTITION BY person ORDER BY sha2(concat_ws(chr(31), (SELECT secret FROM bounding_secret), CAST(person AS STRING), `referrer_domain`, `language`), 256), `referrer_domain` NULLS LAST, `language` NULLS LAST
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ))
        SELECT `referrer_domain`, `language`, 1 AS _people, _m0 FROM pairs WHERE person IS NOT NULL
        UNION ALL SELECT `referrer_domain`, `language`, CASE WHEN _rank > 2 THEN -1 ELSE 0 END, -CASE WHEN _rank > 2 THEN _m0 ELSE least(_m0, greatest(0, _m0_so_far - 4)) END FROM ordered WHERE _rank > 2 OR _m0_so_far > 4) GROUP BY `referrer_domain`, `language` HAVING sum(_people) > 0) ORDER BY 1 NULLS LAST, 2 NULLS LAST;
