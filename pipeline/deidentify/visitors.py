"""Visitor logs to de-identified staging, in three steps: they are shared out into units, read, and put together.

Each unit is read in memory, inside an engine that reaches no file, and leaves drafts without identifiers. When all are
read, visits are followed through the drafts, and staging is written. One process takes the three steps at once; or a
plan is made, many processes on as many machines read its units in any order, and one finishes. Both make the same.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from pipeline import documents
from pipeline.deidentify.finishing import Finish
from pipeline.deidentify.locks import held
from pipeline.deidentify.places import Place
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.reading import Reading, UnitRead, fingerprint
from pipeline.deidentify.sharing import Logs, in_one, shared_out
from pipeline.deidentify.staging import (
    DRAFTS,
    PLAN,
    Staging,
    earlier_manifest,
    load_staging,
    place_of,
    replace_staging,
)
from pipeline.deidentify.tombstones import standing
from pipeline.deidentify.units import ERRORS, SOURCE, Plan, digest_of
from pipeline.errors import ConfigurationError, StagingError
from pipeline.periods import Period
from pipeline.progress import Progress, silent
from pipeline.site import SiteFile
from pipeline.sources.contents import without_lines
from pipeline.sources.logs import LogFile, find_logs
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

__all__ = ["ERRORS", "SOURCE", "finish_visitors", "plan_visitors", "read_visitors", "stage_visitors", "unread_units"]

_TOKEN: Final = 8  # bytes


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
    files = _files(workspace, site, period)
    with (
        _written_to(workspace),
        held(workspace, Population.VISITORS, period),
        replace_staging(workspace, Population.VISITORS, period) as new,
    ):
        new.place.under(DRAFTS).clear()  # of a run of many tasks, which is given up
        logs = _with_earlier(workspace, period, files)
        period_key(workspace, Population.VISITORS, period)
        reading = Reading(workspace, site, period, in_one(site, period, logs), new.drafts)
        reading.read(0, progress)
        new.manifest = manifest = _finish(reading, progress).write(new.place, progress)
    return Staging(Population.VISITORS, period, new.place, manifest)


def plan_visitors(workspace: Workspace, site: SiteFile, period: Period, unit_bytes: int) -> tuple[str, int]:
    """Share out the logs of a period into units, which ``read_visitors`` reads. The period's staging stays.

    A run that was planned before, and is not finished, is given up.

    Args:
        workspace: As for ``stage_visitors``.
        site: Its ``visitors``.
        period: Which.
        unit_bytes: Of unpacked logs, what a unit holds, about.

    Returns:
        A token that tells this run from others, and how many units it has.

    Raises:
        ConfigurationError: The site has no visitors, or another length of period.
        SourceError: A log is missing or unreadable, or all are empty.
        StagingError: The plan cannot be written.
    """
    files = _files(workspace, site, period)
    with _written_to(workspace), held(workspace, Population.VISITORS, period):
        plan = shared_out(site, period, _with_earlier(workspace, period, files), unit_bytes)
        if not plan.units:
            raise without_lines()
        period_key(workspace, Population.VISITORS, period)
        standing(workspace, Population.VISITORS, period)  # or each unit would say that its key is missing
        place_of(workspace, Population.VISITORS, period).under(DRAFTS).clear()
        token = secrets.token_hex(_TOKEN)
        _drafts(workspace, period, token).replace(PLAN, plan.model_dump_json().encode())
    return token, len(plan.units)


def read_visitors(
    workspace: Workspace, site: SiteFile, period: Period, token: str, unit: int, progress: Progress = silent
) -> None:
    """Read a unit of a plan; one that was read already is read again, and counts once.

    Args:
        workspace: As for ``stage_visitors``.
        site: The same as when it was planned.
        period: Which.
        token: Of the run.
        unit: Its number, from 0.
        progress: Told the bytes read of the bytes on disk.

    Raises:
        ConfigurationError: The site file, or the program, is not that of the plan.
        SourceError: A log is gone or unreadable, or another than when it was planned.
        StagingError: The run was given up, or what the unit leaves cannot be written.
    """
    with _written_to(workspace):
        _planned(workspace, site, period, token).read(unit, progress)


def unread_units(workspace: Workspace, site: SiteFile, period: Period, token: str) -> list[int]:
    """The units of a plan that nobody has read, in order.

    Raises:
        ConfigurationError: As for ``read_visitors``.
        StagingError: The run was given up.
    """
    reading = _planned(workspace, site, period, token)
    return sorted(set(range(len(reading.plan.units))) - set(reading.found()))


def finish_visitors(
    workspace: Workspace, site: SiteFile, period: Period, token: str, progress: Progress = silent
) -> Staging:
    """Put together what the units of a plan have left, and replace the period's staging with it.

    Units that were read before somebody asked to be left out are read again. Where it is tried again after it was
    killed, it goes on; after it was done, it changes nothing.

    Raises:
        ConfigurationError: The site file, or the program, is not that of the plan.
        SourceError: As for ``stage_visitors``.
        StagingError: The run was given up, a unit is not read, or as for ``stage_visitors``. Earlier staging stays as
            it was.
    """
    with _written_to(workspace), held(workspace, Population.VISITORS, period):
        earlier = earlier_manifest(workspace, Population.VISITORS, period)
        if earlier is not None and earlier.run == token:
            return load_staging(workspace, Population.VISITORS, period)
        with replace_staging(workspace, Population.VISITORS, period) as new:
            reading = _planned(workspace, site, period, token)
            manifest = _finish(reading, progress).write(new.place, progress)
            new.manifest = manifest = manifest.model_copy(update={"run": token})
        new.place.under(DRAFTS).clear()  # those of this run, which is the newest, and whatever is left of others
    return Staging(Population.VISITORS, period, new.place, manifest)


def _files(workspace: Workspace, site: SiteFile, period: Period) -> Mapping[str, Sequence[LogFile]]:
    site.require_period(Population.VISITORS, period)
    assert site.visitors is not None
    # A server writes a line when it has answered, so a period's last lines may stand in the next day's file.
    first, last = period.start - dt.timedelta(days=1), period.end
    days = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]
    base = workspace.site_file.parent
    return {
        SOURCE: find_logs(site.visitors.log_sources, base, days),
        ERRORS: find_logs(site.visitors.error_log_sources, base, days),
    }


def _with_earlier(workspace: Workspace, period: Period, files: Mapping[str, Sequence[LogFile]]) -> Logs:
    """Beside the logs that there are what was read of them before."""
    earlier = earlier_manifest(workspace, Population.VISITORS, period)
    return Logs(files, earlier.contents if earlier else {})


def _drafts(workspace: Workspace, period: Period, token: str) -> Place:
    return place_of(workspace, Population.VISITORS, period).under(DRAFTS, token)


def _planned(workspace: Workspace, site: SiteFile, period: Period, token: str) -> Reading:
    """The run of a token, which is still the period's newest."""
    drafts = _drafts(workspace, period, token)
    if (content := drafts.read(PLAN)) is None:
        raise StagingError(
            "a run that reads visitor logs must be the newest of its period",
            value=f"one of {period} that was finished or given up: another began later, it took more than a day, or "
            "the period was purged",
            remedy="Let the newest run end, or start ingest_visitors again.",
        )
    plan = documents.parse(json.loads(content), Plan, StagingError, PLAN)
    if plan.site != digest_of(site):
        raise ConfigurationError(
            "site file and program must stay the same while a period is read",
            value=f"others than those that {period} was planned with",
            remedy="Start ingest_visitors again; earlier staging is as it was.",
        )
    return Reading(workspace, site, period, plan, drafts)


def _finish(reading: Reading, progress: Progress) -> Finish:
    # A request that comes from here on waits for the lock, and is applied to what this run makes.
    tombstones = standing(reading.workspace, Population.VISITORS, reading.period)
    found, known = reading.found(), fingerprint(tombstones)
    if missing := len(reading.plan.units) - len(found):
        raise StagingError(
            "all units of visitor logs must be read before they are put together",
            value=f"{missing} of {len(reading.plan.units)} that are not",
            remedy="Run the read tasks of ingest_visitors that failed.",
        )
    read: list[UnitRead] = []
    for unit in range(len(reading.plan.units)):
        fresh = next((one for one in found[unit] if one.tombstones == known), None)
        read.append(fresh or reading.read(unit, progress))
    return Finish(reading, read, tombstones)


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
