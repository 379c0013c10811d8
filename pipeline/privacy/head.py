"""How far the ledger has come, written down beside it: a ledger that is older than that was put back, and is refused.

A database that was restored from an earlier copy knows nothing of what was drawn and published since. It would draw
that again, and spend its budget a second time. So the site's folder keeps number and digest of the newest entry that
a draw, a publication or a request of a person has left. They only move forward, and a ledger whose chain does not
hold that entry draws and publishes nothing. The same goes for a PostgreSQL that lost its last transactions.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
from pydantic import Field, ValidationError

from pipeline.disk import replace_file
from pipeline.documents import Document
from pipeline.errors import LedgerError
from pipeline.privacy import chain, database
from pipeline.privacy.database import Database
from pipeline.workspace import Workspace


class Head(Document):
    """The newest entry of a ledger at some time."""

    number: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    def to_bytes(self) -> bytes:
        """One line of JSON."""
        return (json.dumps(self.model_dump(), separators=(",", ":")) + "\n").encode()


def require_seen(workspace: Workspace) -> None:
    """Refuse a ledger that lacks an entry which the site has seen.

    Raises:
        LedgerError: It is an older one, or another one.
    """
    seen = seen_by(workspace)  # before the ledger: it only grows in between
    if seen is not None:
        require_holds(database.opened(workspace.ledger), seen)


def require_holds(store: Database, seen: Head) -> None:
    """Refuse a ledger whose chain does not hold an entry.

    Raises:
        LedgerError: It does not.
    """
    with store.reading() as connection:
        digest = connection.execute(_AT, {"number": seen.number}).scalar()
        number, _ = chain.last(connection)
    if digest != seen.sha256:
        found = f"only {number}" if number < seen.number else "another"
        raise LedgerError(
            "the ledger must hold every entry that this site has seen: what was drawn once is not drawn again",
            value=f"{found} where entry {seen.number} begins with {seen.sha256[:12]}, in {store.name}",
            remedy="An older or another ledger was put back, or a restore did not end. Put the newest one back; "
            "docs/recover.md says what to do where there is none.",
        )


def advance(workspace: Workspace) -> None:
    """Write down how far the ledger has come.

    Raises:
        LedgerError: The ledger cannot be read, or what stands there is not readable.
    """
    with database.opened(workspace.ledger).reading() as connection:
        number, digest = chain.last(connection)
    if number:
        move_to(workspace, Head(number=number, sha256=digest))


def move_to(workspace: Workspace, head: Head) -> None:
    """Write down a head, unless a later one stands there.

    Raises:
        LedgerError: What stands there is not readable.
    """
    with _alone(workspace.ledger_head):
        standing = seen_by(workspace)
        if standing is None or standing.number < head.number:
            replace_file(workspace.ledger_head, head.to_bytes(), 0o644)


def seen_by(workspace: Workspace) -> Head | None:
    """The newest entry that a site has seen; None where nothing was written down yet.

    Raises:
        LedgerError: What stands there is not readable: fails closed.
    """
    try:
        return Head.model_validate_json(workspace.ledger_head.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as failure:
        raise LedgerError(
            f"{workspace.ledger_head.name} must be readable, as the program wrote it",
            value=type(failure).__name__,
            remedy="Check its permissions. Remove it only where the ledger is known to be the newest there ever was.",
        ) from None


_AT = sa.select(chain.ENTRIES.c.sha256).where(chain.ENTRIES.c.number == sa.bindparam("number"))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the one right to move the head; a later one is never replaced by an earlier one."""
    with path.with_name(f".{path.name}.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file closes, also when the process is killed
        yield
