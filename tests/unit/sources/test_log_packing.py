"""Packed logs: gzip, bzip2 and zstd, whole, cut off, damaged, and with something behind their end."""

from __future__ import annotations

import bz2
import gzip
import os
import resource
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.errors import SourceError
from tests.log_files import lines_of, written

CONTENT = b"some line of a log\n" * 100
# CONTENT as the zstd program packs it: with a checksum, which Arrow's own packing has not.
ZSTD = bytes.fromhex("28b52ffd0458dd000098736f6d65206c696e65206f662061206c6f670a0100adb67f8601486edf72")

Pack = Callable[[bytes], bytes]


def zstd(content: bytes) -> bytes:
    return ZSTD if content == CONTENT else bytes(pa.Codec("zstd").compress(content, asbytes=True))


PACKINGS: list[tuple[str, Pack]] = [(".gz", gzip.compress), (".bz2", bz2.compress), (".zst", zstd)]
every_packing = pytest.mark.parametrize(("ending", "pack"), PACKINGS)


@every_packing
def test_a_packing_is_told_by_its_content(tmp_path: Path, ending: str, pack: Pack) -> None:
    assert lines_of(written(tmp_path / "a.log", pack(CONTENT))) == [CONTENT[:19].decode()] * 100
    assert lines_of(written(tmp_path / "a.gz", pack(b"one\n"))) == ["one\n"]


@every_packing
def test_members_after_each_other_are_read_on(tmp_path: Path, ending: str, pack: Pack) -> None:
    packed = pack(b"") + pack(b"one\nt") + pack(b"") + pack(b"wo\n") + pack(b"three\n" * 50_000) + pack(b"")
    found = lines_of(written(tmp_path / f"a{ending}", packed))
    assert (found[:3], len(found)) == (["one\n", "two\n", "three\n"], 50_002)


@every_packing
def test_a_thousand_small_members_are_read_on(tmp_path: Path, ending: str, pack: Pack) -> None:
    packed = b"".join(pack(b"%d\n" % number) for number in range(1000))
    assert lines_of(written(tmp_path / f"a{ending}", packed)) == [f"{number}\n" for number in range(1000)]


@every_packing
def test_a_member_that_ends_where_a_chunk_ends_is_not_the_last(tmp_path: Path, ending: str, pack: Pack) -> None:
    for size in range(65_500, 65_537):  # its packed size walks over 64 KiB
        packed = pack(os.urandom(size - 60) + b"\n")
        if not 65_530 <= len(packed) <= 65_540:
            continue
        assert lines_of(written(tmp_path / f"{size}{ending}", packed + pack(b"last\n")))[-1] == "last\n"


@every_packing
def test_a_packed_file_that_is_cut_off_stops_with_its_name(tmp_path: Path, ending: str, pack: Pack) -> None:
    packed = pack(CONTENT)
    for kept in range(len(packed)):
        path = written(tmp_path / f"{kept}{ending}", packed[:kept])
        with pytest.raises(SourceError, match=rf"complete and undamaged, got {kept}\{ending}"):
            lines_of(path)


@every_packing
def test_a_second_member_that_is_cut_off_is_not_overlooked(tmp_path: Path, ending: str, pack: Pack) -> None:
    packed = pack(CONTENT)
    for kept in range(1, len(packed)):
        path = written(tmp_path / f"{kept}{ending}", packed + packed[:kept])
        with pytest.raises(SourceError, match="complete and undamaged"):
            lines_of(path)


@every_packing
def test_a_large_file_that_is_cut_off_is_not_overlooked(tmp_path: Path, ending: str, pack: Pack) -> None:
    packed = pack(os.urandom(400_000).replace(b"\n", b" ") + b"\n")
    for kept in (1 << 16, 1 << 17, (1 << 17) + 1, len(packed) - 1):
        with pytest.raises(SourceError, match="complete and undamaged"):
            lines_of(written(tmp_path / f"{kept}{ending}", packed[:kept]))


@every_packing
def test_a_damaged_byte_is_found(tmp_path: Path, ending: str, pack: Pack) -> None:
    packed = pack(CONTENT)
    # The header of gzip holds a time and a system, of which nothing depends.
    for at in range(10 if ending == ".gz" else 4, len(packed)):
        damaged = bytearray(packed)
        damaged[at] ^= 0xFF
        with pytest.raises(SourceError, match="complete and undamaged"):
            lines_of(written(tmp_path / f"{at}{ending}", bytes(damaged)))


@every_packing
@pytest.mark.parametrize("behind", [b"x", b"garbage behind the end\n", b"\0", b"\0" * 512])
def test_what_is_behind_the_end_is_an_error(tmp_path: Path, ending: str, pack: Pack, behind: bytes) -> None:
    with pytest.raises(SourceError, match="complete and undamaged"):
        lines_of(written(tmp_path / f"a{ending}", pack(CONTENT) + behind))


@every_packing
@pytest.mark.parametrize("content", [b"", b"\x1f", b"a plain line\n"])
def test_a_name_that_promises_a_packing_must_keep_it(tmp_path: Path, ending: str, pack: Pack, content: bytes) -> None:
    with pytest.raises(SourceError, match=rf"complete and undamaged, got a\.log\{ending}"):
        lines_of(written(tmp_path / f"a.log{ending}", content))


@pytest.mark.parametrize("line", ["BZh9 is how some line begins\n", "P*M is another\n", "\x1f\n"])
def test_a_plain_line_is_not_taken_for_a_packing(tmp_path: Path, line: str) -> None:
    assert lines_of(written(tmp_path / "a.log", line.encode())) == [line]


def test_frames_to_be_skipped_are_skipped(tmp_path: Path) -> None:
    skipped = struct.pack("<II", 0x184D2A5F, 5) + b"12345"
    packed = skipped + ZSTD + skipped + zstd(b"last\n") + skipped
    assert len(lines_of(written(tmp_path / "a", packed))) == 101


@pytest.mark.parametrize(
    ("packing", "start"),
    [("xz", b"\xfd7zXZ\0"), ("zip", b"PK\x03\x04"), ("lz4", b"\x04\x22\x4d\x18"), ("compress", b"\x1f\x9d\x90")],
)
def test_other_packings_are_named(tmp_path: Path, packing: str, start: bytes) -> None:
    with pytest.raises(SourceError, match=rf"gzip, bzip2 or zstd, got {packing} in a\.log"):
        lines_of(written(tmp_path / "a.log", start + b"anything"))


def test_a_bomb_is_one_overlong_line_and_takes_little_memory(tmp_path: Path) -> None:
    size = 300 << 20
    squeeze = zlib.compressobj(9, wbits=31)
    piece = bytes(1 << 20)
    bomb = b"".join(squeeze.compress(piece) for _ in range(size >> 20)) + squeeze.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert lines_of(written(tmp_path / "a.gz", bomb)) == ["-\n"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < size / 1024 / 3  # KiB


def test_a_failure_shows_no_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        lines_of(written(tmp_path / "a.gz", gzip.compress(b"secret line\n" * 1000)[:-4]))
    assert "secret" not in str(caught.value)
