"""Requests of people, their deadlines, retention and review, one step after the other: what their DAGs call.

As in ``flow``, arguments and results are references, and heavy parts are imported where they are used. Nothing of a
person is in either.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Final

from pipeline.errors import ConfigurationError, RequestError
from pipeline.progress import Progress, silent
from pipeline.workspace import Workspace

REQUESTS: Final = "subject_requests"
RETENTION: Final = "retention"

_log: Final = logging.getLogger(__name__)


def collect_requests() -> str:
    """Take in what waits in the drop folder and in the database table; returns ``subject_requests``.

    Raises:
        ConfigurationError: The key of requests is missing or another one, or others can reach the drop folder. What is
            not taken in stays where it is.
        SourceError: A file, or the table, cannot be read.
    """
    from pipeline.rights.collecting import collect
    from pipeline.site import load_site

    workspace = Workspace.from_environment()
    collect(workspace, load_site(workspace.site_file))
    return REQUESTS


def apply_requests(progress: Progress = silent) -> str:
    """Put every request that waits into force, in all staging that is held; returns ``subject_requests``.

    Raises:
        RequestError: Some cannot be put into force, because of a missing key for example; they stay open, and all
            others are in force.
        ConfigurationError: The key of requests is missing or another one; all stay open.
    """
    from pipeline.rights.applying import apply_requests as apply
    from pipeline.site import load_site

    workspace = Workspace.from_environment()
    done = apply(workspace, load_site(workspace.site_file), dt.datetime.now(dt.UTC), progress)
    if reasons := dict.fromkeys(one.reason for one in done.waiting):
        raise RequestError(
            "every request that waits must be put into force",
            value="; ".join(reasons),
            remedy="Remove what is in the way; these requests stay open until then, and are tried again every hour.",
        )
    return REQUESTS


def watch_requests() -> str:
    """See how long requests have waited: write the report, warn from 24 hours on, and fail from 48 on.

    Ages are those of this moment and not of the run's: a run that is late, or is repeated, tells no younger ones.

    Returns:
        The report, from the site's folder: ``reports/requests/report.html``.

    Raises:
        RequestError: A request is overdue.
    """
    from pipeline.rights.deadlines import named, watch

    workspace = Workspace.from_environment()
    seen = watch(workspace, dt.datetime.now(dt.UTC))
    if seen.warned:
        _log.warning("Past 24 hours, and not in force: %s", named(seen.warned))
    seen.require()
    return str(seen.report.relative_to(workspace.home))


def alert_deadline(hours: str, run: str, state: str) -> str:
    """Write down that a run of the DAG of requests is past one of its deadlines, and fail at the second.

    Args:
        hours: Which deadline, in hours.
        run: Id of the run.
        state: Its state.

    Returns:
        The file, from the site's folder.

    Raises:
        RequestError: It is the second: what came in before the run is about to be overdue, or is. The file is written.
    """
    from pipeline.rights.deadlines import alert, is_failure

    workspace = Workspace.from_environment()
    path = alert(workspace, dt.datetime.now(dt.UTC), int(hours), run, state)
    told = str(path.relative_to(workspace.home))
    if is_failure(int(hours)):
        raise RequestError(
            "a run must end before the requests that it collects are overdue",
            value=f"{run}, {state} after {hours} hours",
            remedy=f"See what it waits for, and end it; the next run goes on. {told} has more.",
        )
    return told


def purge_expired(as_of: str, progress: Progress = silent) -> str:
    """Destroy what is kept for a declared time only, and was due at an instant; returns ``retention``.

    Args:
        as_of: The instant, ISO 8601 with a time zone: that of the run, and never one that has not come yet.
        progress: Told of each period.

    Raises:
        ConfigurationError: The instant has not come yet: what is kept until then is not destroyed before.
        StagingError: Something could not be destroyed; everything else was.
    """
    from pipeline.rights import retention
    from pipeline.site import load_site

    workspace, when = Workspace.from_environment(), instant(as_of)
    if when > dt.datetime.now(dt.UTC):
        raise ConfigurationError(
            "nothing is destroyed before it is due",
            value=f"what is due at {as_of}, which has not come yet",
            remedy="Start the run without a date, or with one that is past.",
        )
    retention.purge_expired(workspace, load_site(workspace.site_file), when, progress)
    return RETENTION


def sweep_leftovers() -> str:
    """Remove what killed runs have left; returns what, in kinds and numbers.

    Raises:
        StagingError: Something cannot be removed; everything else was.
    """
    from pipeline.rights.sweeping import sweep

    return str(sweep(Workspace.from_environment(), dt.datetime.now(dt.UTC)))


def review_everything(progress: Progress = silent) -> str:
    """Check everything that was published, and all that is kept, against what was promised, and write the report.

    Returns:
        The report, from the site's folder: ``reports/periodic/2026-12/report.html``.

    Raises:
        ChecksFailedError: Something is not as it was promised; the report is there and says what.
    """
    from pipeline.rights import periodic
    from pipeline.site import load_site

    workspace = Workspace.from_environment()
    found = periodic.review_everything(workspace, load_site(workspace.site_file), dt.datetime.now(dt.UTC), progress)
    report = periodic.write_report(workspace, found)
    found.require()
    return str(report.relative_to(workspace.home))


def instant(text: str) -> dt.datetime:
    """Read an instant.

    Raises:
        ConfigurationError: It is none, or has no time zone.
    """
    try:
        found: dt.datetime | None = dt.datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ConfigurationError(
            "an instant must be in ISO 8601, with a time zone",
            value=repr(text[:40]),
            remedy="Write it as 2026-10-25T03:30:00+01:00.",
        )
    return found
