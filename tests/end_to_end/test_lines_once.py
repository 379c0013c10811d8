"""Each line counts once, however often, late or renamed its file comes; and what was counted stays countable."""

from __future__ import annotations

import bz2
import gzip
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.deidentify.staging import Staging
from pipeline.deidentify.visitors import stage_visitors
from pipeline.errors import SourceError
from pipeline.periods import Period
from pipeline.workspace import Workspace
from tests.log_lines import BOT, DAY, column, counts, events, line, site_of
from tests.staged import contents, folder_of

SECTIONS: Final = ("docs", "shop", "about")
NEXT_DAY: Final = Period.parse("2026-10-06")


def lines_of(first: int, last: int, day: str = "05/Oct/2026") -> list[str]:
    """Requests of some visitors, one a minute; among them some of bots, without a time, and of no format."""
    return [_line(number, f"{day}:{number // 60:02d}:{number % 60:02d}:00 +0000") for number in range(first, last)]


def _line(number: int, time: str) -> str:
    request = f"GET /{SECTIONS[number % 3]}/{number} HTTP/1.1"
    address = f"8.8.{number % 7}.{number % 5 + 1}"
    special = {
        17: line(address=address, time=time, request=request, agent=BOT),
        23: line(address=address, time="now", request=request),
        29: f"{number} is of no format\n",
    }
    return special.get(number % 31) or line(address=address, time=time, request=request)


def write(path: Path, lines: list[str], pack: Callable[[bytes], bytes] = bytes) -> None:
    path.write_bytes(pack("".join(lines).encode()))


def ingest(home: Path, period: Period = DAY, **options: Any) -> Staging:
    staging = stage_visitors(Workspace(home), site_of(**options), period)
    read, used, left_out, rejected = counts(staging)
    assert used + sum(left_out.values()) + sum(rejected.values()) == read
    assert used == len(events(staging))
    return staging


def same(one: Staging, other: Staging) -> bool:
    """Whether two stagings hold the same rows, in any order, and the same counts."""
    rows = [Counter(tuple(row.items()) for row in events(staging)) for staging in (one, other)]
    return rows[0] == rows[1] and counts(one) == counts(other)


@pytest.fixture
def whole(tmp_path: Path) -> Callable[[list[str]], Staging]:
    """Staging of lines that are all in one file from the start, under the same key."""

    def staged(lines: list[str]) -> Staging:
        home = tmp_path / "whole"
        home.mkdir()
        shutil.copytree(tmp_path / "keys", home / "keys")
        write(home / "only.log", lines)
        return ingest(home)

    return staged


def test_a_file_that_is_given_under_two_names_counts_once(tmp_path: Path, whole: Callable[..., Staging]) -> None:
    for name in ("a.log", "b.log", "c.log.1"):
        write(tmp_path / name, lines_of(0, 200))
    (tmp_path / "d.log").symlink_to(tmp_path / "a.log")
    (tmp_path / "e.log").hardlink_to(tmp_path / "b.log")
    staging = ingest(tmp_path)
    assert counts(staging)[0] == 200
    assert same(staging, whole(lines_of(0, 200)))


def test_a_second_run_over_the_same_files_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.log", lines_of(0, 200))
    first = ingest(tmp_path)
    rows = events(first)
    second = ingest(tmp_path)
    assert counts(first) == counts(second)
    assert Counter(map(str, events(second))) == Counter(map(str, rows))


@pytest.mark.parametrize("cut", [3, 57])
def test_a_log_that_has_grown_counts_its_new_lines_once(
    tmp_path: Path, whole: Callable[..., Staging], cut: int
) -> None:
    """The first time its last line was half written."""
    text = "".join(lines_of(0, 300))
    half = len("".join(lines_of(0, 200))) + cut
    (tmp_path / "access.log").write_text(text[:half])
    assert counts(ingest(tmp_path))[0] == 201
    (tmp_path / "access.log").write_text(text)
    grown = ingest(tmp_path)
    assert counts(grown)[0] == 300
    assert same(grown, whole(lines_of(0, 300)))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_a_rotated_copy_under_another_name_counts_once(
    tmp_path: Path, whole: Callable[..., Staging], pack: Callable[[bytes], bytes]
) -> None:
    write(tmp_path / "access.log", lines_of(0, 200))
    ingest(tmp_path)
    write(tmp_path / "access.log-20261005.x", lines_of(0, 250), pack)  # what came before it was rotated
    both = ingest(tmp_path)
    write(tmp_path / "access.log", lines_of(250, 300))
    after = ingest(tmp_path)
    assert (counts(both)[0], counts(after)[0]) == (250, 300)
    assert same(after, whole(lines_of(0, 300)))


