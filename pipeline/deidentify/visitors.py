"""Visitor logs to de-identified staging, in one pass: block by block, in memory, inside the engine.

Staging gets one row a request of a person, with a pseudonym and values of closed lists only; the engine's ENUM
types hold that a value outside its list cannot get there. Where the site file lets any referring site be named, that
column holds registered domains as they are found, and the checks of staging hold their form.
"""

from __future__ import annotations

import datetime as dt
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.deidentify.accounting import Accounting
from pipeline.deidentify.lookups import look_up_addresses, look_up_agents, look_up_languages, look_up_origins
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.referrers import CAMPAIGN_PATTERN
from pipeline.deidentify.sections import quoted, section_case
from pipeline.deidentify.staging import (
    EVENTS,
    SourceCounts,
    Staging,
    StagingManifest,
    replace_staging,
    write_manifest,
)
from pipeline.errors import StagingError
from pipeline.periods import Period
from pipeline.progress import Progress, silent
from pipeline.site import SiteFile, VisitorSource
from pipeline.sources.engine import memory_engine
from pipeline.sources.formats import request_fields
from pipeline.sources.logs import find_logs, read_lines
from pipeline.vocabulary import WEEKDAYS, Dimension, Population
from pipeline.workspace import Workspace

SOURCE: Final = "visitor logs"
REJECTED: Final = ("format", "time", "status", "no address")
OUTSIDE: Final = "outside the period"
# A well-formed line whose request is none: a TLS greeting on the plain port, a scanner's bytes, a time-out.
NO_REQUEST: Final = "no request"
LEFT_OUT: Final = (NO_REQUEST, OUTSIDE, "no agent", "bot")
MOST_LOOKED_UP: Final = 200_000  # rows of a look-up table; then it starts anew, so that memory stays bounded
_QUARTER: Final = 900  # offsets of time zones are whole quarters of an hour, so an instant's quarter tells its hour

LookUp = Callable[[Sequence[str]], pa.Table]


def stage_visitors(workspace: Workspace, site: SiteFile, period: Period, progress: Progress = silent) -> Staging:
    """Read all visitor logs and put the period's de-identified requests into staging.

    Args:
        workspace: Where the site file lies, to which the logs' paths are relative, and staging.
        site: Its ``visitors``.
        period: Requests outside it are counted and left out.
        progress: Told the bytes read of the bytes on disk.

    Returns:
        Staging whose events have one row a request: ``person`` and every dimension of visitors, all VARCHAR.

    Raises:
        ConfigurationError: The site has no visitors, or another length of period.
        SourceError: A log is missing or unreadable, or (RejectShareError) too many lines were rejected; the share
            is of all lines read, whichever period they are of, since a line without a time is of none.
        StagingError: No line of the period, or none that is a person's; or staging cannot be written. Earlier staging
            stays as it was.
    """
    source = _source(site, period)
    paths = find_logs(source.logs, workspace.site_file.parent)
    with (
        _written_to(workspace),
        memory_engine(SOURCE) as engine,
        replace_staging(workspace, Population.VISITORS, period) as draft,
    ):
        period_key(workspace, Population.VISITORS, period).install(engine)
        stage = _VisitorStage(engine, site, source, period)
        with _event_file(draft / EVENTS) as write:
            for lines in read_lines(paths, progress):
                write(stage.generalise(lines))
        accounting = stage.accounting()
        accounting.require_share(SOURCE, source.max_rejected_share)
        _require_visitors(accounting, period, stage.covered())
        counts = {SOURCE: SourceCounts.of(accounting)}
        manifest = StagingManifest(population=Population.VISITORS, period=str(period), sources=counts)
        write_manifest(draft, manifest)
    return Staging(Population.VISITORS, period, workspace.staging(Population.VISITORS, period), manifest)


