"""What log files hold, whatever they are called: each content is read once.

Logs are rotated, packed, copied and fetched again. Files are therefore told apart by their unpacked bytes. A file whose
bytes are the beginning of another's is an older copy of it, and is left out. That is all that can be told: files that
begin alike and go on differently, and files that overlap in any other way, are read whole, because nothing
distinguishes a line that was copied from a request that was made twice. Logs of two servers are never merged, even
where some of their lines are alike; only a log that is wholly the beginning of another's counts as its copy.
"""

from __future__ import annotations

import codecs
import hashlib
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.progress import Progress, silent
from pipeline.site import LogSource
from pipeline.sources.ahead import one_ahead
from pipeline.sources.blocks import PIECE_BYTES, read_blocks
from pipeline.sources.packing import packing_of, unpacked
from pipeline.sources.places import LogFile

HEAD_BYTES: Final = 64 << 10  # unpacked; files that differ in them are not compared further
_MARKS: Final = (0, *(1 << power for power in range(6, 17)))  # 64 bytes to 64 KiB: files agree up to one, or differ
_AT_ONCE: Final = 8  # heads that are fetched at the same time: object stores answer late, but many

Extent = tuple[int, str]  # number of bytes, and the SHA-256 of so many


@dataclass(frozen=True)
class LogContent:
    """What was read of one file.

    Attributes:
        sha256: Of the unpacked bytes, in hexadecimal digits.
        bytes: Their number.
        lines: Number of lines in them.
    """

    sha256: str
    bytes: int
    lines: int


@dataclass(frozen=True)
class DistinctLog:
    """A file whose content is not yet read.

    Attributes:
        file: The file; of several with this content, the one that goes on longest.
        blocks: Its lines, as ``blocks.read_blocks`` has them; read one block ahead, in a thread.
    """

    file: LogFile
    blocks: Generator[pa.Table, None, None]


class Intake:
    """Log files, each content once.

    Iterating it yields every distinct content: first files whose heads are alike, longest first; then the others of
    more than ``HEAD_BYTES``, in their order; then those of fewer, longest first. What the caller leaves unread of a
    content is read when the next one is asked for, unless its ``blocks`` were closed: then it is no content.

    Args:
        files: The files.
        earlier: Contents that were read before, by an earlier run.
        progress: Told the bytes as stored that were read or left out, of all.

    Attributes:
        contents: What was read so far, in order; an empty file, or one of blank lines only, is no content.
        copies: Number of files left out so far, because their content was read from another.

    Raises:
        SourceError: A file cannot be read, or there are visitor logs and no line in any.
    """

    def __init__(
        self, files: Sequence[LogFile], earlier: Sequence[LogContent] = (), progress: Progress = silent
    ) -> None:
        self._files = tuple(files)
        self._earlier = tuple(earlier)
        self._progress = progress
        self._total = sum(file.size for file in self._files)
        self.contents: tuple[LogContent, ...] = ()
        self.copies = 0
        self._met: set[Extent] = set()

    @property
    def gone(self) -> tuple[LogContent, ...]:
        """After the iteration: those earlier contents that no file begins with."""
        return tuple(content for content in self._earlier if (content.bytes, content.sha256) not in self._met)

    def __iter__(self) -> Generator[DistinctLog, None, None]:
        self.contents, self.copies, self._met = (), 0, set()
        heads = _heads(self._files)
        lengths, extents = self._compared(heads)
        # A file can only be a copy of one that is at least as long; among the others the order stays.
        order = sorted(range(len(heads)), key=lambda place: -lengths.get(place, HEAD_BYTES + 1))
        sought = _Sought(heads, extents, self._earlier)
        before = 0
        for place in order:
            file = self._files[place]
            if heads[place].is_blank:
                pass
            elif extents.get(place) in self._met:
                self.copies += 1
            else:
                yield from self._read(file, PrefixDigest(sought.lengths(heads[place])), sought, before)
            before += file.size
        self._progress("reading visitor logs", self._total, self._total)
        if not self.contents and any(isinstance(file.source, LogSource) for file in self._files):
            raise SourceError(
                "visitor logs must hold at least one line",
                value="only empty files",
                remedy="Check that the site file names the right logs.",
            )

    def _read(
        self, file: LogFile, digest: PrefixDigest, sought: _Sought, before: int
    ) -> Generator[DistinctLog, None, None]:
        counted = _Counted()
        with closing(self._blocks(file, digest, before, counted)) as blocks:
            yield DistinctLog(file, blocks)
            for _ in blocks:
                pass
        if not counted.is_whole:
            return
        self._met |= sought.met(digest.finish())
        if counted.lines:
            self.contents += (LogContent(digest.sha256, digest.bytes, counted.lines),)

    def _blocks(
        self, file: LogFile, digest: PrefixDigest, before: int, counted: _Counted
    ) -> Generator[pa.Table, None, None]:
        with closing(one_ahead(read_blocks(file, digest.update))) as blocks:
            for block in blocks:
                counted.lines += block.lines.num_rows
                self._progress("reading visitor logs", before + min(block.position, file.size), self._total)
                yield block.lines
        counted.is_whole = True

    def _compared(self, heads: Sequence[_Head]) -> tuple[dict[int, int], dict[int, Extent]]:
        """Length and extent by place, of every file that may be a copy of another, or may have one."""
        extents = {place: head.whole for place, head in enumerate(heads) if head.whole}
        lengths = {place: extent[0] for place, extent in extents.items()}
        for places in _alike(heads):
            for place in places:
                if heads[place].is_packed:  # how far it unpacks is not told by its size
                    extents[place] = self._measured(self._files[place])
                lengths[place] = extents[place][0] if place in extents else self._files[place].size
            longest = max(places, key=lambda place: lengths[place])  # the first, if several are
            for place in set(places) - {longest} - set(extents):
                extents[place] = self._measured(self._files[place], lengths[place])
        return lengths, extents

    def _measured(self, file: LogFile, most: int | None = None) -> Extent:
        self._progress("comparing visitor logs", 0, None)
        digest = PrefixDigest(() if most is None else (most,))
        with file.open() as stored:
            stream = unpacked(stored, file.label)
            while (most is None or digest.bytes < most) and (fresh := stream.read(PIECE_BYTES)):
                digest.update(fresh)
        extents = digest.finish()
        return (digest.bytes, digest.sha256) if most is None else (most, extents[most])


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


