"""Reading the lines of log files, block by block."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.sources import blocks
from pipeline.sources.ahead import one_ahead
from pipeline.sources.blocks import read_blocks
from pipeline.sources.logs import Intake, read_lines
from tests.log_files import lines_of, log_of, readers, written


def test_lines_keep_their_order_and_their_line_feed(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path / "a", b"one\ntwo\r\nthree\n")) == ["one\n", "two\r\n", "three\n"]


def test_a_last_line_without_line_feed_is_a_line(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path / "a", b"one\ntwo")) == ["one\n", "two\n"]


def test_a_last_line_without_line_feed_is_not_continued_by_the_next_file(tmp_path: Path) -> None:
    found = lines_of(written(tmp_path / "a", b"one\ntwo"), written(tmp_path / "b", b"three"))
    assert sorted(found) == ["one\n", "three\n", "two\n"]


def test_blank_lines_count_but_not_at_the_end_of_a_file(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path / "a", b"one\n\ntwo\n\r\n\n\n")) == ["one\n", "\n", "two\n"]


def test_invalid_bytes_and_nulls_do_not_stop_reading(tmp_path: Path) -> None:
    found = lines_of(written(tmp_path / "a", b"\xff\xf0\n\0\n\xe2\x82\n\xc3\xa9\n"))
    assert found == ["\ufffd\ufffd\n", "\0\n", "\ufffd\n", "é\n"]


def test_latin_1_is_read_where_it_is_declared(tmp_path: Path) -> None:
    path = written(tmp_path / "a", "Grüße\n\x85\nplain\n".encode("latin-1"))
    assert lines_of(path, encoding="latin-1") == ["Grüße\n", "\x85\n", "plain\n"]
    assert lines_of(path)[0] == "Gr\ufffd\ufffde\n"


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path / "a", b"\xef\xbb\xbfone\ntwo\n")) == ["one\n", "two\n"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_stops_with_what_to_do(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path / "w3c.log", "\ufeffsecret line\n".encode(encoding))
    with pytest.raises(SourceError, match=r"UTF-16 in w3c\.log.*iconv") as caught:
        lines_of(path)
    assert "secret" not in str(caught.value)


def test_lines_are_numbered_from_one_in_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PIECE_BYTES", 1000), ("BLOCK_BYTES", 2000), ("BLOCK_LINES", 7)):
        monkeypatch.setattr(blocks, name, value)
    content = b"\xef\xbb\xbf" + b"".join(b"%d\n" % number for number in range(1, 3000))
    content = content.replace(b"\n500\n", b"\n" + b"x" * 5000 + b"\n")  # a line too long is one line
    for path in (written(tmp_path / "a", content), written(tmp_path / "b.gz", gzip.compress(content + b"tail\n"))):
        tables = list(read_lines([log_of(path)]))
        pairs = [pair for table in tables for pair in zip(*table.to_pydict().values(), strict=True)]
        assert {line: number for line, number in pairs if line not in ("-\n", "tail\n")} == {
            f"{number}\n": number for number in range(1, 3000) if number != 500
        }
        assert ("-\n", 500) in pairs
        assert tables[0].schema.names == ["line", "number"]


def test_a_block_is_of_one_file(tmp_path: Path) -> None:
    files = [log_of(written(tmp_path / name, name.encode() + b"\n")) for name in ("a", "b")]
    assert [(log.file.label, [table.num_rows for table in log.blocks]) for log in Intake(files)] == [
        ("a", [1]),
        ("b", [1]),
    ]


def test_a_line_of_a_megabyte_is_read_whole(tmp_path: Path) -> None:
    assert [len(line) for line in lines_of(written(tmp_path / "a", b"x" * 1_000_000 + b"\ny\n"))] == [1_000_001, 2]


@pytest.mark.parametrize("size", [900, 1000, 1001, 5000])
def test_lines_longer_than_a_piece_are_counted_and_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(blocks, "PIECE_BYTES", 1000)
    found = lines_of(written(tmp_path / "a", b"one\n" + b"x" * size + b"\ntwo\n"))
    assert len(found) == 3
    assert (found[0], found[2]) == ("one\n", "two\n")
    assert found[1] == ("-\n" if size >= 1000 else "x" * size + "\n")


def test_a_file_of_one_endless_line_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "PIECE_BYTES", 1000)
    assert lines_of(written(tmp_path / "a", b"x" * 4096)) == ["-\n"]


def test_a_hundred_megabytes_without_a_line_feed_are_one_line(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(100_000_000)
    assert lines_of(tmp_path / "a") == ["-\n"]


@pytest.mark.parametrize(("piece", "block", "rows"), [(7, 20, 3), (64, 10, 1000), (1000, 1000, 2)])
def test_how_a_file_is_cut_into_blocks_does_not_change_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, block: int, rows: int
) -> None:
    for name, value in (("PIECE_BYTES", piece), ("BLOCK_BYTES", block), ("BLOCK_LINES", rows), ("BATCH_LINES", 2)):
        monkeypatch.setattr(blocks, name, value)
    expected = [f"{number}\n" for number in range(500)]
    assert lines_of(written(tmp_path / "a", "".join(expected).encode())) == expected


def test_a_block_has_no_more_lines_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_LINES", 10)
    tables = list(read_lines([log_of(written(tmp_path / "a", b"x\n" * 25))]))
    assert [table.num_rows for table in tables] == [10, 10, 5]


def test_all_bytes_are_told_even_those_that_are_no_lines(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbfone\r\ntwo\n\n\n"
    told: list[bytes] = []
    list(read_blocks(log_of(written(tmp_path / "a.gz", gzip.compress(content))), told.append))
    assert b"".join(told) == content


def test_only_empty_files_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="at least one line"):
        lines_of(written(tmp_path / "a", b""), written(tmp_path / "b", b"\n\n"), written(tmp_path / "c", b""))


def test_an_empty_file_beside_a_full_one_is_fine(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path / "a", b""), written(tmp_path / "b", b"one\n")) == ["one\n"]


def test_progress_ends_at_the_bytes_on_disk(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    paths = [written(tmp_path / "a", b"one\n" * 9), written(tmp_path / "b", gzip.compress(b"two\n" * 9))]
    files = [log_of(path) for path in paths]
    list(read_lines(files, lambda _what, done, total: told.append((done, total))))
    total = sum(path.stat().st_size for path in paths)
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


# One block ahead


def test_there_is_one_item_ahead_and_no_more() -> None:
    made: list[int] = []

    def items() -> Generator[int, None, None]:
        for number in range(9):
            made.append(number)
            yield number

    ahead = one_ahead(items())
    assert next(ahead) == 0
    time.sleep(0.05)
    assert made == [0, 1]
    assert list(ahead) == list(range(1, 9))


def test_an_item_is_made_while_the_caller_is_busy() -> None:
    handed_out = threading.Event()

    def items() -> Generator[int, None, None]:
        yield 1
        handed_out.set()
        yield 2

    ahead = one_ahead(items())
    next(ahead)
    assert handed_out.wait(5)
    ahead.close()


def test_a_failure_ahead_is_raised_in_its_place_and_leaves_no_thread() -> None:
    def items() -> Generator[int, None, None]:
        yield 1
        raise SourceError("a rule")

    ahead = one_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(SourceError, match="a rule"):
        next(ahead)
    assert readers() == []


def test_to_stop_early_closes_the_file_and_leaves_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_LINES", 2)
    closed: list[bool] = []

    def items() -> Generator[int, None, None]:
        try:
            yield from range(9)
        finally:
            closed.append(True)

    source = items()  # held here, so that it is not closed by being forgotten
    ahead = one_ahead(source)
    next(ahead)
    ahead.close()
    assert closed == [True]
    reading = read_lines([log_of(written(tmp_path / "a", b"x\n" * 100))])
    next(reading)
    assert readers() != []
    del reading
    assert readers() == []


def test_no_thread_is_left_after_all_is_read_or_failed(tmp_path: Path) -> None:
    lines_of(written(tmp_path / "a", b"x\n" * 100))
    with pytest.raises(SourceError):
        lines_of(written(tmp_path / "b.gz", gzip.compress(bytes(range(256)) * 4000)[:-4]))
    assert readers() == []
