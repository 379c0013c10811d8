"""Who got an edition, and how each of them is told when it is withdrawn."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from pipeline.delivery.channels import told_how
from pipeline.delivery.downloads import Downloads, Reader
from pipeline.delivery.entitlements import Entitlements
from pipeline.publication.shelf import Edition, edition_at
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience
from pipeline.workspace import Workspace

_SECOND: Final = dt.timedelta(seconds=1)


@dataclass(frozen=True)
class Told:
    """Somebody who got an edition.

    Attributes:
        reader: Who, when, and how much.
        how: How they are told of what becomes of it: ``webhook, e-mail``, or ``by hand``.
    """

    reader: Reader
    how: str


def readers_of(workspace: Workspace, key: ReleaseKey) -> tuple[Reader, ...]:
    """Everybody who got anything of an edition, by name, also within a file of all periods.

    Raises:
        LedgerError: The ledger's database cannot be read.
        PublicationError: What stands on the shelf cannot be read.
    """
    named = key.release, key.period, key.revision
    found = [edition for audience in Audience if (edition := edition_at(workspace.published / audience, *named))]
    return Downloads.of(workspace).readers(*named, there_of(found[0]) if found else None)


def told_of(workspace: Workspace, key: ReleaseKey, entitlements: Entitlements) -> tuple[Told, ...]:
    """The same, with how each is told; see ``readers_of``."""
    return tuple(Told(one, told_how(entitlements, one.recipient)) for one in readers_of(workspace, key))


def there_of(edition: Edition) -> tuple[dt.datetime, dt.datetime | None]:
    """Since when an edition was there, and until when; to the end of the second that its tombstone tells."""
    ends = dt.datetime.fromisoformat(edition.withdrawn_at) + _SECOND if edition.withdrawn_at else None
    return dt.datetime.fromisoformat(edition.issued), ends