@dataclass
class _Counted:
    """What became of a file."""

    lines: int = 0
    is_whole: bool = False


@dataclass(frozen=True)
class _Head:
    """How a file begins.

    Attributes:
        is_packed: Whether its size as stored is not its size.
        is_blank: Whether it holds no line.
        marks: SHA-256 of its beginnings, by their length in bytes: those of ``_MARKS`` that it reaches.
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


def _heads(files: Sequence[LogFile]) -> list[_Head]:
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="looking") as threads:
        return list(threads.map(_head, files))


def _head(file: LogFile) -> _Head:
    with file.open(2 * HEAD_BYTES) as stored:
        is_packed = packing_of(stored, file.label) is not None
        stream = unpacked(stored, file.label)
        head = b""
        while len(head) <= HEAD_BYTES and (fresh := stream.read(HEAD_BYTES + 1 - len(head))):
            head += fresh
    goes_on = len(head) > HEAD_BYTES
    head = head[:HEAD_BYTES]
    digest = PrefixDigest(_MARKS)
    digest.update(head)
    marks = {length: sha256 for length, sha256 in digest.finish().items() if length in _MARKS}
    is_blank = not goes_on and not head.removeprefix(codecs.BOM_UTF8).strip(b"\r\n")
    return _Head(is_packed, is_blank, marks, None if goes_on else (digest.bytes, digest.sha256))


def _alike(heads: Sequence[_Head]) -> Iterator[list[int]]:
    """Places of files that go on after their heads, and whose heads agree."""
    places: defaultdict[Extent, list[int]] = defaultdict(list)
    for place, head in enumerate(heads):
        if head.whole is None:
            places[head.longest].append(place)
    return (alike for alike in places.values() if len(alike) > 1)


class _Sought:
    """Which beginnings of a file are worth a digest: those as long as an earlier content, or as a file like it."""

    def __init__(self, heads: Sequence[_Head], extents: Mapping[int, Extent], earlier: Sequence[LogContent]) -> None:
        self._earlier = {content.bytes for content in earlier}
        self._wanted = {(content.bytes, content.sha256) for content in earlier} | set(extents.values())
        self._of_mark: defaultdict[Extent, set[int]] = defaultdict(set)
        for place, extent in extents.items():
            self._of_mark[heads[place].longest].add(extent[0])

    def lengths(self, head: _Head) -> set[int]:
        """In bytes; of the beginnings of the file with this head."""
        return self._earlier.union(*(self._of_mark.get(mark, ()) for mark in head.marks.items()))

    def met(self, digests: Mapping[int, str]) -> set[Extent]:
        """Those extents among digests of a file that are of an earlier content or of another file."""
        return self._wanted.intersection(digests.items())
