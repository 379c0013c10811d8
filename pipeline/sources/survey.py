"""What visitor logs look like as a whole, before anybody has described them: for a first site file, and for errors."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from pipeline.progress import Progress, silent
from pipeline.sources.domains import host_of, registered_domain
from pipeline.sources.engine import memory_engine
from pipeline.sources.formats import survey_fields
from pipeline.sources.logs import read_lines

MOST_PAIRS: Final = 2_000_000  # of (segment, address) and (origin, address); later ones are not counted
_MOST_SHOWN: Final = 50
_QUARTER: Final = 900  # offsets of time zones are whole quarters of an hour
_LANGUAGE: Final = r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*(?:\s*;\s*q=[01](?:\.[0-9]{0,3})?)?"
# A lone 'en' may be anything; a region, a second language or a quality makes it Accept-Language.
_LANGUAGES: Final = rf"{_LANGUAGE}(?:\s*,\s*(?:{_LANGUAGE}|\*(?:\s*;\s*q=[01](?:\.[0-9]*)?)?))*"
_WORD: Final = re.compile(r"[A-Za-z]+(?:-?[A-Za-z]+)*-?\d{0,4}")
_MOST_BITS: Final = 3.8  # per character, by the segment's own letters; random tokens of 20 letters have about 4


@dataclass(frozen=True)
class LogSurvey:
    """What a look at logs shows; held in memory only, and what is public about a site is for its owner to say.

    Attributes:
        lines: Lines read.
        matched: Lines of the combined format with a readable time.
        first_day: Day of the earliest line; None where no line matches.
        last_day: Day of the latest line.
        days: Lines a day, in the zone that was asked for, in order.
        trailing_fields: Quoted fields after the user agent, the most common number.
        accept_language_at: Which of them (from 0) looks like Accept-Language; None where none does.
        segments: First segments of paths that were answered and look like words, with the number of addresses that
            asked for them, most first. A word may still be a person's name: few addresses ask for that.
        referrer_domains: Registered domains of referrers, with the number of addresses that came from there, most
            first.
    """

    lines: int
    matched: int
    first_day: dt.date | None
    last_day: dt.date | None
    days: Mapping[dt.date, int]
    trailing_fields: int
    accept_language_at: int | None
    segments: Mapping[str, int]
    referrer_domains: Mapping[str, int]


def survey_logs(paths: Sequence[Path], zone: ZoneInfo, progress: Progress = silent) -> LogSurvey:
    """Look at logs.

    Raises:
        SourceError: A file is unreadable or a broken gzip, or all are empty.
    """
    with memory_engine("visitor logs") as engine:
        engine.execute("CREATE TEMP TABLE segments (value VARCHAR, visitor UBIGINT)")
        engine.execute("CREATE TEMP TABLE origins (value VARCHAR, visitor UBIGINT)")
        tally = _Tally()
        for lines in read_lines(paths, progress):
            _look_at(engine, lines, tally)
        return _survey(engine, tally, zone)


class _Tally:
    """Counts over all blocks."""

    def __init__(self) -> None:
        self.lines = 0
        self.quarters: Counter[int] = Counter()  # quarter of an hour since 1970 -> lines
        self.trailing: Counter[int] = Counter()  # quoted fields after the agent -> lines
        self.filled: Counter[int] = Counter()  # place of a trailing field -> lines where it is not '-'
        self.languages: Counter[int] = Counter()  # place of a trailing field -> lines where it looks like languages


def _look_at(engine: duckdb.DuckDBPyConnection, lines: pa.Table, tally: _Tally) -> None:
    engine.register("lines", lines)
    engine.execute(f"CREATE OR REPLACE TEMP TABLE looked AS {survey_fields()}")
    engine.unregister("lines")
    engine.execute("DELETE FROM looked WHERE address = '' OR moment IS NULL")
    tally.lines += lines.num_rows
    quarters = f"SELECT floor(epoch(moment) / {_QUARTER})::BIGINT AS place, count(*) FROM looked GROUP BY place"
    tally.quarters.update(dict(engine.execute(quarters).fetchall()))
    trailing = engine.execute("SELECT len(tail), count(*) FROM looked GROUP BY len(tail)").fetchall()
    tally.trailing.update(dict(trailing))
    if any(number for number, _ in trailing):
        for place, filled, languages in engine.execute(_TAIL, [_LANGUAGES]).fetchall():
            tally.filled[place] += filled
            tally.languages[place] += languages
    _remember(engine, "segments", "segment", "status BETWEEN '200' AND '399'")
    _remember(engine, "origins", "origin", "origin <> '-'")


# place: of a trailing field -> lines where it is filled, lines where it looks like languages
_TAIL: Final = """
    SELECT place, count(*), count(*) FILTER (regexp_full_match(value, ?) AND regexp_matches(value, '[-,;]'))
    FROM (SELECT unnest(tail) AS value, generate_subscripts(tail, 1) - 1 AS place FROM looked)
    WHERE value NOT IN ('', '-') GROUP BY place"""


def _remember(engine: duckdb.DuckDBPyConnection, table: str, column: str, condition: str) -> None:
    """Add the block's pairs of a value and an address (hashed, for its size) that are new."""
    if engine.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] < MOST_PAIRS:
        engine.execute(
            f"INSERT INTO {table} SELECT DISTINCT {column} AS value, hash(address) AS visitor FROM looked "
            f"ANTI JOIN {table} ON value = {column} AND visitor = hash(address) WHERE {column} <> '' AND {condition}"
        )


