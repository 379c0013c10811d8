"""Looks for texts, and for every plain digest of them, in all that lies under a folder.

Each text is looked for as it is and encoded; each digest of it whole and in part: as bytes, in hexadecimal, in base64,
as a UUID and as a number. Eleven bytes or 23 hexadecimal digits are found wherever in a digest they were cut out. Files
are read through: Parquet, SQLite, archives, and JSON and pickles inside of them.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import io
import json
import os
import pickle
import sqlite3
import sys
import uuid
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self
from urllib.parse import quote

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

_PREFIX: Final = 8  # bytes of a needle by which places are found
_PART: Final = 16  # hexadecimal digits: 64 bits are in no file by chance
_BASE64_PART: Final = 12  # 72 bits
_TABLE_BITS: Final = 24
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing

_KNOWN: Final = sorted(hashlib.algorithms_guaranteed - {"shake_128", "shake_256"})
DIGESTS: Final[dict[str, Callable[[bytes], bytes]]] = {
    **{name: lambda text, name=name: hashlib.new(name, text).digest() for name in _KNOWN},  # type: ignore[misc]
    "blake2b of 16 bytes": lambda text: hashlib.blake2b(text, digest_size=16).digest(),
    "blake2b of 32 bytes": lambda text: hashlib.blake2b(text, digest_size=32).digest(),
    "blake2s of 16 bytes": lambda text: hashlib.blake2s(text, digest_size=16).digest(),
}


class Needle(NamedTuple):
    """Something that must not be found."""

    text: bytes
    what: str
    whole: bool = False
    """Whether it counts only where no letter or digit stands beside it: it is so short that it may be by chance."""


class Traces:
    """A search for texts and for plain digests of texts, in one pass over what is searched.

    Args:
        plain: Texts that may not be found, of eight characters or more: identifiers, and fragments of them.
        hashed: Texts of which no digest may be found: as they are, stripped, with a line feed, in lower or upper case.
        combined: Texts of which no digest may be found, as they are or in lower case.
    """

    def __init__(self, plain: Iterable[str], hashed: Iterable[str], combined: Iterable[str] = ()) -> None:
        self._needles: dict[bytes, list[Needle]] = defaultdict(list)
        for needle in (*_plain_needles(plain), *_digest_needles(hashed, combined)):
            if len(needle.text) >= _PREFIX:
                self._needles[needle.text[:_PREFIX]].append(needle)
        prefixes = np.frombuffer(b"".join(self._needles), "<u8")
        self._prefixes = np.sort(prefixes)
        self._table = np.zeros(1 << _TABLE_BITS, bool)
        self._table[_slots(prefixes)] = True

    def __len__(self) -> int:
        return sum(map(len, self._needles.values()))

    def found_in(self, content: bytes) -> set[str]:
        """What is found in some bytes, in words."""
        found = set()
        for shift in range(min(_PREFIX, len(content) - _PREFIX + 1)):
            # Every eighth place, from ``shift`` on: the eight bytes there as one number.
            words = np.frombuffer(content, "<u8", (len(content) - shift) // _PREFIX, shift)
            places = np.flatnonzero(self._table[_slots(words)])
            nearest = self._prefixes[np.searchsorted(self._prefixes, words[places]) % len(self._prefixes)]
            for place in places[nearest == words[places]]:
                found |= self._found_at(content, shift + _PREFIX * int(place))
        return found

    def found_under(self, root: Path, leave_out: Iterable[str] = ()) -> list[str]:
        """What is found in the files under a folder, and in their names.

        Args:
            root: The folder.
            leave_out: Names in it that are not searched.
        """
        found = []
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if inside.parts[0] in leave_out:
                continue
            told = self.found_in(str(inside).encode())
            if path.is_file() and not path.is_symlink():
                told = told.union(*(self.found_in(content) for content in contents(path)))
            found += [f"{what} in {inside}" for what in sorted(told)]
        return found

    def _found_at(self, content: bytes, place: int) -> set[str]:
        return {
            needle.what
            for needle in self._needles[content[place : place + _PREFIX]]
            if content.startswith(needle.text, place)
            and not (needle.whole and _has_neighbours(content, place, len(needle.text)))
        }


class Removals:
    """Searches files under a folder in the moment in which Python removes them or puts them in another's place.

    What a native library removes, and what has lost its name before it was written, is not seen.
    """

    def __init__(self, traces: Traces, root: Path) -> None:
        self.found: list[str] = []
        self.searched = 0
        self._traces = traces
        self._root = root
        self._watching = False
        sys.addaudithook(self._hear)  # cannot be taken back

    def __enter__(self) -> Self:
        self._watching = True
        return self

    def __exit__(self, *_: object) -> None:
        self._watching = False

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._watching or event not in ("os.remove", "os.rename", "shutil.rmtree"):
            return
        path, folder = arguments[0], arguments[-1]
        if isinstance(path, str | os.PathLike) and folder in (
            -1,
            None,
        ):  # others lie in a tree that was searched before
            self._search(Path(path))

    def _search(self, path: Path) -> None:
        if not path.is_relative_to(self._root):
            return
        for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
            if file.is_file():
                self.searched += 1
                told = set().union(*(self._traces.found_in(content) for content in contents(file)))
                self.found += [f"{what} in {file.relative_to(self._root)}" for what in sorted(told)]


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and what is inside them where they are packed."""
    yield from _unpacked(path.read_bytes(), path)


