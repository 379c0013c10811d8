"""One block of log lines after the other, de-identified in the memory of the engine.

Staging gets one row a request of a person, with a pseudonym and values of closed lists only; the engine's ENUM
types hold that a value outside its list cannot get there. Where the site file lets any referring site be named, that
column holds registered domains as they are found, and the checks of staging hold their form.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from pipeline.deidentify.accounting import Accounting, Tally, Verdicts
from pipeline.deidentify.addresses import look_up_addresses
from pipeline.deidentify.agents import look_up_agents
from pipeline.deidentify.file_kinds import file_kind_case
from pipeline.deidentify.languages import look_up_languages, look_up_time_zones
from pipeline.deidentify.referrers import CAMPAIGN_PATTERN, look_up_origins
from pipeline.deidentify.regions import RegionLookUp
from pipeline.deidentify.sections import section_case
from pipeline.deidentify.tombstones import Tombstones, visitor_handle_sql
from pipeline.periods import Period
from pipeline.site import SiteFile, VisitorSource
from pipeline.sources.engine import quoted
from pipeline.vocabulary import OTHER, UNKNOWN, WEEKDAYS, Dimension, Population

REJECTED: Final = ("format", "time", "status", "no address")
OUTSIDE: Final = "outside the period"
# A well-formed line whose request is none: a TLS greeting on the plain port, a scanner's bytes, a time-out.
NO_REQUEST: Final = "no request"
# A line that says how the others are to be read.
DIRECTIVE: Final = "directive"
# Who asked was gone before there was one: status '-', or CloudFront's 000.
NO_ANSWER: Final = "no answer"
LEFT_OUT: Final = (DIRECTIVE, NO_REQUEST, NO_ANSWER, OUTSIDE, "internal", "no agent", "monitor", "bot")
MOST_LOOKED_UP: Final = 200_000  # rows of a look-up table; then it starts anew, so that memory stays bounded
_QUARTER: Final = 900  # offsets of time zones are whole quarters of an hour, so an instant's quarter tells its hour
_LONGEST_ZONE: Final = 60
# Of lines of several files that have the same number the file decides, so that the order is the same wherever the
# files are read.
_FILE_BITS: Final = 20
MOST_FILES: Final = 1 << _FILE_BITS
# Dimensions that come of visits and error logs, once all requests are there.
LATER: Final = ("entry_section", "exit_section", "from_section", "to_section", "error_level", "error_kind")

LookUp = Callable[[Sequence[str]], pa.Table]
_NOBODY: Final = Tombstones()


class RequestStage:
    """The engine's tables and the counts of one run."""

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        site: SiteFile,
        period: Period,
        base: Path,
        tombstones: Tombstones = _NOBODY,
    ) -> None:
        assert site.visitors is not None
        self._engine, self._source = engine, site.visitors
        self._tombstones = tombstones
        if tombstones:
            tombstones.install(engine)
        self._start = period.bounds(site.zone)[0].timestamp()
        self._tally = Tally(REJECTED)
        self._times: list[float] = []  # earliest and latest of each block, seconds since 1970
        dimensions = site.dimensions(Population.VISITORS)
        _make_types(engine, dimensions)
        self._look_ups = _look_ups(self._source, base)
        _make_tables(engine, dimensions, _calendar(period, site.zone))
        self._judged = _judged_sql(dimensions)
        self._events = _events_sql(dimensions, self._start, errors=bool(self._source.error_logs))

    def generalise(self, lines: pa.Table, fields: str, file: int) -> pa.Table:
        """Count every line in one place, and return the used ones.

        Args:
            lines: ``line`` and ``number``.
            fields: SQL that selects the fields of requests from them, see ``sources.formats``.
            file: Number of the file, below ``MOST_FILES``.

        Returns:
            One row a used line: a draft's columns.
        """
        self._engine.register("lines", lines)
        self._engine.execute(_requests_sql(self._source, self._start, fields))
        self._engine.unregister("lines")
        for look_up in self._look_ups:
            look_up.learn(self._engine)
        self._engine.execute(self._judged)
        if self._tombstones:
            self._engine.execute(_ASKED)
        self._tally.add(self._engine, "judged", file)
        times = self._engine.execute("SELECT min(epoch(moment)), max(epoch(moment)) FROM requests").fetchall()
        self._times.extend(time for time in times[0] if time is not None)
        self._engine.execute("SET VARIABLE file = ?", [file])
        return self._engine.sql(self._events).to_arrow_table()

    def learn_addresses(self, table: str) -> None:
        """Look up the addresses of another table of the engine (``address``, ``refused``)."""
        self._look_ups[0].learn(self._engine, table)

    def asked(self) -> pa.Table:
        """Who was met so far that a tombstone names: ``person`` and ``digest``."""
        found = (
            "SELECT DISTINCT person, digest FROM asked"
            if self._tombstones
            else "SELECT '' AS person, '' AS digest LIMIT 0"
        )
        return self._engine.sql(found).to_arrow_table()

    @property
    def verdicts(self) -> Verdicts:
        """On the lines so far."""
        return self._tally.verdicts

    @property
    def times(self) -> tuple[float, float] | None:
        """Of the lines so far the earliest and the latest time that is readable, in seconds since 1970."""
        return (min(self._times), max(self._times)) if self._times else None