class _VisitorStage:
    """The engine's tables and the counts of one run."""

    def __init__(
        self, engine: duckdb.DuckDBPyConnection, site: SiteFile, source: VisitorSource, period: Period
    ) -> None:
        self._engine = engine
        self._zone = site.zone
        self._counts: Counter[str] = Counter()
        self._times: list[float] = []  # earliest and latest of each block, seconds since 1970
        dimensions = site.dimensions(Population.VISITORS)
        _make_tables(engine, dimensions, _calendar(period, site.zone))
        self._requests = _requests_sql(source, period.bounds(site.zone)[0])
        self._events = _EVENTS.format(columns=", ".join(dimensions))
        own, named = source.own_domains, source.referrer_domains
        # table, column -> how its values are looked up
        self._look_ups: dict[tuple[str, str], LookUp] = {
            ("agents", "agent"): look_up_agents,
            ("origins", "origin"): partial(look_up_origins, own_domains=own, named_domains=named),
            ("languages", "accept_language"): partial(look_up_languages, named_languages=source.languages),
        }

    def generalise(self, lines: pa.Table) -> pa.Table:
        """Count every line in one place, and return the used ones: person and dimensions, one row a line."""
        self._engine.register("lines", lines)
        self._engine.execute(self._requests)
        self._engine.unregister("lines")
        self._learn("addresses", "address", look_up_addresses, "refused IS NULL")
        for (table, column), look_up in self._look_ups.items():
            self._learn(table, column, look_up, "refused IS NULL AND hour IS NOT NULL")
        self._engine.execute(_JUDGED)
        self._count()
        return self._engine.sql(self._events).to_arrow_table()

    def accounting(self) -> Accounting:
        """What became of the lines so far."""
        counts = self._counts
        left_out = {reason: counts[reason] for reason in LEFT_OUT if counts[reason]}
        rejected = {reason: counts[reason] for reason in REJECTED if counts[reason]}
        return Accounting(counts.total(), counts["used"], left_out, rejected)

    def covered(self) -> tuple[dt.date, dt.date] | None:
        """First and last day of the lines with a readable time, in the site's zone."""
        if not self._times:
            return None
        first, last = (dt.datetime.fromtimestamp(edge(self._times), self._zone).date() for edge in (min, max))
        return first, last

    def _learn(self, table: str, column: str, look_up: LookUp, condition: str) -> None:
        """Look up the block's values that the table does not have yet."""
        if self._engine.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] > MOST_LOOKED_UP:
            self._engine.execute(f"TRUNCATE {table}")
        unknown = self._engine.sql(
            f"SELECT DISTINCT {column} FROM requests ANTI JOIN {table} USING ({column}) WHERE {condition}"
        ).to_arrow_table()
        if unknown.num_rows:
            self._engine.register("found", look_up(unknown.column(column).to_pylist()))
            self._engine.execute(f"INSERT INTO {table} BY NAME SELECT * FROM found")
            self._engine.unregister("found")

    def _count(self) -> None:
        rows = self._engine.execute("SELECT verdict, count(*) FROM judged GROUP BY verdict").fetchall()
        self._counts.update(dict(rows))
        times = self._engine.execute("SELECT min(epoch(moment)), max(epoch(moment)) FROM requests").fetchall()
        self._times.extend(time for time in times[0] if time is not None)


def _source(site: SiteFile, period: Period) -> VisitorSource:
    site.require_period(Population.VISITORS, period)
    assert site.visitors is not None
    return site.visitors


def _make_tables(engine: duckdb.DuckDBPyConnection, dimensions: dict[str, Dimension], calendar: pa.Table) -> None:
    for name, dimension in dimensions.items():
        keys = ", ".join(map(quoted, dict.fromkeys(dimension.keys)))  # a site's section may be named 'other'
        engine.execute(f"CREATE TYPE {name}_key AS {'VARCHAR' if dimension.is_open else f'ENUM ({keys})'}")
    engine.execute(_LOOK_UP_TABLES)
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


def _requests_sql(source: VisitorSource, start: dt.datetime) -> str:
    return f"""
        CREATE OR REPLACE TEMP TABLE requests AS
        SELECT address, moment, agent, origin, accept_language, hour, weekday,
            TRY_CAST(CASE WHEN regexp_full_match(status, '[1-5][0-9][0-9]') THEN left(status, 1) || 'xx' END
                AS status_class_key) AS status_class,
            ({section_case(source.sections)})::section_key AS section,
            query <> '' AND regexp_matches(query, {quoted(CAMPAIGN_PATTERN)}, 'i') AS campaign,
            CASE WHEN address = '' THEN 'format' WHEN moment IS NULL THEN 'time'
                WHEN status_class IS NULL THEN 'status' WHEN path = '' THEN '{NO_REQUEST}' END AS refused
        FROM ({request_fields(source.trailing_fields)}) AS field
        LEFT JOIN calendar ON quarter = floor((epoch(moment) - {start.timestamp()!r}) / {_QUARTER})::BIGINT"""