def _slots(words: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return words * _MULTIPLIER >> np.uint64(64 - _TABLE_BITS)


def _has_neighbours(content: bytes, place: int, length: int) -> bool:
    return content[max(place - 1, 0) : place].isalnum() or content[place + length : place + length + 1].isalnum()


def _plain_needles(texts: Iterable[str]) -> Iterator[Needle]:
    for text in texts:
        for form in {text, text.lower(), text.upper(), quote(text, safe=""), json.dumps(text)[1:-1]}:
            yield Needle(form.encode(), f"plain {text!r}")
            yield Needle(form.encode("utf-16-le"), f"UTF-16 of {text!r}")
            yield from (Needle(part, f"base64 of {text!r}") for part in _base64_parts(form.encode()))


def _digest_needles(texts: Iterable[str], combined: Iterable[str]) -> Iterator[Needle]:
    forms = {form: text for text in combined for form in (text, text.lower())}
    for text in texts:
        forms |= dict.fromkeys((text, text.lower(), text.upper(), text.strip(), f"{text}\n"), text)
        for form in (text, text.lower()):
            yield from _checksums(form, text)
    for form, text in forms.items():
        yield from _engine_hashes(form, text)
        for name, digest in DIGESTS.items():
            yield from (Needle(part, f"{name} of {text!r}") for part in _parts(digest(form.encode())))


def _parts(digest: bytes) -> Iterator[bytes]:
    """Parts of a digest by which it is known, in all encodings."""
    yield from _windows(digest, _PREFIX, 4)
    for hexadecimal in (digest.hex().encode(), digest.hex().upper().encode()):
        yield from _windows(hexadecimal, _PART, 8)
    yield from _base64_parts(digest[:24])
    whole = str(uuid.UUID(bytes=digest[:16])).encode()
    yield from (whole, whole.upper())
    for mark in (rb"\x%02x", rb"\x%02X"):  # as logs and engines print bytes
        yield b"".join(mark % byte for byte in digest[:8])
    yield repr(digest[:12])[2:-1].encode()
    for size in (8, 16, len(digest)):
        for order in ("little", "big"):
            yield from (
                str(int.from_bytes(digest[:size], order, signed=signed)).lstrip("-").encode()
                for signed in (False, True)
            )


def _base64_parts(content: bytes) -> Iterator[bytes]:
    for skipped in range(3):  # inside of something longer it may begin at any of three places
        encoded = base64.b64encode(b"\0" * skipped + content)
        # The first and the last digits mix with what stands beside.
        own = encoded[4 if skipped else 0 :][: (skipped + len(content)) // 3 * 4 - (4 if skipped else 0)]
        yield from _windows(own, _BASE64_PART, _BASE64_PART)
        yield from _windows(own.translate(bytes.maketrans(b"+/", b"-_")), _BASE64_PART, _BASE64_PART)


def _windows(content: bytes, length: int, step: int) -> Iterator[bytes]:
    return (content[place : place + length] for place in range(0, len(content) - length + 1, step))


def _checksums(form: str, text: str) -> Iterator[Needle]:
    checksum = zlib.crc32(form.encode())
    for written in (f"{checksum:08x}", f"{checksum:08X}", str(checksum)):
        yield Needle(written.encode(), f"crc32 of {text!r}", whole=True)


def _engine_hashes(form: str, text: str) -> Iterator[Needle]:
    # All of it: a result that is left open blocks the engine that tests share.
    ((hashed,),) = duckdb.execute("SELECT hash(?)", [form]).fetchall()
    numbers = {
        "DuckDB's hash": hashed,
        "pandas' hash": int(pd.util.hash_array(np.array([form], object))[0]),
    }
    for name, number in numbers.items():
        for written in (str(number), str((1 << 64) - number), f"{number:016x}", f"{number:016X}"):
            yield Needle(written.encode(), f"{name} of {text!r}")
        yield from (Needle(number.to_bytes(8, order), f"{name} of {text!r}") for order in ("little", "big"))


def _unpacked(content: bytes, path: Path | None = None) -> Iterator[bytes]:
    yield content
    if content[:2] == b"\x1f\x8b":
        yield from _unpacked(gzip.decompress(content))
    elif content[:3] == b"BZh":
        yield from _unpacked(bz2.decompress(content))
    elif content[:4] == b"\x28\xb5\x2f\xfd":
        yield from _unpacked(pa.CompressedInputStream(pa.BufferReader(content), "zstd").read())
    elif content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield from _unpacked(archive.read(name))
    elif content[:4] == b"PAR1":
        yield from _columns(content)
    elif path is not None and content[:15] == b"SQLite format 3":
        yield from _rows(path)
    elif content[:1] in (b"{", b"["):
        yield from _decoded(content.decode("utf-8", "replace"))


def _columns(content: bytes) -> Iterator[bytes]:
    """The distinct values of each column, decompressed."""
    table = pq.read_table(pa.BufferReader(content))
    for column in table.columns:
        distinct = column if pa.types.is_nested(column.type) else column.unique()
        yield b"\n".join(_as_bytes(value) for value in distinct.to_pylist())


def _rows(path: Path) -> Iterator[bytes]:
    """Every value of every table: text, numbers, bytes, and what is in JSON and pickles."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = connection.execute(f'SELECT * FROM "{table}"')
            yield b"\n".join(part for row in rows for value in row for part in _decoded(value))


def _decoded(value: object) -> Iterator[bytes]:
    yield _as_bytes(value)
    if isinstance(value, bytes):
        if value[:1] == b"\x80":
            yield _as_bytes(pickle.loads(value))  # noqa: S301 - written by the run under test
        elif value[:1] == b"\x78":
            try:
                yield from _decoded(zlib.decompress(value).decode("utf-8", "replace"))
            except zlib.error:
                return
    elif isinstance(value, str) and value[:1] in ("{", "[", '"'):
        try:
            yield _as_bytes(json.loads(value))
        except ValueError:
            return


def _as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