def accounting_of(verdicts: Verdicts, labels: Sequence[str] = ()) -> Accounting:
    """What became of the lines of visitor logs."""
    return verdicts.accounting(verdicts.counts.get("used", 0), LEFT_OUT, REJECTED, labels)


class _Learned:
    """A look-up table of the engine, which learns the values of each block that it does not have yet."""

    def __init__(self, table: str, column: str, look_up: LookUp, *, every: bool = False) -> None:
        self._table, self._column, self._look_up = table, column, look_up
        # Whose line is refused, or is of another period, need not be looked up.
        self._condition = "refused IS NULL" if every else "refused IS NULL AND hour IS NOT NULL"

    def learn(self, engine: duckdb.DuckDBPyConnection, block: str = "requests") -> None:
        """Look up the block's new values."""
        table, column = self._table, self._column
        if engine.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] > MOST_LOOKED_UP:
            engine.execute(f"TRUNCATE {table}")
        unknown = engine.sql(
            f"SELECT DISTINCT {column} FROM {block} ANTI JOIN {table} USING ({column}) "
            f"WHERE {column} IS NOT NULL AND {self._condition}"
        ).to_arrow_table()
        if unknown.num_rows:
            engine.register("found", self._look_up(unknown.column(column).to_pylist()))
            engine.execute(f"INSERT INTO {table} BY NAME SELECT * FROM found")
            engine.unregister("found")


def _look_ups(source: VisitorSource, base: Path) -> tuple[_Learned, ...]:
    database = source.region_database(base)
    regions = RegionLookUp.open(database, source.regions.countries) if database and source.regions else None
    addresses = partial(
        look_up_addresses, trusted=source.trusted_proxies, internal=source.internal_networks, regions=regions
    )
    agents = partial(look_up_agents, versions=source.named_versions, monitors=source.monitor_agents)
    origins = partial(look_up_origins, own_domains=source.own_domains, named_domains=source.referrer_domains)
    languages = partial(look_up_languages, named_languages=source.languages)
    return (
        _Learned("addresses", "address", addresses, every=True),
        _Learned("agents", "agent", agents),
        _Learned("origins", "origin", origins),
        _Learned("languages", "accept_language", languages),
        *([_Learned("time_zones", "time_zone_text", look_up_time_zones)] if source.has_time_zones else []),
    )


def _make_types(engine: duckdb.DuckDBPyConnection, dimensions: Mapping[str, Dimension]) -> None:
    for name, dimension in dimensions.items():
        keys = ", ".join(map(quoted, dict.fromkeys(dimension.keys)))  # a site's section may be named 'other'
        engine.execute(f"CREATE TYPE {name}_key AS {'VARCHAR' if dimension.is_open else f'ENUM ({keys})'}")


