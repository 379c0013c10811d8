"""A site with something of everything that a backup holds, and backups of it."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from pipeline.deidentify.pseudonyms import period_key
from pipeline.delivery.tokens import Tokens
from pipeline.disk import create_once
from pipeline.keys import key_at
from pipeline.periods import Period
from pipeline.privacy import database
from pipeline.privacy.head import advance
from pipeline.publication.withdrawal import withdraw
from pipeline.recovery import sealing, taking
from pipeline.recovery.opening import Opened
from pipeline.recovery.restoring import Terms, restore
from pipeline.recovery.sealing import BackupKey
from pipeline.recovery.tables import LEFT_OUT
from pipeline.review.accounts import Accounts
from pipeline.rights.store import Origin, RequestStore
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.accounts import PASSWORD, quick
from tests.delivering import DeliveredSite, small
from tests.unit.rights.asking import customer

NOW: Final = dt.datetime(2026, 12, 1, 3, tzinfo=dt.UTC)
STANDING, GONE = ReleaseKey("weekly", "2026-W41"), ReleaseKey("weekly", "2026-W40")
WEEKLY: Final = small(release="weekly", audiences={"partner": ["by_browser", "by_section"]})
HOME: Final = Terms()
ROWS: Final = f"ledger/{database.VERSIONS[-1]}/"  # of tables, in a backup
SOMEBODY: Final = b"erika.mustermann@example.net"


@dataclass(frozen=True)
class Known:
    """A site, and what somebody knows of it who has its backups.

    Attributes:
        site: That was backed up.
        key: That opens backups.
        key_file: Where that is.
        public: Whom backups are sealed for.
        open: A token that opens the portal.
        revoked: One that does not any more.
    """

    site: DeliveredSite
    key: BackupKey
    key_file: Path
    public: str
    open: str
    revoked: str

    @property
    def workspace(self) -> Workspace:
        """The site's folder."""
        return self.site.workspace

    def backed_up(self, target: Path, of: Workspace | None = None) -> Path:
        """Make a backup, of a copy perhaps; where it is."""
        return taking.back_up(of or self.workspace, target, sealing.recipients(self.public), NOW).path

    def restored(self, backup: Path, home: Path, terms: Terms = HOME) -> Opened:
        """Restore a backup into a folder."""
        return restore(backup, self.key, Workspace(home), terms)


def site_with_everything(folder: Path) -> Known:
    """A published release and a withdrawn one, recipients and their tokens, a reviewer, a request that waits."""
    site = DeliveredSite(folder / "site")
    workspace, ana = site.workspace, site.reviewer()
    for key in (GONE, STANDING):
        site.deliver(WEEKLY, key.period, ana)
    withdraw(workspace, GONE, ana, "The logs of Friday were missing")
    acme = {"name": "acme", "title": "Acme", "audience": "partner", "receives": {"weekly": {}}}
    site.entitle(ana, {"recipients": [acme]})
    tokens = Tokens.of(workspace)
    living, ended = tokens.issue("acme"), tokens.issue("acme")
    tokens.revoke(ended.number)
    Accounts.of(workspace, quick()).add("rosa", PASSWORD)
    RequestStore.open(workspace).receive(customer(), Origin.COMMAND_LINE)
    for path in (workspace.portal_key, workspace.webhook_key):
        key_at(path)
    _what_stays_away(workspace)
    advance(workspace)
    key_file = folder / "elsewhere" / "backup.key"
    public = sealing.make_key(key_file)
    return Known(site, BackupKey.read(key_file), key_file, public, living.secret, ended.secret)


def _what_stays_away(workspace: Workspace) -> None:
    """What is kept for a declared time alone, or is somebody's."""
    period_key(workspace, Population.VISITORS, Period.parse("2026-W41"))
    for name in ("staging/visitors/2026-W41/events.parquet", "access/one/facts.json", "inbox/requests.csv"):
        create_once(workspace.home / name, SOMEBODY)


def files_of(home: Path) -> dict[str, bytes]:
    """All files of a site but its ledger and locks, by path."""
    found = {path.relative_to(home).as_posix(): path for path in home.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if not name.startswith("ledger.db") and not any(part.startswith(".") for part in name.split("/"))
    }


def rows_of(address: Path | str) -> Mapping[str, list[tuple[Any, ...]]]:
    """All rows of a ledger but who is logged in, by table."""
    found = sa.MetaData()
    with database.at(address).reading() as connection:
        found.reflect(connection)
        return {
            table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
            for table in found.sorted_tables
            if table.name not in LEFT_OUT
        }


def copied(workspace: Workspace, folder: Path) -> Workspace:
    """A copy of a site, to be broken."""
    shutil.copytree(workspace.home, folder)
    return Workspace(folder)
