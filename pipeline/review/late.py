"""Candidates on which nobody decided in time: who should look is told by a file, which names nobody."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final

from pipeline.alerts import write_alert
from pipeline.privacy.chain import EntryKind
from pipeline.review.decisions import Register
from pipeline.review.links import page_of
from pipeline.spec import ReleaseKey
from pipeline.workspace import Workspace

_NOT_YET: Final = "its draw and its checks"
_REVIEWERS: Final = "its reviewers"


def alerts(workspace: Workspace) -> Path:
    """Where alerts of the review are: one JSON file each."""
    return workspace.home / "reports" / "review" / "alerts"


def alert(register: Register, folder: Path, key: ReleaseKey, hours: float, run: str, state: str) -> Path | None:
    """Write down that a run of an export is past its deadline, unless nobody need decide any more.

    Args:
        register: That holds the release.
        folder: Of alerts.
        key: Of the release, as it stands.
        hours: After how many hours of the run.
        run: Its id, as Airflow made it.
        state: Its state, as Airflow has it.

    Returns:
        The file: which release waits for what, since when, and where to decide. None where it is decided.

    Raises:
        ConfigurationError: The file cannot be written.
        LedgerError: The ledger cannot be read, or its chain is broken.
    """
    checked = register.ledger.newest(EntryKind.CHECKED, key)
    if checked is not None and not register.is_waiting(key):
        return None
    told = {
        "release": key.release,
        "period": key.period,
        "revision": key.revision,
        "waits for": _REVIEWERS if checked else _NOT_YET,
        "since": checked.at if checked else None,
        "decisions": len(register.decisions(key)),
        "page": page_of(key),
    }
    return write_alert(folder, dt.datetime.now(dt.UTC), hours, level="warning", run=run, state=state, **told)