def test_late_files_for_a_past_period_count_as_if_they_had_been_there(
    tmp_path: Path, whole: Callable[..., Staging]
) -> None:
    write(tmp_path / "server1.log", lines_of(0, 150))
    first = ingest(tmp_path)
    assert counts(first)[0] == 150
    write(tmp_path / "server2.log.gz", lines_of(150, 400), gzip.compress)
    late = ingest(tmp_path)
    assert counts(late)[0] == 400
    everything = whole(lines_of(0, 400))
    assert same(late, everything)
    assert sum(row["visits"] for row in events(late)) == sum(row["visits"] for row in events(everything))
    assert column(late, "hour") == column(everything, "hour")


def test_a_period_is_not_touched_by_what_comes_later(tmp_path: Path) -> None:
    write(tmp_path / "access.log", lines_of(0, 200))
    first = ingest(tmp_path)
    before = contents(folder_of(first))
    write(tmp_path / "access.log", lines_of(0, 200) + lines_of(0, 200, "06/Oct/2026"))
    second = ingest(tmp_path, NEXT_DAY)
    assert contents(folder_of(first)) == before
    assert counts(second)[0] == 400
    assert {row["weekday"] for row in events(second)} == {"Tue"}


@pytest.mark.parametrize("what", ["gone", "emptied", "shortened", "changed"])
def test_a_file_that_is_gone_since_stops_and_earlier_staging_stays(tmp_path: Path, what: str) -> None:
    write(tmp_path / "a.log", lines_of(0, 100))
    write(tmp_path / "b.log", lines_of(100, 200))
    staging = ingest(tmp_path)
    before = contents(folder_of(staging))
    if what == "gone":
        (tmp_path / "b.log").unlink()
    else:
        left = {"emptied": [], "shortened": lines_of(100, 199), "changed": [*lines_of(100, 199), _line(31, "now")]}
        write(tmp_path / "b.log", left[what])
    with pytest.raises(SourceError, match=r"must still be there, got 1 of .* with 100 lines"):
        ingest(tmp_path)
    assert contents(folder_of(staging)) == before
    assert {path.name for path in folder_of(staging).parent.iterdir()} == {str(DAY), f".{DAY}.lock"}
    write(tmp_path / "found again.log", lines_of(100, 200))
    assert counts(ingest(tmp_path))[0] == 200 + {"gone": 0, "emptied": 0, "shortened": 0, "changed": 100}[what]


def test_requests_that_are_alike_are_not_lines_that_were_copied(tmp_path: Path) -> None:
    """Two servers that answered the same to the same visitor at the same second."""
    write(tmp_path / "server1.log", [line(), *lines_of(0, 50)])
    write(tmp_path / "server2.log", [line(), *lines_of(50, 100)])
    assert counts(ingest(tmp_path))[0] == 102
    assert column(ingest(tmp_path), "section").count("docs") > 2


def test_error_logs_count_once_too(tmp_path: Path) -> None:
    lines = [
        f"2026/10/05 {number:02d}:00:00 [error] 7#7: *{number} open() failed, client: 8.8.8.8, server: x\n"
        for number in range(24)
    ]
    write(tmp_path / "access.log", [line(time=f"05/Oct/2026:{number:02d}:00:01 +0000") for number in range(24)])
    write(tmp_path / "error.txt", lines[:10])
    write(tmp_path / "error.txt.copy", lines[:10])
    first = ingest(tmp_path, error_logs=["error.txt*"])
    assert first.manifest.sources["error logs"].read == 10
    write(tmp_path / "error.txt.1.gz", lines[:20], gzip.compress)
    write(tmp_path / "error.txt", lines[20:])
    second = ingest(tmp_path, error_logs=["error.txt*"]).manifest.sources["error logs"]
    assert second.read == second.used == 24
