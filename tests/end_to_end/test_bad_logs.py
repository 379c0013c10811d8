"""Visitor logs as they should not be: nothing is lost silently, nothing half-written, and nothing of them is told."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest

from pipeline.deidentify.staging import Staging
from pipeline.deidentify.visitors import stage_visitors
from pipeline.errors import DemographicsError, RejectShareError, SourceError, StagingError
from pipeline.periods import Period
from pipeline.progress import Progress, silent
from pipeline.sources import blocks
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.log_lines import CHROME, DAY, column, counts, events, line, site_of
from tests.privileges import open_folder, without_root

PLANTED: Final = "planted.person@mail.planted-example.org"
GOOD: Final = line()
SPOILED: Final = line(address="203.0.113.77", request=f"GET /docs/{PLANTED} HTTP/1.1", agent=f"{CHROME} {PLANTED}")
ESCAPES: Final = "\x1b[2J\x1b]0;title\x07\x9b31m\b\x7f\u202e"


def ingest(home: Path, progress: Progress = silent, **options: Any) -> Staging:
    return stage_visitors(Workspace(home), site_of(**options), DAY, progress)


def kept(home: Path) -> dict[str, bytes]:
    """Everything under the folder of staging, hidden drafts included."""
    room = home / "staging"
    return {str(path.relative_to(room)): path.read_bytes() if path.is_file() else b"" for path in room.rglob("*")}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A site whose day was ingested before."""
    (tmp_path / "access.log").write_text(GOOD * 5)
    assert counts(ingest(tmp_path))[:2] == (5, 5)
    return tmp_path


def refused(home: Path, progress: Progress = silent, **options: Any) -> DemographicsError:
    """The error with which ingestion stops; it tells nothing of the lines, and leaves everything as it was."""
    before = kept(home)
    with pytest.raises(DemographicsError) as caught:
        ingest(home, progress, **options)
    assert kept(home) == before
    told = f"{caught.value}{caught.value.__cause__}"
    told += "" if caught.value.__suppress_context__ else f"{caught.value.__context__}"
    assert "planted" not in told
    assert all(sign.isprintable() for sign in told)
    return caught.value


def packed(pack: Callable[[bytes], bytes], cut: int) -> bytes:
    return pack((SPOILED * 2_000).encode())[:-cut]


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.log.gz", packed(gzip.compress, 7)),
        ("x.log.bz2", packed(bz2.compress, 7)),
        ("x.log.zst", packed(zstd, 7)),
        ("x.log", packed(gzip.compress, 100)),
        ("x.log.gz", SPOILED.encode()),
    ],
)
def test_a_packed_log_that_is_cut_off_stops(home: Path, name: str, content: bytes) -> None:
    (home / name).write_bytes(content)
    failure = refused(home)
    assert (failure.exit_code, name in str(failure)) == (4, True)


def test_a_folder_stops(home: Path) -> None:
    (home / "folder").mkdir()
    assert "folder" in str(refused(home, logs=["access.log", "folder"]))


def test_a_pipe_stops_and_is_not_waited_for(home: Path) -> None:
    os.mkfifo(home / "pipe.log")
    assert refused(home).exit_code == 4


def test_an_unreadable_file_stops() -> None:
    with open_folder() as home:
        (home / "staging").mkdir()
        (home / "access.log").write_text(SPOILED)
        (home / "access.log").chmod(0)
        with without_root():
            assert isinstance(refused(home), SourceError)


def test_a_file_that_goes_while_others_are_read_stops(home: Path) -> None:
    (home / "later.log").write_text(SPOILED * 2)

    def remove(*_: object) -> None:
        (home / "later.log").unlink(missing_ok=True)

    failure = refused(home, remove)
    assert (failure.exit_code, "later.log" in str(failure)) == (4, True)


def test_a_file_that_is_cut_while_it_is_read_stops(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 4 << 20)
    (home / "later.log").write_text(SPOILED * 200_000)  # more than one block, and more than is read ahead

    def cut(_what: str, done: int, _total: int | None) -> None:
        if done:
            os.truncate(home / "later.log", 1_000)

    assert isinstance(refused(home, cut), SourceError)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_hundred_megabytes_without_a_line_feed_are_one_line(home: Path, pack: Callable[[bytes], bytes]) -> None:
    (home / "x.log").write_bytes(pack(b"planted " * (100 << 17)))
    told = in_a_process_of_its_own(home)
    assert told["counts"] == [6, 5, {}, {"format": 1}]
    assert told["megabytes"] < 400
    assert told["seconds"] < 30


