"""Writes down a made-up site as one version of the program left it: its ledger, what is small beside it, what it read.

Run by the path of this file, it writes down what an earlier program left, with that program's own code::

    cd checkout-of-that-time && PYTHONPATH=. python .../recording.py HOME FOLDER
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.privacy.ledger import Ledger
from pipeline.spec import ReleaseKey
from pipeline.workspace import Workspace

# Of the site's folder; the rest is large, or never read again.
KEPT = (
    "site.yaml",
    "policy.yaml",
    "entitlements.yaml",
    "keys/reviewers",
    "keys/subjects.key",
    "keys/webhooks.key",
    "published",
)
YEAR_TO = dt.date(2026, 10, 19)


def record(home: Path, folder: Path) -> None:
    """Write down a site.

    Args:
        home: Its folder; its ledger is the SQLite file in it.
        folder: Of the version; made.
    """
    folder.mkdir()
    told = json.dumps(tell(Workspace(home)), indent=1, sort_keys=True)
    (folder / "told.json").write_text(f"{told}\n", "utf-8")
    with closing(sqlite3.connect(home / "ledger.db")) as connection:
        (folder / "ledger.sql").write_text("\n".join([*dump(connection), ""]), "utf-8")
    for name in KEPT:
        target = folder / "site" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (home / name).is_dir():
            shutil.copytree(home / name, target, ignore=shutil.ignore_patterns(".*"))
        elif (home / name).is_file():
            shutil.copyfile(home / name, target)


def tell(workspace: Workspace) -> dict[str, Any]:
    """What the program that runs reads in the ledger of a site; of rooms that it has not, nothing."""
    ledger = Ledger.open(workspace.ledger)
    entries = ledger.entries()
    keys = sorted({entry.key for entry in entries if entry.kind == "reserved"})
    told: dict[str, Any] = {
        "head": [entries[-1].number, entries[-1].sha256],
        "releases": {str(key): _release(ledger, key) for key in keys},
        "spent": _spent(workspace, ledger),
    }
    for room in (_requests, _reviewers, _recipients):
        with contextlib.suppress(ImportError):
            told |= room(workspace)
    return told


def _release(ledger: Ledger, key: ReleaseKey) -> dict[str, Any]:
    artefact, checks = ledger.artefact(key), ledger.checks(key)
    assert artefact is not None
    assert checks is not None
    return {
        "state": str(ledger.state(key)),
        "tables_sha256": hashlib.sha256(artefact).hexdigest(),
        "checks_sha256": hashlib.sha256(checks).hexdigest(),
    }


def _spent(workspace: Workspace, ledger: Ledger) -> dict[str, float]:
    from pipeline.site import load_site

    caps = load_site(workspace.site_file).budget
    return {str(who): round(ledger.spent(who, YEAR_TO, cap).epsilon, 9) for who, cap in caps.items()}


def _requests(workspace: Workspace) -> dict[str, Any]:
    from pipeline.rights.store import RequestStore

    rows = RequestStore.open(workspace).rows()
    return {"requests": sorted([row.id, str(row.kind), str(row.population), str(row.state)] for row in rows)}


def _reviewers(workspace: Workspace) -> dict[str, Any]:
    from pipeline.review.accounts import Accounts
    from pipeline.review.decisions import Register

    accounts, register = Accounts.of(workspace), Register.of(workspace)
    decisions = {key: register.decisions(key) for key in register.histories}
    return {
        "decisions": {
            str(key): [[str(one.kind), one.payload["reviewer"]] for one in decisions[key]] for key in decisions
        },
        "reviewers": list(accounts.names()),
        "reviewer_events": [[event.account, str(event.what)] for event in accounts.events()],
        "waiting": [str(key) for key in register.waiting()],
    }


def _recipients(workspace: Workspace) -> dict[str, Any]:
    from pipeline.delivery.approvals import Approvals
    from pipeline.delivery.downloads import Downloads
    from pipeline.delivery.outbox import Outbox
    from pipeline.delivery.tokens import Tokens

    return {
        "entitled": [one.name for one in Approvals.of(workspace).in_force().recipients],
        "tokens": [[one.number, one.recipient, one.revoked is None] for one in Tokens.of(workspace).listed()],
        "downloads": [[one.download.recipient, one.download.file] for one in Downloads.of(workspace).listed()],
        "notices": [[one.subject.recipient, str(one.state)] for one in Outbox.of(workspace).listed()],
    }


def dump(connection: sqlite3.Connection) -> Iterator[str]:
    """The statements that make a database again, in an order that triggers allow, with text for bytes that are text."""
    made = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
    ).fetchall()
    tables = [(name, sql) for kind, name, sql in made if kind == "table"]
    yield from (f"{sql};" for _, sql in tables)
    for name, _ in tables:
        for row in connection.execute(f'SELECT * FROM "{name}" ORDER BY rowid'):
            yield f'INSERT INTO "{name}" VALUES ({", ".join(map(_literal, row))});'
    yield from (f"{sql};" for kind, _, sql in made if kind != "table")


def _literal(value: object) -> str:
    if isinstance(value, bytes):
        try:
            return f"CAST({_literal(value.decode())} AS BLOB)"
        except UnicodeDecodeError:
            return f"X'{value.hex()}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "NULL" if value is None else repr(value)


if __name__ == "__main__":
    record(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
