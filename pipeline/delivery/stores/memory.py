"""What was put into a store, so that nothing is sent twice, also where the recipient has taken it away since.

It is no authority: where it is lost, what lies in the store is compared and nothing is sent that is there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, ValidationError

from pipeline.disk import replace_file
from pipeline.documents import Document
from pipeline.workspace import Workspace


class Memory(Document):
    """What lies in one store of one recipient."""

    store: str
    """Its address."""
    editions: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of the signature of each edition that is there whole, by ``{shelf}/{product}/{period}/r{N}``."""
    withdrawn: dict[str, str] = Field(default_factory=dict)
    """The same of tombstones."""
    pages: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of each file that changes, by its path."""


class Memories:
    """The memory of one store, kept in a file.

    Args:
        workspace: Of the site.
        recipient: Whose store.
        store: Its address.
    """

    def __init__(self, workspace: Workspace, recipient: str, store: str) -> None:
        digest = hashlib.sha256(store.encode()).hexdigest()[:12]
        self._path = workspace.sent / f"{recipient}-{digest}.json"
        self._store = store

    def read(self) -> Memory:
        """What was put there; nothing where nobody remembers."""
        try:
            return Memory.model_validate_json(self._path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return Memory(store=self._store)

    def keep(self, memory: Memory) -> None:
        """Remember; the caller holds ``exclusive``."""
        content = json.dumps(memory.model_dump(mode="json"), indent=1, sort_keys=True)
        replace_file(self._path, content.encode(), 0o600)

    @contextmanager
    def exclusive(self) -> Iterator[Memory]:
        """Hold the one right to write into the store; waits for whoever holds it.

        Yields:
            What was put there.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file closes, also when the process is killed
            yield self.read()

    @property
    def _lock(self) -> Path:
        return self._path.with_suffix(".lock")