def _make_tables(engine: duckdb.DuckDBPyConnection, dimensions: Mapping[str, Dimension], calendar: pa.Table) -> None:
    # Of what the site file does not declare, a look-up says nothing that is kept.
    undeclared = {name: "VARCHAR" for name in ("region", "browser_version", "time_zone") if name not in dimensions}
    kinds = {name: f"{name}_key" for name in dimensions} | undeclared
    engine.execute(_LOOK_UP_TABLES.format(**kinds))
    engine.register("found", calendar)
    engine.execute("INSERT INTO calendar BY NAME SELECT * FROM found")
    engine.unregister("found")


def _calendar(period: Period, zone: ZoneInfo) -> pa.Table:
    """Hour and weekday of every quarter of an hour of the period, numbered from its start."""
    start, end = (bound.timestamp() for bound in period.bounds(zone))
    quarters = range(math.ceil((end - start) / _QUARTER))
    local = [dt.datetime.fromtimestamp(start + quarter * _QUARTER, zone) for quarter in quarters]
    return pa.table(
        {
            "quarter": pa.array(quarters, pa.int64()),
            "hour": [f"{moment.hour:02d}" for moment in local],
            "weekday": [WEEKDAYS[moment.weekday()] for moment in local],
        }
    )


def _requests_sql(source: VisitorSource, start: float, fields: str) -> str:
    believed = "forwarded <> '' AND forwarded <> '-' AND address <> ''"
    address = f"CASE WHEN {believed} THEN forwarded || ',' || address ELSE address END"
    return f"""
        CREATE OR REPLACE TEMP TABLE requests AS
        SELECT number, {address if source.trusted_proxies else "address"} AS address, moment, agent, origin,
            accept_language, {_time_zone_text(source)} AS time_zone_text, hour, weekday,
            TRY_CAST(CASE WHEN regexp_full_match(status, '[1-5][0-9][0-9]') THEN left(status, 1) || 'xx' END
                AS status_class_key) AS status_class,
            ({section_case(source.sections)})::section_key AS section,
            ({file_kind_case(source.file_kinds)})::file_kind_key AS file_kind,
            query <> '' AND regexp_matches(query, {quoted(CAMPAIGN_PATTERN)}, 'i') AS campaign,
            CASE WHEN directive THEN '{DIRECTIVE}' WHEN address = '' THEN 'format' WHEN moment IS NULL THEN 'time'
                WHEN status IN ('-', '000') THEN '{NO_ANSWER}' WHEN status_class IS NULL THEN 'status'
                WHEN path = '' THEN '{NO_REQUEST}' END AS refused
        FROM ({fields}) AS field
        LEFT JOIN calendar ON quarter = floor((epoch(moment) - {start!r}) / {_QUARTER})::BIGINT"""


def _time_zone_text(source: VisitorSource) -> str:
    if source.time_zone_parameter is None:
        return "nullif(time_zone, '')" if source.has_time_zones else "NULL"
    pattern = rf"[?&;]{re.escape(source.time_zone_parameter)}=([^&;]{{1,{_LONGEST_ZONE}}})"
    return f"coalesce(nullif(time_zone, ''), nullif(regexp_extract(query, {quoted(pattern)}, 1), ''))"


_LOOK_UP_TABLES: Final = """
    CREATE TEMP TABLE calendar (quarter BIGINT, hour {hour}, weekday {weekday});
    CREATE TEMP TABLE addresses
        (address VARCHAR, visitor_address VARCHAR, country {country}, region {region}, internal BOOLEAN);
    CREATE TEMP TABLE agents
        (agent VARCHAR, operating_system {operating_system}, browser {browser}, browser_version {browser_version},
        bot BOOLEAN, monitor BOOLEAN);
    CREATE TEMP TABLE origins
        (origin VARCHAR, referrer_class {referrer_class}, referrer_domain {referrer_domain});
    CREATE TEMP TABLE languages (accept_language VARCHAR, language {language});
    CREATE TEMP TABLE time_zones (time_zone_text VARCHAR, time_zone {time_zone});"""


