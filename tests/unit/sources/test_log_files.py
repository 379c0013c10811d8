"""Finding log files and reading their lines."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.sources import logs
from pipeline.sources.logs import find_logs, read_lines
from tests.privileges import open_folder, without_root


def lines_of(*paths: Path) -> list[str]:
    return [line for table in read_lines(paths) for line in table.column("line").to_pylist()]


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("access.log", "access.log.1", "access.log.2.gz", "error.txt"):
        (tmp_path / name).write_bytes(b"line\n")
    return tmp_path


def test_a_glob_finds_its_files_sorted(folder: Path) -> None:
    assert [path.name for path in find_logs(["access*"], folder)] == ["access.log", "access.log.1", "access.log.2.gz"]


def test_a_file_that_two_patterns_match_is_read_once(folder: Path) -> None:
    assert len(find_logs(["access.log", "*.log", str(folder / "access.log"), "./access.log"], folder)) == 1


def test_a_link_to_a_file_is_not_counted_beside_the_file(folder: Path) -> None:
    (folder / "current.log").symlink_to(folder / "access.log")
    assert len(find_logs(["*.log"], folder)) == 1


def test_an_absolute_glob_ignores_the_base(folder: Path) -> None:
    assert len(find_logs([f"{folder}/access*"], Path("/nowhere"))) == 3


def test_a_base_with_brackets_in_its_name_is_found(tmp_path: Path) -> None:
    base = tmp_path / "a[1]"
    base.mkdir()
    written(base / "x.log", b"line\n")
    assert len(find_logs(["*.log"], base)) == 1


def test_a_path_with_brackets_in_its_name_is_itself(tmp_path: Path) -> None:
    written(tmp_path / "x[1].log", b"line\n")
    assert len(find_logs(["x[1].log"], tmp_path)) == 1


def test_folders_that_a_glob_matches_are_passed_over(folder: Path) -> None:
    (folder / "access.old").mkdir()
    assert len(find_logs(["access*"], folder)) == 3


@pytest.mark.parametrize("pattern", ["missing.log", "*.missing", "missing/*.log"])
def test_a_pattern_without_a_file_is_named(folder: Path, pattern: str) -> None:
    with pytest.raises(SourceError, match=r"must match a file.*none for '.*missing"):
        find_logs(["access.log", pattern], folder)


def test_a_folder_is_no_log(folder: Path) -> None:
    (folder / "logs").mkdir()
    with pytest.raises(SourceError, match=r"regular files, got a folder.*logs/\*\.log"):
        find_logs(["logs"], folder)


def test_a_pipe_is_no_log_and_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.log")
    with pytest.raises(SourceError, match="regular files, got a special file"):
        find_logs(["*.log"], folder)


def test_an_unreadable_file_stops_with_its_name() -> None:
    with open_folder() as folder:
        written(folder / "access.log", b"line\n").chmod(0)
        with without_root(), pytest.raises(SourceError, match=r"must be readable, got access\.log"):
            find_logs(["access.log"], folder)


def test_lines_keep_their_order_and_their_line_feed(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path / "a", b"one\ntwo\r\nthree\n")) == ["one\n", "two\r\n", "three\n"]


def test_a_last_line_without_line_feed_is_a_line(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path / "a", b"one\ntwo"), written(tmp_path / "b", b"three")) == [
        "one\n",
        "two\n",
        "three\n",
    ]


def test_blank_lines_count_but_not_at_the_end_of_a_file(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path / "a", b"one\n\ntwo\n\r\n\n\n")) == ["one\n", "\n", "two\n"]


def test_gzip_is_told_by_its_content(tmp_path: Path) -> None:
    packed = written(tmp_path / "a.log", gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert lines_of(packed) == ["one\n", "two\n"]


def test_invalid_bytes_and_nulls_do_not_stop_reading(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path / "a", b"\xff\xfe\n\0\n\xc3\xa9\n")) == ["��\n", "\0\n", "é\n"]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path / "a", b"\xef\xbb\xbfone\ntwo\n")) == ["one\n", "two\n"]


def test_a_line_of_a_megabyte_is_read_whole(tmp_path: Path) -> None:
    assert [len(line) for line in lines_of(written(tmp_path / "a", b"x" * 1_000_000 + b"\ny\n"))] == [1_000_001, 2]


@pytest.mark.parametrize("size", [900, 1000, 1001, 5000])
def test_lines_longer_than_a_piece_are_counted_and_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(logs, "PIECE_BYTES", 1000)
    found = lines_of(written(tmp_path / "a", b"one\n" + b"x" * size + b"\ntwo\n"))
    assert len(found) == 3
    assert (found[0], found[2]) == ("one\n", "two\n")
    assert found[1] == ("-\n" if size >= 1000 else "x" * size + "\n")


def test_a_file_of_one_endless_line_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PIECE_BYTES", 1000)
    assert lines_of(written(tmp_path / "a", b"x" * 4096)) == ["-\n"]


@pytest.mark.parametrize(("piece", "block", "rows"), [(7, 20, 3), (64, 10, 1000), (1000, 1000, 2)])
def test_how_a_file_is_cut_into_blocks_does_not_change_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, block: int, rows: int
) -> None:
    for name, value in (("PIECE_BYTES", piece), ("BLOCK_BYTES", block), ("BLOCK_LINES", rows), ("BATCH_LINES", 2)):
        monkeypatch.setattr(logs, name, value)
    expected = [f"{number}\n" for number in range(500)]
    assert lines_of(written(tmp_path / "a", "".join(expected).encode())) == expected


def test_a_block_has_no_more_lines_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "BLOCK_LINES", 10)
    tables = list(read_lines([written(tmp_path / "a", b"x\n" * 25)]))
    assert [table.num_rows for table in tables] == [10, 10, 5]


@pytest.mark.parametrize("kept", [0, 10, 60])
def test_a_truncated_gzip_stops_with_a_clear_error(tmp_path: Path, kept: int) -> None:
    packed = gzip.compress(os.urandom(100) + b"\n")
    with pytest.raises(SourceError, match=r"complete and undamaged, got a\.log\.gz"):
        lines_of(written(tmp_path / "a.log.gz", packed[:kept]))


@pytest.mark.parametrize("at", [20, -6, -2])
def test_a_damaged_gzip_stops_with_a_clear_error(tmp_path: Path, at: int) -> None:
    packed = bytearray(gzip.compress(b"some line of a log\n" * 100))
    packed[at] ^= 0xFF
    with pytest.raises(SourceError, match=r"complete and undamaged, got a\.log"):
        lines_of(written(tmp_path / "a.log", bytes(packed)))


def test_only_empty_files_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="at least one line"):
        lines_of(written(tmp_path / "a", b""), written(tmp_path / "b", b"\n\n"), written(tmp_path / "c", b""))


def test_an_empty_file_beside_a_full_one_is_fine(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path / "a", b""), written(tmp_path / "b", b"one\n")) == ["one\n"]


def test_a_file_that_is_gone_stops_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"must be readable, got gone\.log"):
        lines_of(tmp_path / "gone.log")


def test_progress_ends_at_the_bytes_on_disk(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    paths = [written(tmp_path / "a", b"one\n" * 9), written(tmp_path / "b", gzip.compress(b"two\n" * 9))]
    list(read_lines(paths, lambda _what, done, total: told.append((done, total))))
    total = sum(path.stat().st_size for path in paths)
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
