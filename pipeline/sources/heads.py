"""How log files begin: told apart by it, recognised by it, and known for copies that need be compared further."""

from __future__ import annotations

import codecs
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import Final

from pipeline.sources.packing import packing_of, unpacked
from pipeline.sources.places import LogFile, changed

HEAD_BYTES: Final = 64 << 10  # unpacked; files that differ in them are not compared further
_MARKS: Final = (0, *(1 << power for power in range(6, 17)))  # 64 bytes to 64 KiB: files agree up to one, or differ
_AT_ONCE: Final = 8  # heads that are fetched at the same time: object stores answer late, but many

Extent = tuple[int, str]  # number of bytes, and the SHA-256 of so many


@dataclass(frozen=True)
class Head:
    """How a file begins.

    Attributes:
        is_packed: Whether its size as stored is not its size.
        is_blank: Whether it holds no line.
        marks: SHA-256 of its beginnings, by their length in bytes: those that were looked for and it reaches.
        whole: Its extent, where it does not go on after the head.
    """

    is_packed: bool
    is_blank: bool
    marks: Mapping[int, str]
    whole: Extent | None

    @property
    def longest(self) -> Extent:
        """The last mark: files that begin with this one have it, too."""
        return max(self.marks.items())


def heads_of(files: Sequence[LogFile]) -> list[Head]:
    """How files begin.

    Raises:
        SourceError: One cannot be read, or begins otherwise than when it was found.
    """
    return _looked_at(files, repeat(()))


def families(files: Sequence[LogFile], heads: Sequence[Head]) -> list[list[int]]:
    """Places of files, in sets: what a file holds can be the beginning of another one of its own set only.

    Args:
        files: The files; those of which nothing but a blank is known are in no set.
        heads: How they begin.

    Returns:
        Each set in order, and the sets in the order of their first files.

    Raises:
        SourceError: A file cannot be read.
    """
    shorter = _shorter(heads)
    # Of a file that goes on its head; of another all that it is; and of each those others that it begins with.
    keys = [{head.whole or head.longest} for head in heads]
    again = [place for place, lengths in enumerate(shorter) if lengths]
    wholes = {head.whole for head in heads if head.whole}
    for place, head in zip(
        again, _looked_at([files[one] for one in again], [shorter[one] for one in again]), strict=True
    ):
        keys[place] |= wholes.intersection(head.marks.items())
    return _united([place for place, head in enumerate(heads) if not head.is_blank], keys)


def _shorter(heads: Sequence[Head]) -> list[set[int]]:
    """Of each file the lengths of shorter ones that it may begin with."""
    of_mark: defaultdict[Extent, set[int]] = defaultdict(set)
    for head in heads:
        if head.whole and not head.is_blank:
            of_mark[head.longest].add(head.whole[0])
    most = [head.whole[0] if head.whole else HEAD_BYTES + 1 for head in heads]
    return [
        {length for mark in head.marks.items() for length in of_mark.get(mark, ()) if length < most[place]}
        for place, head in enumerate(heads)
    ]


def _united(places: Iterable[int], keys: Sequence[set[Extent]]) -> list[list[int]]:
    """Places that share a key, or that others connect."""
    before: dict[int, int] = {}  # an earlier place of the same set

    def first(place: int) -> int:
        while place in before:
            place = before[place]
        return place

    of_key: dict[Extent, int] = {}
    for place in places:
        for one in sorted({first(of_key.setdefault(key, place)) for key in keys[place]} - {place}):
            low, high = sorted((first(one), first(place)))
            before.update({high: low} if low != high else {})
        of_key.update(dict.fromkeys(keys[place], first(place)))
    found: dict[int, list[int]] = {}
    for place in places:
        found.setdefault(first(place), []).append(place)
    return [found[one] for one in sorted(found)]


def _looked_at(files: Sequence[LogFile], lengths: Iterable[Iterable[int]]) -> list[Head]:
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="looking") as threads:
        return list(threads.map(_head, files, lengths))


def _head(file: LogFile, lengths: Iterable[int]) -> Head:
    wanted = {*_MARKS, *lengths}
    with file.open(2 * HEAD_BYTES) as stored:
        is_packed = packing_of(stored, file.label) is not None
        stream = unpacked(stored, file.label)
        head = b""
        while len(head) <= HEAD_BYTES and (fresh := stream.read(HEAD_BYTES + 1 - len(head))):
            head += fresh
    goes_on = len(head) > HEAD_BYTES
    head = head[:HEAD_BYTES]
    digest = PrefixDigest(wanted)
    digest.update(head)
    marks = {length: sha256 for length, sha256 in digest.finish().items() if length in wanted}
    if file.begins and file.begins not in marks.items():
        raise changed(file.label)
    is_blank = not goes_on and not head.removeprefix(codecs.BOM_UTF8).strip(b"\r\n")
    return Head(is_packed, is_blank, marks, None if goes_on else (digest.bytes, digest.sha256))


class PrefixDigest:
    """SHA-256 of a stream, and of its beginnings of some lengths.

    Args:
        lengths: Of the beginnings, in bytes; those that the stream does not reach are left out.
    """

    def __init__(self, lengths: Sequence[int] | set[int] = ()) -> None:
        self._sha = hashlib.sha256()
        self._ahead = sorted(lengths, reverse=True)
        self._found: dict[int, str] = {}
        self.bytes = 0

    def update(self, piece: bytes) -> None:
        """Go on with these bytes."""
        rest = memoryview(piece)
        while self._ahead and self._ahead[-1] <= self.bytes + len(rest):
            cut = self._ahead.pop() - self.bytes
            self._take(rest[:cut])
            rest = rest[cut:]
            self._found[self.bytes] = self.sha256
        self._take(rest)

    def finish(self) -> Mapping[int, str]:
        """Digests by length, that of the whole among them."""
        return {**self._found, self.bytes: self.sha256}

    @property
    def sha256(self) -> str:
        """Of the bytes so far, in hexadecimal digits."""
        return self._sha.hexdigest()

    def _take(self, piece: memoryview) -> None:
        self._sha.update(piece)
        self.bytes += len(piece)
