"""What log files hold, whatever they are called: each content is read once.

Logs are rotated, packed, copied and fetched again. Files are therefore told apart by their unpacked bytes. A file whose
bytes are the beginning of another's is an older copy of it, and is left out. That is all that can be told: files that
begin alike and go on differently, and files that overlap in any other way, are read whole, because nothing
distinguishes a line that was copied from a request that was made twice. Logs of two servers are never merged, even
where some of their lines are alike; only a log that is wholly the beginning of another's counts as its copy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.progress import Progress, silent
from pipeline.site import LogSource
from pipeline.sources.ahead import one_ahead
from pipeline.sources.blocks import PIECE_BYTES, read_blocks
from pipeline.sources.heads import HEAD_BYTES, Extent, Head, PrefixDigest, heads_of
from pipeline.sources.packing import unpacked
from pipeline.sources.places import LogFile


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
        place: Of the file among those that were given.
    """

    file: LogFile
    blocks: Generator[pa.Table, None, None]
    place: int


class Intake:
    """Log files, each content once.

    Iterating it yields every distinct content: first files whose heads are alike, longest first; then the others of
    more than ``HEAD_BYTES``, in their order; then those of fewer, longest first. What the caller leaves unread of a
    content is read when the next one is asked for, unless its ``blocks`` were closed: then it is no content.

    Args:
        files: The files.
        earlier: Contents that were read before, by an earlier run.
        progress: Told the bytes as stored that were read or left out, of all.
        is_all: Whether these are all files: then there must be a line in one of them.

    Attributes:
        contents: What was read so far, in order; an empty file, or one of blank lines only, is no content.
        places: Of each of these, the place of its file among those that were given.
        copies: Number of files left out so far, because their content was read from another.

    Raises:
        SourceError: A file cannot be read, or is another than the one that was found; or they are all files, visitor
            logs among them, and there is no line in any.
    """

    def __init__(
        self,
        files: Sequence[LogFile],
        earlier: Sequence[LogContent] = (),
        progress: Progress = silent,
        *,
        is_all: bool = True,
    ) -> None:
        self._files = tuple(files)
        self._earlier = tuple(earlier)
        self._progress = progress
        self._is_all = is_all
        self._total = sum(file.size for file in self._files)
        self.contents: tuple[LogContent, ...] = ()
        self.places: tuple[int, ...] = ()
        self.copies = 0
        self._met: set[Extent] = set()

    @property
    def gone(self) -> tuple[LogContent, ...]:
        """After the iteration: those earlier contents that no file begins with."""
        return tuple(content for content in self._earlier if (content.bytes, content.sha256) not in self._met)

    def __iter__(self) -> Generator[DistinctLog, None, None]:
        self.contents, self.places, self.copies, self._met = (), (), 0, set()
        heads = heads_of(self._files)
        lengths, extents = self._compared(heads)
        # A file can only be a copy of one that is at least as long; among the others the order stays.
        order = sorted(range(len(heads)), key=lambda place: -lengths.get(place, HEAD_BYTES + 1))
        sought = _Sought(heads, extents, self._earlier)
        before = 0
        for place in order:
            if heads[place].is_blank:
                pass
            elif extents.get(place) in self._met:
                self.copies += 1
            else:
                yield from self._read(place, PrefixDigest(sought.lengths(heads[place])), sought, before)
            before += self._files[place].size
        self._progress("reading visitor logs", self._total, self._total)
        if self._is_all and not self.contents and any(isinstance(file.source, LogSource) for file in self._files):
            raise without_lines()

    def _read(
        self, place: int, digest: PrefixDigest, sought: _Sought, before: int
    ) -> Generator[DistinctLog, None, None]:
        file, counted = self._files[place], _Counted()
        with closing(self._blocks(file, digest, before, counted)) as blocks:
            yield DistinctLog(file, blocks, place)
            for _ in blocks:
                pass
        if not counted.is_whole:
            return
        self._met |= sought.met(digest.finish())
        if counted.lines:
            self.contents += (LogContent(digest.sha256, digest.bytes, counted.lines),)
            self.places += (place,)

    def _blocks(
        self, file: LogFile, digest: PrefixDigest, before: int, counted: _Counted
    ) -> Generator[pa.Table, None, None]:
        with closing(one_ahead(read_blocks(file, digest.update))) as blocks:
            for block in blocks:
                counted.lines += block.lines.num_rows
                self._progress("reading visitor logs", before + min(block.position, file.size), self._total)
                yield block.lines
        counted.is_whole = True

    def _compared(self, heads: Sequence[Head]) -> tuple[dict[int, int], dict[int, Extent]]:
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


def without_lines() -> SourceError:
    """The error for visitor logs without any line."""
    return SourceError(
        "visitor logs must hold at least one line",
        value="only empty files",
        remedy="Check that the site file names the right logs.",
    )


@dataclass
class _Counted:
    """What became of a file."""

    lines: int = 0
    is_whole: bool = False


def _alike(heads: Sequence[Head]) -> Iterator[list[int]]:
    """Places of files that go on after their heads, and whose heads agree."""
    places: defaultdict[Extent, list[int]] = defaultdict(list)
    for place, head in enumerate(heads):
        if head.whole is None:
            places[head.longest].append(place)
    return (alike for alike in places.values() if len(alike) > 1)


class _Sought:
    """Which beginnings of a file are worth a digest: those as long as an earlier content, or as a file like it."""

    def __init__(self, heads: Sequence[Head], extents: Mapping[int, Extent], earlier: Sequence[LogContent]) -> None:
        self._earlier = {content.bytes for content in earlier}
        self._wanted = {(content.bytes, content.sha256) for content in earlier} | set(extents.values())
        self._of_mark: defaultdict[Extent, set[int]] = defaultdict(set)
        for place, extent in extents.items():
            self._of_mark[heads[place].longest].add(extent[0])

    def lengths(self, head: Head) -> set[int]:
        """In bytes; of the beginnings of the file with this head."""
        return self._earlier.union(*(self._of_mark.get(mark, ()) for mark in head.marks.items()))

    def met(self, digests: Mapping[int, str]) -> set[Extent]:
        """Those extents among digests of a file that are of an earlier content or of another file."""
        return self._wanted.intersection(digests.items())
