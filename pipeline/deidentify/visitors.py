"""Visitor logs to de-identified staging: one pass over the lines, block by block, and one over the de-identified rows.

The first pass runs in memory, inside an engine that reaches no file, and leaves a draft without identifiers. The second
follows visits through it, and writes staging.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from pipeline.deidentify.accounting import Accounting
from pipeline.deidentify.drafts import draft_file, write_events
from pipeline.deidentify.errors import ErrorStage
from pipeline.deidentify.locks import held
from pipeline.deidentify.obeying import obey
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.requests import NO_REQUEST, OUTSIDE, RequestStage
from pipeline.deidentify.staging import (
    ContentRead,
    NewStaging,
    SourceCounts,
    Staging,
    StagingManifest,
    earlier_manifest,
    replace_staging,
)
from pipeline.deidentify.tables import EVENTS
from pipeline.deidentify.tombstones import Tombstones, standing
from pipeline.errors import SourceError, StagingError
from pipeline.periods import Period
from pipeline.progress import Progress, silent
from pipeline.site import LogSource, SiteFile, VisitorSource
from pipeline.sources.engine import memory_engine
from pipeline.sources.formats import open_format
from pipeline.sources.logs import Intake, LogContent, LogFile, find_logs
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

SOURCE: Final = "visitor logs"
ERRORS: Final = "error logs"

Write = Callable[[pa.Table], None]


def stage_visitors(workspace: Workspace, site: SiteFile, period: Period, progress: Progress = silent) -> Staging:
    """Read all visitor logs, and error logs, and put the period's de-identified requests into staging.

    Args:
        workspace: Where the site file lies, to which the logs' paths are relative, and staging.
        site: Its ``visitors``.
        period: Requests outside it are counted and left out.
        progress: Told the bytes read of the bytes on disk.

    Returns:
        Staging whose events have one row a request: ``person``, every dimension of visitors (VARCHAR; NULL in a
        partial one where a request has none), ``visits`` and ``page_views`` (TINYINT, 0 or 1).

    Raises:
        ConfigurationError: The site has no visitors, or another length of period.
        SourceError: A log is missing or unreadable, what an earlier reading of the period had read is gone, or
            (RejectShareError) too many lines were rejected; the share is of all lines read, whichever period they are
            of, since a line without a time is of none.
        StagingError: No line of the period, or none that is a person's; or staging cannot be written. Earlier staging
            stays as it was.
    """
    site.require_period(Population.VISITORS, period)
    assert site.visitors is not None
    files = _files(site.visitors, workspace.site_file.parent, period)
    with (
        _written_to(workspace),
        held(workspace, Population.VISITORS, period),
        memory_engine(SOURCE) as engine,
        replace_staging(workspace, Population.VISITORS, period) as new,
    ):
        # A request that comes from here on is applied to what this run makes, when it has ended.
        tombstones = standing(workspace, Population.VISITORS, period)
        period_key(workspace, Population.VISITORS, period).install(engine)
        earlier = earlier_manifest(workspace, Population.VISITORS, period)
        read = earlier.contents if earlier else {}
        task = _Task(workspace.site_file.parent, site, site.visitors, period, files, read, tombstones, progress)
        new.manifest = manifest = _Run(engine, task).write(new)
    return Staging(Population.VISITORS, period, new.place, manifest)


@dataclass(frozen=True)
class _Task:
    """What is read, of which period, and what was read of it before."""

    base: Path
    site: SiteFile
    source: VisitorSource
    period: Period
    files: Mapping[str, tuple[LogFile, ...]]
    earlier: Mapping[str, tuple[ContentRead, ...]]
    tombstones: Tombstones
    progress: Progress


class _Run:
    """One ingestion of one period."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, task: _Task) -> None:
        self._task = task
        self._requests = RequestStage(engine, task.site, task.period, task.base, task.tombstones)
        self._errors = ErrorStage(engine, task.site, task.period) if task.source.error_logs else None
        self._contents: dict[str, tuple[ContentRead, ...]] = {}
        self._formats: Counter[str] = Counter()

    def write(self, new: NewStaging) -> StagingManifest:
        """Write the events of those who did not ask to be left out, and say what they were made of."""
        manifest = obey(new.place, self._write_all(new), self._requests.effects())
        if not manifest.sources[SOURCE].used:
            raise _of_nobody(self._task.period)
        return manifest

    def _write_all(self, new: NewStaging) -> StagingManifest:
        with draft_file(new.drafts, "requests.parquet") as write:
            self._read_requests(write)
        counts = {SOURCE: self._requests.accounting()}
        counts[SOURCE].require_share(SOURCE, self._task.source.max_rejected_share)
        _require_visitors(counts[SOURCE], self._task.period, self._requests.covered())
        sections = self._task.site.dimensions(Population.VISITORS)["section"].keys
        told = self._read_errors() if self._errors else None
        written = write_events(new.drafts, new.drafts.names(), new.place, sections, told, self._task.progress)
        if self._errors:
            counts[ERRORS] = self._errors.accounting(written.errors)
            counts[ERRORS].require_share(ERRORS, self._task.source.max_rejected_share)
        return StagingManifest(
            population=Population.VISITORS,
            period=str(self._task.period),
            sources={name: SourceCounts.of(accounting) for name, accounting in counts.items()},
            contents=self._contents,
            formats=dict(self._formats),
            buckets=written.buckets,
            files={EVENTS: written.files},
        )

    def _read_requests(self, write: Write) -> None:
        intake = self._intake(SOURCE)
        for log in intake:
            reader = None
            for lines in log.blocks:
                assert isinstance(log.file.source, LogSource)
                reader = reader or open_format(log.file.source, self._task.site.zone, lines)
                for part, fields in reader.parts(lines):
                    write(self._requests.generalise(part, fields, log.file.label))
            self._formats.update([reader.name] if reader else [])
        self._keep(SOURCE, intake)

    def _read_errors(self) -> pa.Table:
        assert self._errors is not None
        intake = self._intake(ERRORS)
        for log in intake:
            zone = self._task.site.zone_of(log.file.source)
            for lines in log.blocks:
                self._errors.generalise(lines, zone, log.file.label, self._requests)
        self._keep(ERRORS, intake)
        return self._errors.table()

    def _intake(self, what: str) -> Intake:
        earlier = [LogContent(one.sha256, one.bytes, one.lines) for one in self._task.earlier.get(what, ())]
        return Intake(self._task.files[what], earlier, self._task.progress)

    def _keep(self, what: str, intake: Intake) -> None:
        if intake.gone:
            raise SourceError(
                f"what the {what} of {self._task.period} held when they were read before must still be there",
                value=f"{len(intake.gone)} of {len(intake.gone) + len(intake.contents)} files gone or changed, with "
                f"{sum(one.lines for one in intake.gone):,} lines",
                remedy="Put them back where the site file looks for them. To begin the period anew without them, "
                "remove its folder of staging.",
            )
        self._contents[what] = tuple(
            ContentRead(sha256=one.sha256, bytes=one.bytes, lines=one.lines) for one in intake.contents
        )


def _files(source: VisitorSource, base: Path, period: Period) -> dict[str, tuple[LogFile, ...]]:
    # A server writes a line when it has answered, so a period's last lines may stand in the next day's file.
    first, last = period.start - dt.timedelta(days=1), period.end
    days = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]
    return {
        SOURCE: find_logs(source.log_sources, base, days),
        ERRORS: find_logs(source.error_log_sources, base, days),
    }


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
        raise _of_nobody(period)
    first, last = covered
    periods = " to ".join(dict.fromkeys(str(Period.containing(day, period.kind)) for day in covered))
    raise StagingError(
        f"the visitor logs must have lines of {period}",
        value=f"none: the logs cover {first} to {last}",
        remedy=f"Name a period of {periods}, or add logs.",
    )


def _of_nobody(period: Period) -> StagingError:
    return StagingError(
        "a period must have at least one request of a person with a browser",
        value="only bots, monitors, one's own networks, requests without an agent, and people who asked to be left "
        f"out, in {period}",
        remedy="Name another period.",
    )
