"""What several rooms ask of the disk."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

# What systems say, and engines after them, where a file cannot be written for want of room.
_NO_ROOM: Final = ("No space left on device", "Disk quota exceeded", "File too large")


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_once(path: Path, content: bytes) -> None:
    """Write a file that its owner alone reads (0600), where there is none; its folder too (0700).

    A hard link either appears whole or fails: of two programs that make it at once both find the content of one.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
    finally:
        made.unlink()
    sync_folder(path.parent)


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place in one step, whole or not at all, with these permissions."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def tells_of_no_room(message: str) -> bool:
    """Whether an error's message is about a disk that is full."""
    return any(part in message for part in _NO_ROOM)