_LOOK_UP_TABLES: Final = """
    CREATE TEMP TABLE calendar (quarter BIGINT, hour hour_key, weekday weekday_key);
    CREATE TEMP TABLE addresses (address VARCHAR, visitor_address VARCHAR, country country_key);
    CREATE TEMP TABLE agents
        (agent VARCHAR, operating_system operating_system_key, browser browser_key, bot BOOLEAN);
    CREATE TEMP TABLE origins
        (origin VARCHAR, referrer_class referrer_class_key, referrer_domain referrer_domain_key);
    CREATE TEMP TABLE languages (accept_language VARCHAR, language language_key);"""

# One row a line, with what became of it.
_JUDGED: Final = """
    CREATE OR REPLACE TEMP TABLE judged AS
    SELECT visitor_address, agent, country, operating_system, browser, language,
        CASE WHEN campaign THEN 'campaign'::referrer_class_key ELSE referrer_class END AS referrer_class,
        referrer_domain, section, status_class, hour, weekday,
        CASE WHEN refused IS NOT NULL THEN refused
            WHEN visitor_address IS NULL THEN 'no address'
            WHEN hour IS NULL THEN 'outside the period'
            WHEN agent IN ('', '-') THEN 'no agent'
            WHEN bot THEN 'bot'
            ELSE 'used' END AS verdict
    FROM requests
    LEFT JOIN addresses USING (address)
    LEFT JOIN agents USING (agent)
    LEFT JOIN origins USING (origin)
    LEFT JOIN languages USING (accept_language)"""

# One row a used line: person, dimensions. A pseudonym is computed once for every (address, agent) of the block.
_EVENTS: Final = """
    WITH visitors AS (
        SELECT visitor_address, agent, pseudonym(visitor_address || chr(0) || agent) AS person
        FROM (SELECT DISTINCT visitor_address, agent FROM judged WHERE verdict = 'used')
    )
    SELECT person, {columns} FROM judged JOIN visitors USING (visitor_address, agent) WHERE verdict = 'used'"""


@contextmanager
def _written_to(workspace: Workspace) -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise StagingError(
            "staging and keys must be writable",
            value=f"{failure.strerror or type(failure).__name__} under {workspace.home}",
            remedy="Check permissions and free space there.",
        ) from None


@contextmanager
def _event_file(path: Path) -> Iterator[Callable[[pa.Table], None]]:
    """Yield what appends a table of events to the file; where there never is one, there is no file."""
    with path.open("wb") as file:
        writer: pq.ParquetWriter | None = None

        def write(events: pa.Table) -> None:
            nonlocal writer
            if events.num_rows:
                # Without Arrow's own schema, columns are read back as plain strings.
                writer = writer or pq.ParquetWriter(file, events.schema, compression="zstd", store_schema=False)
                writer.write_table(events)

        yield write
        if writer is not None:
            writer.close()
        file.flush()
        os.fsync(file.fileno())


def _require_visitors(accounting: Accounting, period: Period, covered: tuple[dt.date, dt.date] | None) -> None:
    if accounting.used:
        return
    if covered is None:
        raise StagingError(
            f"the visitor logs must have lines of {period}",
            value="none: no line has a readable time",
            remedy="Check the format in the site file.",
        )
    if set(accounting.left_out) - {OUTSIDE, NO_REQUEST}:
        raise StagingError(
            "a period must have at least one request of a person with a browser",
            value=f"only bots, and requests without an agent, in {period}",
            remedy="Name another period.",
        )
    first, last = covered
    periods = " to ".join(dict.fromkeys(str(Period.containing(day, period.kind)) for day in covered))
    raise StagingError(
        f"the visitor logs must have lines of {period}",
        value=f"none: the logs cover {first} to {last}",
        remedy=f"Name a period of {periods}, or add logs.",
    )
