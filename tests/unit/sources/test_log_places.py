"""Finding log files on local disks, and opening them."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.site import ErrorLogSource, LogSource
from pipeline.sources.logs import LogFile, find_logs
from tests.log_files import lines_of, log_of, written
from tests.privileges import open_folder, without_root


def found(patterns: Sequence[str], base: Path, *days: str) -> list[str]:
    """Labels of the files that patterns find."""
    source = LogSource(paths=tuple(patterns))
    return [log.label for log in find_logs([source], base, [dt.date.fromisoformat(day) for day in days])]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("access.log", "access.log.1", "access.log.2.gz", "error.txt"):
        (tmp_path / name).write_bytes(b"line\n")
    return tmp_path


def test_a_glob_finds_its_files_sorted(folder: Path) -> None:
    assert found(["access*"], folder) == ["access.log", "access.log.1", "access.log.2.gz"]


def test_a_file_that_two_patterns_match_is_read_once(folder: Path) -> None:
    assert found(["access.log", "*.log", str(folder / "access.log"), "./access.log"], folder) == ["access.log"]


def test_a_file_that_two_sources_name_is_the_first_ones(folder: Path) -> None:
    sources = [LogSource(paths=("*.log",), encoding="latin-1"), LogSource(paths=("access*",))]
    logs = find_logs(sources, folder)
    assert [(log.label, log.source.encoding) for log in logs] == [
        ("access.log", "latin-1"),
        ("access.log.1", "utf-8"),
        ("access.log.2.gz", "utf-8"),
    ]


def test_error_logs_are_found_alike(folder: Path) -> None:
    source = ErrorLogSource(paths=("error.txt",))
    (log,) = find_logs([source], folder)
    assert (log.label, log.source, log.size) == ("error.txt", source, 5)


def test_a_link_to_a_file_is_not_counted_beside_the_file(folder: Path) -> None:
    (folder / "current.log").symlink_to(folder / "access.log")
    (folder / "same.log").hardlink_to(folder / "access.log")
    assert found(["*.log"], folder) == ["access.log"]


def test_an_absolute_glob_ignores_the_base(folder: Path) -> None:
    assert found([f"{folder}/*.log"], Path("/nowhere")) == [f"{folder}/access.log"]


def test_a_file_address_is_a_path(folder: Path) -> None:
    assert found([f"file://{folder}/*.log", f"file://{folder}/error.txt"], folder) == ["access.log", "error.txt"]


def test_a_base_with_brackets_in_its_name_is_found(tmp_path: Path) -> None:
    base = tmp_path / "a[1]"
    written(base / "deep" / "x.log", b"line\n")
    assert found(["*/*.log"], base) == found(["**/x.log"], base) == ["deep/x.log"]


def test_a_path_with_brackets_in_its_name_is_itself(tmp_path: Path) -> None:
    written(tmp_path / "x[1].log", b"line\n")
    assert found(["x[1].log"], tmp_path) == ["x[1].log"]


def test_folders_that_a_glob_matches_are_passed_over(folder: Path) -> None:
    (folder / "access.old").mkdir()
    assert len(found(["access*"], folder)) == 3


def test_two_stars_match_folders_of_any_depth_but_hidden_ones(tmp_path: Path) -> None:
    for name in ("a.log", "1/a.log", "1/2/3/a.log", "1/2/3/b.txt", "1/.old/a.log", "1/.a.log"):
        written(tmp_path / name, b"line\n")
    assert found(["**/*.log"], tmp_path) == ["1/2/3/a.log", "1/a.log", "a.log"]
    assert found(["1/**"], tmp_path) == ["1/2/3/a.log", "1/2/3/b.txt", "1/a.log"]
    assert found(["**/2/**/*.log", "1/**/3/a*"], tmp_path) == ["1/2/3/a.log"]


def test_linked_folders_are_followed_and_circles_come_to_an_end(tmp_path: Path) -> None:
    written(tmp_path / "elsewhere" / "a.log", b"line\n")
    for number in range(4):  # each leads to all the others: without a memory there is no end
        written(tmp_path / "logs" / str(number) / "b.log", b"line\n")
        for other in range(4):
            (tmp_path / "logs" / str(number) / f"to{other}").symlink_to(tmp_path / "logs" / str(other))
    (tmp_path / "logs" / "linked").symlink_to(tmp_path / "elsewhere")
    assert len(found(["logs/**/*.log"], tmp_path)) == 5


@pytest.mark.parametrize("pattern", ["loop.log", "*.log"])
def test_a_link_that_leads_nowhere_is_a_clear_error(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "loop.log").symlink_to(tmp_path / "loop.log")
    with pytest.raises(SourceError, match="link to a log must lead to a file"):
        found([pattern], tmp_path)


@pytest.mark.parametrize("pattern", ["missing.log", "*.missing", "missing/*.log", "missing/**", "nul\0missing"])
def test_a_pattern_without_a_file_is_named(folder: Path, pattern: str) -> None:
    with pytest.raises(SourceError, match=r"must match a file.*none for '.*missing"):
        found(["access.log", pattern], folder)


def test_a_folder_is_no_log(folder: Path) -> None:
    (folder / "logs").mkdir()
    with pytest.raises(SourceError, match=r"regular files, got a folder.*logs/\*\.log"):
        found(["logs"], folder)


def test_a_pipe_is_no_log_and_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.log")
    with pytest.raises(SourceError, match="regular files, got a special file"):
        found(["*.log"], folder)


def test_a_device_is_no_log() -> None:
    with pytest.raises(SourceError, match="regular files, got a special file"):
        found(["/dev/zero"], Path("/"))


def test_an_unreadable_file_stops_with_its_name() -> None:
    with open_folder() as folder:
        written(folder / "access.log", b"line\n").chmod(0)
        with without_root(), pytest.raises(SourceError, match=r"must be readable, got access\.log"):
            found(["access.log"], folder)


@pytest.mark.parametrize("address", ["http://host/x.log", "gs://bucket/x.log", "://x"])
def test_an_address_of_another_kind_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(SourceError, match=r"s3:// or sftp://"):
        found([address], tmp_path)


def test_a_label_cannot_steer_a_terminal(tmp_path: Path) -> None:
    written(tmp_path / "a\x1b[2J\n.log", b"line\n")
    written(Path(os.fsdecode(bytes(tmp_path) + b"/b\xff.log")), b"line\n")
    assert found(["*.log"], tmp_path) == ["a\ufffd[2J\ufffd.log", "b\ufffd.log"]


# Days in paths


@pytest.fixture
def days(tmp_path: Path) -> Path:
    for name in ("2026/10/04.log", "2026/10/05.log", "2026/10/06.log", "2025/10/05.log", "2026/10/99x.log"):
        written(tmp_path / name, b"line\n")
    return tmp_path


def test_a_template_stands_for_each_day(days: Path) -> None:
    pattern = "{year}/{month}/{day}.log"
    assert found([pattern], days, "2026-10-05", "2026-10-06") == ["2026/10/05.log", "2026/10/06.log"]


def test_a_day_without_a_file_is_fine_as_long_as_one_has_one(days: Path) -> None:
    pattern = "{year}/{month}/{day}.log"
    assert found([pattern], days, "2026-10-06", "2026-10-07") == ["2026/10/06.log"]
    with pytest.raises(SourceError, match=r"none for '\{year\}.*on any of the days"):
        found([pattern], days, "2026-10-07", "2026-10-08")


def test_without_templates_every_pattern_must_match_whatever_the_days(days: Path) -> None:
    with pytest.raises(SourceError, match="must match a file"):
        found(["{year}/{month}/{day}.log", "missing.log"], days, "2026-10-05")


def test_a_template_and_a_glob_go_together(days: Path) -> None:
    assert found(["{year}/*/{day}*"], days, "2026-10-05") == ["2026/10/05.log"]


def test_without_days_a_template_stands_for_any(days: Path) -> None:
    assert len(found(["{year}/{month}/{day}.log"], days)) == 4


def test_other_braces_stand_for_themselves(tmp_path: Path) -> None:
    written(tmp_path / "{hour}.log", b"line\n")
    assert found(["{hour}.log"], tmp_path, "2026-10-05") == ["{hour}.log"]


# Between finding and reading


@pytest.fixture
def log(folder: Path) -> LogFile:
    (log,) = find_logs([LogSource(paths=("access.log",))], folder)
    return log


def test_a_file_that_is_gone_stops_with_its_name(log: LogFile, folder: Path) -> None:
    (folder / "access.log").unlink()
    with pytest.raises(SourceError, match=r"must be readable, got access\.log \(FileNotFoundError\)"):
        log.open()


def test_a_file_that_was_rotated_is_not_taken_for_the_one_that_was_found(log: LogFile, folder: Path) -> None:
    (folder / "access.log").rename(folder / "access.log.9")
    written(folder / "access.log", b"another line\n")
    with pytest.raises(SourceError, match=r"must not be rotated.*access\.log"):
        log.open()


def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(log: LogFile, folder: Path) -> None:
    (folder / "access.log").unlink()
    os.mkfifo(folder / "access.log")
    with pytest.raises(SourceError, match=r"must not be rotated"):
        log.open()


def test_a_file_that_was_cut_is_an_error(log: LogFile, folder: Path) -> None:
    written(folder / "access.log", b"li")
    with pytest.raises(SourceError, match=r"must not be rotated or cut"):
        log.open()


def test_a_file_that_is_cut_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", b"line\n" * 200_000)
    with log_of(path).open() as stored:
        assert stored.read(5) == b"line\n"
        os.truncate(path, 1000)
        with pytest.raises(SourceError, match=r"must not be rotated or cut"):
            list(iter(lambda: stored.read(100_000), b""))


def test_a_file_that_grew_is_read_to_its_end(log: LogFile, folder: Path) -> None:
    with (folder / "access.log").open("ab") as file:
        file.write(b"more\n")
    with log.open() as stored:
        assert stored.read() == b"line\nmore\n"


def test_a_name_with_a_line_feed_is_read(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path / "a\n.log", b"line\n")) == ["line\n"]
