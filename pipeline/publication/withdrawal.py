"""Withdrawing what was published: the word of a reviewer first, then the bundles go and tombstones stay."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Mapping

from pipeline.disk import sync_folder
from pipeline.errors import LedgerError
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.publication import files, shelf
from pipeline.publication.key_ring import KeyRing, open_ring
from pipeline.publication.manifest import MANIFEST_NAME, file_entry
from pipeline.publication.shelf import TOMBSTONE_NAME, TOMBSTONE_SIGNATURE_NAME, Tombstone
from pipeline.publication.signing import sign
from pipeline.release.artefact import PrivateRelease
from pipeline.review.decisions import Register
from pipeline.review.reviewers import Signer
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience
from pipeline.workspace import Workspace


def withdraw(workspace: Workspace, key: ReleaseKey, signer: Signer, reason: str) -> bool:
    """Withdraw a published release, and take its bundles from all audiences.

    The ledger has the decision first: where this is killed in between, doing it again takes the bundles away.

    Args:
        workspace: Of the site.
        key: Of the release.
        signer: The reviewer.
        reason: Why, in one line; recipients read it.

    Returns:
        False where it was withdrawn before; its bundles are gone then too.

    Raises:
        NotApprovedError: The reason is missing, or the reviewer is none.
        LedgerError: It was not published.
        PublicationError: A bundle cannot be taken away. The release is withdrawn.
    """
    register = Register.of(workspace)
    new = register.withdraw(key, signer, reason)
    take_away(workspace, register.ledger, key)
    return new


def take_away(workspace: Workspace, ledger: Ledger, key: ReleaseKey) -> None:
    """Put tombstones in the place of a withdrawn release's bundles; those that stand there already stay.

    Raises:
        LedgerError: It is not withdrawn.
        PublicationError: A folder cannot be written.
    """
    stones = tombstones(ledger, key)
    with files.as_publication_errors(workspace.published), files.exclusive(workspace.published):
        files.sweep(workspace.published)
        ring = open_ring(workspace)
        by_shelf = stones | _of_parts(workspace, key, stones)
        for name, stone in by_shelf.items():
            _put_up(stone, workspace, name, ring)
        shelf.refresh(workspace.published, by_shelf, key.release)


def _of_parts(workspace: Workspace, key: ReleaseKey, stones: Mapping[str, Tombstone]) -> dict[str, Tombstone]:
    """Tombstones for the shelves of parts of what audiences receive, each of the bundle that stands there."""
    found = {}
    for place in sorted(workspace.published.glob(f"*-*/{key.release}/{key.period}/r{key.revision}")):
        name = place.parents[2].name
        stone = stones.get(shelf.audience_of(name))
        if stone is not None and shelf.tombstone_of(place) is None:
            digest = file_entry(MANIFEST_NAME, (place / MANIFEST_NAME).read_bytes()).sha256
            found[name] = stone.model_copy(update={"manifest_sha256": digest})
    return found


def _put_up(stone: Tombstone, workspace: Workspace, name: str, ring: KeyRing) -> None:
    place = workspace.bundle(name, stone.release, stone.period, stone.revision)
    if shelf.tombstone_of(place) is not None:
        return
    content, signature = stone.to_bytes(), sign_tombstone(ring, stone)
    # A run that is killed between the two renamings leaves nothing to read, and the next one puts the tombstone up.
    made, gone = (place.with_name(f".{place.name}.{what}{files.PARTIAL}") for what in ("stone", "gone"))
    files.fill_folder(made, {TOMBSTONE_NAME: content, TOMBSTONE_SIGNATURE_NAME: signature})
    if place.exists():
        place.rename(gone)
    made.rename(place)
    sync_folder(place.parent)
    shutil.rmtree(gone, ignore_errors=True)


def sign_tombstone(ring: KeyRing, stone: Tombstone, resealed_at: dt.datetime | None = None) -> bytes:
    """The signature of a tombstone, ``signing.sign``."""
    at = dt.datetime.fromisoformat(stone.withdrawn_at)
    subject = f"{stone.audience}/{stone.release}/{stone.period}/r{stone.revision} withdrawn"
    return sign(ring.pair, stone.to_bytes(), at, subject, TOMBSTONE_NAME, resealed_at)


def tombstones(ledger: Ledger, key: ReleaseKey) -> dict[str, Tombstone]:
    """What stands in the place of a withdrawn release's bundles, by audience.

    Raises:
        LedgerError: It is not withdrawn.
    """
    newest = {entry.kind: entry for entry in ledger.entries(key)}
    published, withdrawn = newest.get(EntryKind.PUBLISHED), newest.get(EntryKind.WITHDRAWN)
    if published is None or withdrawn is None:
        raise LedgerError("what is taken away must be published and withdrawn", value=key)
    return _by_audience(_title(ledger, key), published, withdrawn)


def _by_audience(title: str, published: Entry, withdrawn: Entry) -> dict[str, Tombstone]:
    return {
        audience: Tombstone(
            release=withdrawn.key.release,
            period=withdrawn.key.period,
            revision=withdrawn.key.revision,
            audience=Audience(audience),
            title=title,
            issued=published.at,
            withdrawn_at=withdrawn.at,
            reason=withdrawn.payload["reason"],
            manifest_sha256=digest,
        )
        for audience, digest in sorted(published.payload["manifests"].items())
    }


def _title(ledger: Ledger, key: ReleaseKey) -> str:
    return PrivateRelease.from_bytes(ledger.artefact(key) or b"").header.title
