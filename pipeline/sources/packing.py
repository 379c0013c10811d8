"""Unpacking of log files: gzip, bzip2 and zstd, told by how they begin and read piece by piece.

Several members or frames after each other are read on. A file that is cut off, damaged, or has something else after
its end is an error, whatever of it could be read: half a log would be counted as a whole one.
"""

from __future__ import annotations

import bz2
import io
import re
from typing import Final, Protocol

import pyarrow as pa

from pipeline.errors import SourceError

_CHUNK: Final = 64 << 10  # packed bytes that are read at a time
_MAGIC: Final = {
    "gzip": re.compile(rb"\x1f\x8b"),
    # A stream of bzip2 goes on with the digits of pi, or of its square root if it is empty.
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", re.DOTALL),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),  # the second: a frame to be skipped
}
_LONGEST: Final = 10
_UNREAD: Final = {
    "xz": re.compile(rb"\xfd7zXZ\0"),
    "zip": re.compile(rb"PK\x03\x04"),
    "lz4": re.compile(rb"\x04\x22\x4d\x18"),
    "7z": re.compile(rb"7z\xbc\xaf\x27\x1c"),
    "compress": re.compile(rb"\x1f\x9d"),
}
_NAMES: Final = {".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd"}


class Stream(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many of the next bytes; none at the end."""


def packing_of(stored: io.BufferedReader, label: str) -> str | None:
    """How a file is packed: ``gzip``, ``bzip2``, ``zstd``, or not at all.

    Args:
        stored: The file, at its beginning; it stays there.
        label: Its name; one that ends with ``.gz``, ``.bz2`` or ``.zst`` promises something.

    Raises:
        SourceError: It is packed in a way that is not read, or not packed though its name says so.
    """
    start = stored.peek(_LONGEST)
    for packing, magic in _MAGIC.items():
        if magic.match(start):
            return packing
    for packing, magic in _UNREAD.items():
        if magic.match(start):
            raise SourceError(
                "a log must be plain, or packed with gzip, bzip2 or zstd",
                value=f"{packing} in {label}",
                remedy="Unpack it, or pack it with one of these.",
            )
    for ending, packing in _NAMES.items():
        if label.endswith(ending):
            raise _damaged(packing, label)
    return None


def unpacked(stored: io.BufferedReader, label: str) -> Stream:
    """The bytes of a file that may be packed; memory stays bounded, however far it unpacks.

    Raises:
        SourceError: See ``packing_of``; reading raises it where the file is cut off or damaged.
    """
    packing = packing_of(stored, label)
    if packing is None:
        return stored
    if packing == "bzip2":
        return _Unpacked(_Bzip2(stored), packing, label)
    codec = pa.CompressedInputStream(pa.PythonFile(stored, "r"), packing)
    return _Unpacked(codec, packing, label)


class _Unpacked:
    """A stream whose failures are those of a damaged file; those of storage are told before they get here."""

    def __init__(self, stream: Stream, packing: str, label: str) -> None:
        self._stream, self._packing, self._label = stream, packing, label

    def read(self, size: int, /) -> bytes:
        try:
            return self._stream.read(size)
        except (OSError, EOFError, pa.ArrowException):
            raise _damaged(self._packing, self._label) from None


class _Bzip2:
    """Streams of bzip2; Arrow refuses an empty one among them, and ``bz2.open`` takes what is none for the end."""

    def __init__(self, stored: io.BufferedReader) -> None:
        self._stored = stored
        self._stream = bz2.BZ2Decompressor()

    def read(self, size: int, /) -> bytes:
        while True:
            fresh = b""
            if self._stream.eof:
                fresh = self._stream.unused_data or self._stored.read(_CHUNK)
                if not fresh:
                    return b""
                self._stream = bz2.BZ2Decompressor()
            elif self._stream.needs_input:
                fresh = self._stored.read(_CHUNK)
                if not fresh:
                    raise EOFError
            if piece := self._stream.decompress(fresh, size):
                return piece


def _damaged(packing: str, label: str) -> SourceError:
    return SourceError(
        f"a log packed with {packing} must be complete and undamaged",
        value=label,
        remedy="Fetch it again, or leave it out.",
    )