def _survey(engine: duckdb.DuckDBPyConnection, tally: _Tally, zone: ZoneInfo) -> LogSurvey:
    days: Counter[dt.date] = Counter()
    for quarter, count in sorted(tally.quarters.items()):
        days[dt.datetime.fromtimestamp(quarter * _QUARTER, zone).date()] += count
    return LogSurvey(
        lines=tally.lines,
        matched=days.total(),
        first_day=min(days, default=None),
        last_day=max(days, default=None),
        days=dict(days),
        trailing_fields=max(tally.trailing, key=lambda number: tally.trailing[number], default=0),
        accept_language_at=_accept_language_at(tally),
        segments=_segments(engine),
        referrer_domains=_referrer_domains(engine),
    )


def _accept_language_at(tally: _Tally) -> int | None:
    """The trailing field most of whose values look like languages; the first, if several do."""
    likely = [place for place, filled in sorted(tally.filled.items()) if 2 * tally.languages[place] > filled]
    return likely[0] if likely else None


def _segments(engine: duckdb.DuckDBPyConnection) -> dict[str, int]:
    rows = engine.execute("SELECT value, count(*) AS n FROM segments GROUP BY value ORDER BY n DESC, value").fetchall()
    return dict([(segment, count) for segment, count in rows if _is_word(segment)][:_MOST_SHOWN])


def _referrer_domains(engine: duckdb.DuckDBPyConnection) -> dict[str, int]:
    origins = [row[0] for row in engine.execute("SELECT DISTINCT value FROM origins").fetchall()]
    domains = [registered_domain(host_of(origin) or "") if origin.startswith("http") else None for origin in origins]
    engine.register(
        "named", pa.table({"value": pa.array(origins, pa.string()), "domain": pa.array(domains, pa.string())})
    )
    rows = engine.execute(
        "SELECT domain, count(DISTINCT visitor) AS n FROM origins JOIN named USING (value) "
        f"WHERE domain IS NOT NULL GROUP BY domain ORDER BY n DESC, domain LIMIT {_MOST_SHOWN}"
    ).fetchall()
    return dict(rows)


def _is_word(segment: str) -> bool:
    """No identifier, address or token, as far as its letters tell."""
    if not _WORD.fullmatch(segment):
        return False
    length = len(segment)
    bits = -sum(count / length * math.log2(count / length) for count in Counter(segment).values())
    changes = len(re.findall(r"[a-z][A-Z]", segment))
    return bits <= _MOST_BITS and changes <= 2