def _judged_sql(dimensions: Mapping[str, Dimension]) -> str:
    """One row a line, with what became of it. Of a format without agents or referrers nothing is known of them."""
    unlogged = {"operating_system": UNKNOWN, "browser": UNKNOWN, "browser_version": UNKNOWN, "language": UNKNOWN}
    unlogged |= {"referrer_class": UNKNOWN, "referrer_domain": OTHER}
    known = ", ".join(
        f"coalesce({name}, '{key}'::{name}_key) AS {name}" for name, key in unlogged.items() if name in dimensions
    )
    return f"""
        CREATE OR REPLACE TEMP TABLE judged AS
        SELECT number, moment, visitor_address, agent, country, region, section, file_kind, status_class, hour, weekday,
            time_zone, {known.replace("coalesce(referrer_class", "coalesce(" + _CLASS)},
            CASE WHEN refused IS NOT NULL THEN refused
                WHEN visitor_address IS NULL THEN 'no address'
                WHEN hour IS NULL THEN '{OUTSIDE}'
                WHEN internal THEN 'internal'
                WHEN agent IN ('', '-') THEN 'no agent'
                WHEN monitor THEN 'monitor'
                WHEN bot THEN 'bot'
                ELSE 'used' END AS verdict
        FROM requests
        LEFT JOIN addresses USING (address)
        LEFT JOIN agents USING (agent)
        LEFT JOIN origins USING (origin)
        LEFT JOIN languages USING (accept_language)
        LEFT JOIN time_zones USING (time_zone_text)"""


# The page's own address tells of a campaign, whatever the referrer is.
_CLASS: Final = "CASE WHEN campaign THEN 'campaign'::referrer_class_key ELSE referrer_class END"


# Everybody of a block, and the pseudonym of each.
_VISITORS: Final = "SELECT DISTINCT visitor_address, agent FROM judged WHERE verdict = 'used'"
_PERSON: Final = "pseudonym(visitor_address || chr(0) || coalesce(agent, ''))"
# Who of them is named by a tombstone. Their lines go on until all are read: an error log's errors then are still told
# of these, and not of another visitor with the same address.
_ASKED: Final = f"""
    INSERT INTO asked SELECT {_PERSON}, digest
    FROM (SELECT *, tombstone({visitor_handle_sql("visitor_address", "agent")}) AS digest FROM ({_VISITORS}))
    SEMI JOIN tombstones USING (digest)"""


def _events_sql(dimensions: Mapping[str, Dimension], start: float, *, errors: bool) -> str:
    """One row a used line. A pseudonym is computed once for every (address, agent) of the block."""
    columns = ", ".join(name for name in dimensions if name not in LATER)
    key, held = (f", {address_key('visitor_address')} AS _address", ", _address") if errors else ("", "")
    return f"""
        WITH visitors AS (
            SELECT visitor_address, agent, {_PERSON} AS person{key} FROM ({_VISITORS})
        )
        SELECT person, {columns}, epoch_us(moment) - {round(start * 1e6)} AS _moment,
            (number << {_FILE_BITS}) + getvariable('file')::BIGINT AS _number,
            enum_code(section)::SMALLINT AS _section,
            file_kind IN ('page', 'download') AND status_class IN ('2xx', '3xx') AS _viewed{held}
        FROM judged JOIN visitors
            ON judged.visitor_address = visitors.visitor_address AND judged.agent IS NOT DISTINCT FROM visitors.agent
        WHERE verdict = 'used'"""


def address_key(address: str) -> str:
    """SQL: sixty-four bits of a keyed pseudonym of an address alone."""
    return f"('0x' || left(pseudonym('address' || chr(0) || {address}), 16))::UBIGINT"
