"""Signs again what a revoked key had signed, where the ledger says that the publisher meant it.

A signature by a stolen key says nothing. What the publisher signed stands in the ledger: the digest of each manifest,
and each withdrawal. These bundles and tombstones get a signature by the current key in one step; no other byte of them
changes. Nothing else is signed: it may be the thief's.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.disk import sync_folder
from pipeline.errors import LedgerError, PublicationError, VerificationError
from pipeline.privacy.ledger import Ledger
from pipeline.publication import files
from pipeline.publication.key_list import KeyState
from pipeline.publication.key_ring import KeyRing, signed_digests
from pipeline.publication.manifest import MANIFEST_NAME, SIGNATURE_NAME, Manifest, file_entry
from pipeline.publication.shelf import (
    TOMBSTONE_NAME,
    TOMBSTONE_SIGNATURE_NAME,
    Tombstone,
    audience_of,
    bundle_folders,
    key_at,
    place_of,
    tombstone_of,
)
from pipeline.publication.signing import sign, signer_id
from pipeline.publication.withdrawal import sign_tombstone, tombstones


@dataclass(frozen=True)
class Resealed:
    """What became of everything that revoked keys had signed.

    Attributes:
        places: Of bundles and tombstones that were signed anew just now.
        refused: Of those that were not: the ledger does not say that the publisher signed them.
    """

    places: tuple[str, ...]
    refused: tuple[str, ...]

    def require(self) -> None:
        """Say loudly what was not signed.

        Raises:
            PublicationError: Something was not.
        """
        if self.refused:
            raise PublicationError(
                "what is signed again must be what the ledger says that the publisher signed; all else was done",
                value=", ".join(self.refused[:10]),
                remedy="Find out who put it there and restore it from a backup; of a part, remove the folder and run "
                "demographics deliver.",
            )


def reseal(published: Path, ring: KeyRing) -> Resealed:
    """Sign anew what revoked keys had signed and the ledger knows; doing it again does what is left.

    Args:
        published: The folder of all bundles; its lock is held.
        ring: The keys.

    Raises:
        LedgerError: The ledger cannot be read, or its chain is broken: then nothing is signed.
    """
    revoked = {one.id: one.since for one in ring.listed.keys if one.state is KeyState.REVOKED}
    found = list(_signed_by(published, revoked)) if revoked else []
    if not found:
        return Resealed((), ())
    signed = signed_digests(ring.ledger)
    made = {
        folder: _anew(folder, ring, signed.get(place_of(folder), set()), dt.datetime.fromisoformat(since))
        for folder, since in found
    }
    places = tuple(place_of(folder) for folder, one in made.items() if one is not None)
    if places:
        ring.note_resealed(places)
    for folder, one in made.items():
        if one is not None:
            _exchange(folder, *one)
    return Resealed(places, tuple(place_of(folder) for folder, one in made.items() if one is None))


def _signed_by(published: Path, revoked: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Bundles and tombstones by one of these keys, with the time since when it is revoked."""
    for folder in bundle_folders(published):
        for name in (SIGNATURE_NAME, TOMBSTONE_SIGNATURE_NAME):
            with contextlib.suppress(FileNotFoundError):
                signer = signer_id((folder / name).read_bytes())
                if signer in revoked:
                    yield folder, revoked[signer]


def _anew(folder: Path, ring: KeyRing, digests: set[str], since: dt.datetime) -> tuple[str, bytes] | None:
    """Name and content of a signature by the current key; None where the ledger does not vouch for what it is of."""
    try:
        stone = tombstone_of(folder)
        if stone is not None:
            known = _is_known_stone(folder, stone, ring.ledger, digests)
            return (TOMBSTONE_SIGNATURE_NAME, sign_tombstone(ring, stone, since)) if known else None
        content = (folder / MANIFEST_NAME).read_bytes()
        if file_entry(MANIFEST_NAME, content).sha256 not in digests:
            return None
        manifest = Manifest.from_bytes(content)
    except (OSError, LedgerError, PublicationError, VerificationError):  # not whole, or of nothing that was published
        return None
    at = dt.datetime.fromisoformat(manifest.provenance.approval.decided_at)
    return SIGNATURE_NAME, sign(ring.pair, content, at, manifest.subject, resealed_at=since)


def _is_known_stone(folder: Path, stone: Tombstone, ledger: Ledger, digests: set[str]) -> bool:
    """Whether a tombstone is what a withdrawal in the ledger puts there, of a manifest that the publisher signed."""
    meant = tombstones(ledger, key_at(folder)).get(audience_of(place_of(folder).split("/")[0]))
    if meant is None or stone.manifest_sha256 not in digests:
        return False
    meant = meant.model_copy(update={"manifest_sha256": stone.manifest_sha256})
    return (folder / TOMBSTONE_NAME).read_bytes() == meant.to_bytes()


def _exchange(folder: Path, name: str, content: bytes) -> None:
    # Beside the bundle, whose folder holds nothing that its manifest does not list, at no moment.
    draft = folder.with_name(f".{folder.name}.{name}{files.PARTIAL}")
    draft.unlink(missing_ok=True)
    files.write_durably(draft, content)
    draft.replace(folder / name)
    sync_folder(folder)
