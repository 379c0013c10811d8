"""Keys that one program makes and all programs of a site use: random bytes in a file that its owner alone reads."""

from __future__ import annotations

import functools
import secrets
from pathlib import Path
from typing import Final

from pipeline.disk import create_once
from pipeline.errors import ConfigurationError

_BYTES: Final = 32


@functools.lru_cache(maxsize=8)
def key_at(path: Path) -> bytes:
    """The key of a site, made when it is first needed; of two programs that make it at once both use the key of one.

    Raises:
        ConfigurationError: It cannot be read or written, or is no such key.
    """
    try:
        if not path.exists():
            create_once(path, secrets.token_bytes(_BYTES))
        key = path.read_bytes()
    except OSError as failure:
        raise _unusable(path, type(failure).__name__) from None
    if len(key) != _BYTES:
        raise _unusable(path, f"{len(key)} bytes")
    return key


def _unusable(path: Path, value: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path.name} must be a readable file of {_BYTES} bytes",
        value=value,
        remedy="Restore it from a backup, or remove it: it is made anew, and what was signed with it is void.",
    )
