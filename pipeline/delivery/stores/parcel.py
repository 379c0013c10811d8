"""One edition on its way into a store, and out of it: in an order in which no reader is ever misled.

Readers take a folder for a release where it has a manifest. The manifest comes last and goes first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.delivery.stores.store import Store
from pipeline.errors import VerificationError
from pipeline.publication.manifest import MANIFEST_NAME, SIGNATURE_NAME, FileEntry, Manifest, file_entry
from pipeline.publication.seal import read_part
from pipeline.publication.shelf import TOMBSTONE_NAME, TOMBSTONE_SIGNATURE_NAME

# Told before a file is given out: its name, how many files are through, and how many there are.
Giving = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Parcel:
    """One edition and its place in a store.

    Attributes:
        folder: Where it is published.
        path: ``{shelf}/{product}/{period}/r{N}``, in the store.
    """

    folder: Path
    path: str

    def seal(self, name: str) -> str:
        """SHA-256 of a signature, which is another one where the manifest or the tombstone is, or is signed anew."""
        return _digest(read_part(self.folder, name))

    def send(self, store: Store, giving: Giving) -> None:
        """Put every file that is not there yet, the manifest last; what is there must be the same.

        Args:
            store: Where to.
            giving: Called before each file is given out; what it raises stops it.

        Raises:
            OccupiedError: A file there is another one.
            VerificationError: The bundle is not what its manifest says; nothing of it is given out from there on.
            DeliveryError: The store cannot be reached or written.
        """
        there, entries = store.sweep(self.path), list(self._entries())
        for done, entry in enumerate(entries):
            place = f"{self.path}/{entry.path}"
            if entry.path in there and there[entry.path] == entry.bytes and _digest(store.read(place)) == entry.sha256:
                continue
            content = self._content(entry)
            giving(entry.path, done, len(entries))
            if entry.path == SIGNATURE_NAME:  # made anew where the key before was revoked
                store.replace(place, content)
            else:
                store.put(place, content)

    def take_back(self, store: Store) -> None:
        """Put the tombstone in the place of the bundle, of which the manifest goes first and everything else last.

        Raises:
            OccupiedError: Another tombstone stands there.
            DeliveryError: The store cannot be reached or written.
        """
        there = store.sizes(self.path)
        for name in (MANIFEST_NAME, SIGNATURE_NAME):
            if name in there:
                store.remove(f"{self.path}/{name}")
        store.replace(f"{self.path}/{TOMBSTONE_SIGNATURE_NAME}", read_part(self.folder, TOMBSTONE_SIGNATURE_NAME))
        store.put(f"{self.path}/{TOMBSTONE_NAME}", read_part(self.folder, TOMBSTONE_NAME))
        for name in sorted(set(there) - {MANIFEST_NAME, SIGNATURE_NAME, TOMBSTONE_NAME, TOMBSTONE_SIGNATURE_NAME}):
            store.remove(f"{self.path}/{name}")

    def _entries(self) -> Iterator[FileEntry]:
        """The files in the order of sending: those that the manifest lists, their sums, its signature, itself."""
        content = read_part(self.folder, MANIFEST_NAME)
        manifest = Manifest.from_bytes(content)
        yield from manifest.files
        yield manifest.sums
        yield file_entry(SIGNATURE_NAME, read_part(self.folder, SIGNATURE_NAME))
        yield file_entry(MANIFEST_NAME, content)

    def _content(self, entry: FileEntry) -> bytes:
        content = read_part(self.folder, entry.path)
        if len(content) != entry.bytes or _digest(content) != entry.sha256:
            raise VerificationError(
                "a bundle must be what its manifest says before it is sent",
                value=f"{self.path}/{entry.path}, which is not",
                remedy="Restore the bundle from a backup; nothing more of it is sent.",
            )
        return content


def _digest(content: bytes | None) -> str:
    return hashlib.sha256(content or b"").hexdigest()