def in_a_process_of_its_own(home: Path, **options: Any) -> dict[str, Any]:
    """Counts of ingestion there, its seconds, and the megabytes that it took at most beside the program itself."""
    program = f"""
import json, sys, time
sys.modules["tests"] = type(sys)("tests")
sys.modules["tests"].__path__ = [{str(Path(__file__).parents[1])!r}]
from pathlib import Path
from tests.end_to_end.test_bad_logs import ingest, counts

def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

before, begin = peak(), time.perf_counter()
found = counts(ingest(Path({str(home)!r}), **json.loads({json.dumps(options)!r})))
print(json.dumps({{"counts": found, "seconds": time.perf_counter() - begin, "megabytes": peak() - before}}))
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "planted" not in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_null_bytes_spoil_no_line_but_their_own(home: Path) -> None:
    (home / "x.log").write_bytes(b"\0" * 50_000 + b"\n" + GOOD.encode() + line(agent="a\0b").encode() + b"\0")
    assert counts(ingest(home)) == (9, 7, {}, {"format": 2})


def test_an_agent_of_a_hundred_kilobytes_is_a_visitors(home: Path) -> None:
    (home / "x.log").write_text(line(agent=f"{CHROME} {'planted ' * 12_500}"))
    staging = ingest(home)
    assert counts(staging)[:2] == (6, 6)
    assert set(column(staging, "browser")) == {"Chrome"}


@pytest.mark.parametrize(
    "time",
    [
        "05/Oct/0000:10:00:00 +0000", "05/Oct/0001:10:00:00 +0000", "05/Oct/9999:10:00:00 +0000",
        "05/Oct/292278:10:00:00 +0000", "31/Feb/2026:10:00:00 +0000", "05/Oct/2026:24:00:01 +0000",
        "05/Oct/2026:10:61:00 +0000", "05/Oct/2026:10:00:00", "05/Okt/2026:10:00:00 +0000",
        "05/Oct/2026:10:00:00 +9999", "-", "5 minutes ago",
    ],
)  # fmt: skip
def test_a_time_that_is_none_of_this_age_is_rejected(home: Path, time: str) -> None:
    (home / "x.log").write_text(line(time=time))
    read, used, left_out, rejected = counts(ingest(home))
    assert (read, used) == (6, 5)
    assert (left_out or rejected) in ({"time": 1}, {"outside the period": 1})


@pytest.mark.parametrize(
    ("time", "hour"),
    [
        ("05/Oct/2026:23:30:00 -0200", None),
        ("06/Oct/2026:01:30:00 +0200", "23"),
        ("04/Oct/2026:12:30:00 -1200", "00"),
        ("06/Oct/2026:13:59:59 +1400", "23"),
        ("05/Oct/2026:05:44:59 +0545", None),
        ("05/Oct/2026:05:45:00 +0545", "00"),
    ],
)
def test_a_time_of_any_zone_is_of_the_sites_day(home: Path, time: str, hour: str | None) -> None:
    (home / "x.log").write_text(line(time=time))
    staging = ingest(home)
    assert counts(staging)[1] == 5 + bool(hour)
    assert set(column(staging, "hour")) == {"10", *([hour] if hour else [])}


def test_escapes_for_a_terminal_come_out_nowhere(home: Path) -> None:
    spoiled = line(
        request=f"GET /docs/{ESCAPES} HTTP/1.1", referrer=f"https://{ESCAPES}.example.org/", agent=f"{CHROME}{ESCAPES}"
    )
    (home / f"x{ESCAPES}.log").write_bytes((spoiled + line(address=ESCAPES) + ESCAPES).encode())
    told: list[str] = []
    staging = ingest(home, lambda what, *_: told.append(what), referrer_domains="any")
    assert counts(staging)[0] == 8
    texts = [*told, repr(events(staging)), staging.manifest.model_dump_json(), *kept(home)]
    assert all(sign.isprintable() or sign == "\n" for sign in "".join(texts))
    assert "planted" not in "".join(texts)
    failure = refused(home, referrer_domains="any", max_rejected_share=0.0)
    assert isinstance(failure, RejectShareError)
    (home / f"x{ESCAPES}.log.gz").write_bytes(b"\x1f\x8b")
    refused(home)


FORMULAS: Final = ("=cmd|'/c calc'!A0", "+1+cmd|' /c calc'!A0", "-2+3", "@SUM(1+9)", "\t=1+1", "=HYPERLINK(1)")


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_for_a_spreadsheet_are_not_in_staging(home: Path, formula: str) -> None:
    lines = [
        line(agent=formula),
        line(agent=f"{formula} Chrome/120.0.0.0", referrer=f"https://{formula}/", request=f"GET {formula} HTTP/1.1"),
        line(referrer=formula, request=f"GET /{formula.replace(' ', '')} HTTP/1.1"),
        line(referrer=f"https://{formula}.example.org/", address=formula),
    ]
    (home / "x.log").write_text("".join(lines))
    staging = ingest(home, referrer_domains="any")
    assert counts(staging)[0] == 9
    found = {value for row in events(staging) for value in row.values() if isinstance(value, str)}
    assert not [value for value in found if value[:1] in "=+-@\t\r" or "cmd" in value or "SUM" in value]


W3C: Final = "#Fields: date time c-ip cs-method cs-uri-stem cs-uri-query sc-status cs(User-Agent)\n"
W3C_LINE: Final = "2026-10-05 10:00:00 8.8.8.8 GET /docs/a - 200 Mozilla/5.0+(X11)+Firefox/128.0\n"


def test_a_log_of_nothing_but_directives_has_no_visitors(home: Path) -> None:
    (home / "access.log").unlink()
    (home / "x.log").write_text(W3C * 50_000)
    (home / "staging").joinpath("visitors", str(DAY)).rename(home / "staging" / "earlier")
    assert isinstance(refused(home), StagingError)


def test_fields_that_change_all_the_time_end_in_time(home: Path) -> None:
    other = W3C.replace("date time", "time date")
    other_line = W3C_LINE.replace("2026-10-05 10:00:00", "10:00:00 2026-10-05")
    (home / "x.log").write_text((W3C + W3C_LINE + other + other_line) * 500)
    told = in_a_process_of_its_own(home)
    assert told["counts"] == [2_005, 1_005, {"directive": 1_000}, {}]
    assert told["seconds"] < 60


@pytest.mark.parametrize(
    "bomb",
    ["[" * 1_000_000, '{"a":' * 200_000, '{"request":' * 100_000 + "1" + "}" * 100_000, '{"status":' + "9" * 1_000_000],
)
def test_a_bomb_of_json_is_one_rejected_line(home: Path, bomb: str) -> None:
    fields = {"remote_addr": "8.8.8.8", "time_iso8601": "2026-10-05T10:00:00+00:00", "request": "GET /docs/a HTTP/1.1"}
    good = json.dumps({**fields, "status": "200", "http_user_agent": CHROME})
    (home / "x.json").write_text(f"{good}\n{bomb}\n{good}\n")
    told = in_a_process_of_its_own(home, logs=["access.log", {"paths": ["x.json"], "format": "json"}])
    assert told["counts"] == [8, 7, {}, {"format": 1}]
    assert told["megabytes"] < 1_000


@pytest.mark.parametrize(
    "garbage",
    [
        os.urandom(300_000),
        (PLANTED + "\n").encode() * 5_000,
        SPOILED[20:].encode() * 1_000,
        b"\n".join(b"%d,planted,%d" % (number, number) for number in range(5_000)),
    ],
    ids=["random", "addresses", "shifted", "table"],
)
def test_a_log_of_garbage_stops_with_reasons_and_places_of_lines(home: Path, garbage: bytes) -> None:
    (home / "x.log").write_bytes(garbage)
    failure = refused(home, max_rejected_share=0.01)
    assert failure.exit_code == 4
    assert re.search(r"x\.log", str(failure))
    if isinstance(failure, RejectShareError):
        assert re.search(r"format [\d,]+ \(x\.log line \d+; x\.log line \d+;", str(failure))


@pytest.mark.parametrize(("lines", "stops"), [(99, False), (98, True)])
def test_the_share_of_rejected_lines_may_be_reached_and_not_passed(home: Path, lines: int, stops: bool) -> None:
    (home / "x.log").write_text(line(request="GET /shop HTTP/1.1") * (lines - 5) + f"{PLANTED}\n")
    if stops:
        failure = refused(home, max_rejected_share=0.01)
        assert isinstance(failure, RejectShareError)
        assert f"format 1 (x.log line {lines - 4})" in str(failure)
    else:
        assert counts(ingest(home, max_rejected_share=0.01)) == (100, 99, {}, {"format": 1})


def test_what_is_rejected_is_told_by_its_place_in_each_file(home: Path) -> None:
    (home / "a.log").write_text(GOOD + f"{PLANTED}\n")
    (home / "b.log").write_text(GOOD * 2 + f"{PLANTED}\n" + line(time="now") + line(address="planted"))
    text = str(refused(home, max_rejected_share=0.0))
    assert re.search(r"format 2 \((a\.log line 2; b\.log line 3|b\.log line 3; a\.log line 2)\)", text)
    assert "time 1 (b.log line 4)" in text
    assert "no address 1 (b.log line 5)" in text


def test_lines_of_one_failed_run_are_all_there_in_the_next(home: Path) -> None:
    (home / "x.log.gz").write_bytes(packed(gzip.compress, 7))
    refused(home)
    (home / "x.log.gz").write_bytes(gzip.compress((SPOILED * 2_000).encode()))
    assert counts(ingest(home))[:2] == (2_005, 2_005)
    room = Workspace(home).staging(Population.VISITORS, DAY).parent
    assert {path.name for path in room.iterdir()} == {str(DAY), f".{DAY}.lock"}


BERLIN: Final = {"time_zone": "Europe/Berlin", "period": "week"}
TO_WINTER: Final = Period.parse("2026-W43")  # the clock goes back on Sunday, 25 October, from three to two
TO_SUMMER: Final = Period.parse("2026-W13")  # and forward on Sunday, 29 March, from two to three


def berlin(home: Path, period: Period, *times: str) -> Staging:
    """Requests of one visitor at these times, with their offsets, where the site is in Berlin."""
    (home / "access.log").write_text("".join(line(time=time) for time in times))
    return stage_visitors(Workspace(home), site_of(**BERLIN), period)


def told_of(staging: Staging) -> list[tuple[str, str, int]]:
    return sorted((row["weekday"], row["hour"], row["visits"]) for row in events(staging))


def test_the_hour_that_comes_twice_is_told_right_and_breaks_no_visit(tmp_path: Path) -> None:
    times = ("01:50:00 +0200", "02:15:00 +0200", "02:40:00 +0200", "02:05:00 +0100", "02:30:00 +0100", "03:00:00 +0100")
    staging = berlin(tmp_path, TO_WINTER, *(f"25/Oct/2026:{time}" for time in times))
    assert told_of(staging) == [("Sun", "01", 1), *[("Sun", "02", 0)] * 4, ("Sun", "03", 0)]


def test_an_hour_of_silence_in_the_hour_that_comes_twice_ends_a_visit(tmp_path: Path) -> None:
    """The clock says the same, an hour later."""
    staging = berlin(tmp_path, TO_WINTER, "25/Oct/2026:02:15:00 +0200", "25/Oct/2026:02:15:00 +0100")
    assert told_of(staging) == [("Sun", "02", 1), ("Sun", "02", 1)]


def test_the_hour_that_is_left_out_breaks_no_visit(tmp_path: Path) -> None:
    times = ("29/Mar/2026:01:45:00 +0100", "29/Mar/2026:03:10:00 +0200", "29/Mar/2026:01:30:00 +0000")
    assert told_of(berlin(tmp_path, TO_SUMMER, *times)) == [("Sun", "01", 1), ("Sun", "03", 0), ("Sun", "03", 0)]


def test_a_week_with_a_change_of_the_clock_ends_when_its_sunday_does(tmp_path: Path) -> None:
    times = ("18/Oct/2026:21:59:59 +0000", "18/Oct/2026:22:00:00 +0000", "25/Oct/2026:22:59:59 +0000")
    staging = berlin(tmp_path, TO_WINTER, *times, "25/Oct/2026:23:00:00 +0000")
    assert counts(staging)[1:3] == (2, {"outside the period": 2})
    assert told_of(staging) == [("Mon", "00", 1), ("Sun", "23", 1)]


UNZONED: Final = '%h %l %u [%{%d/%b/%Y:%H:%M:%S}t] "%r" %>s %b "%{Referer}i" "%{User-Agent}i"'


@pytest.mark.parametrize(
    ("period", "time", "hours"),
    [
        (TO_WINTER, "25/Oct/2026:01:30:00", {"01"}),
        (TO_WINTER, "25/Oct/2026:02:30:00", {"02"}),
        (TO_WINTER, "25/Oct/2026:03:30:00", {"03"}),
        (TO_SUMMER, "29/Mar/2026:02:30:00", {"01", "03", None}),  # a time that never was
        (TO_SUMMER, "29/Mar/2026:03:30:00", {"03"}),
    ],
)
def test_a_time_that_is_logged_without_its_zone_is_the_sites(
    tmp_path: Path, period: Period, time: str, hours: set[str | None]
) -> None:
    logs = [{"paths": ["access.log"], "format": "apache", "log_format": UNZONED}]
    other = f"{time[:12]}12:00:00"
    (tmp_path / "access.log").write_text(line(time=time) + line(time=other))
    staging = stage_visitors(Workspace(tmp_path), site_of(logs=logs, **BERLIN), period)
    read, used, left_out, rejected = counts(staging)
    assert (read, left_out) == (2, {})
    found = set(column(staging, "hour")) - {"12"} if used == 2 else {None}
    assert rejected == ({} if used == 2 else {"time": 1})
    assert found <= hours
    assert set(column(staging, "weekday")) == {"Sun"}
