"""What stops the staging of visitors, and that nothing raw comes out of it either way."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.deidentify.visitors import stage_visitors
from pipeline.errors import ConfigurationError, DemographicsError, RejectShareError, SourceError, StagingError
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.workspace import Workspace
from tests.log_lines import BOT, DAY, counts, events, line, site_of, stage
from tests.staged import contents, folder_of


def test_a_malformed_line_never_stops_a_run_but_too_large_a_share_does(tmp_path: Path) -> None:
    lines = [line()] * 99
    assert counts(stage(tmp_path, *lines, "bad\n", max_rejected_share=0.01))[3] == {"format": 1}
    with pytest.raises(
        RejectShareError,
        match=r"got 1\.98% of 101 \(format 1 \(access\.log line 100\), time 1 \(access\.log line 101\)\)",
    ):
        stage(tmp_path, *lines, "bad\n", line(time="never"), max_rejected_share=0.01)


def test_the_share_is_of_all_lines_whichever_period_they_are_of(tmp_path: Path) -> None:
    other = [line(time="06/Oct/2026:10:00:00 +0000")] * 98
    assert counts(stage(tmp_path, line(), *other, "bad\n", max_rejected_share=0.01))[3] == {"format": 1}


def test_logs_of_malformed_lines_only_are_rejected_as_such(tmp_path: Path) -> None:
    with pytest.raises(RejectShareError, match=r"format 3"):
        stage(tmp_path, "bad\n" * 3, max_rejected_share=0.5)


def test_a_period_without_lines_is_named_with_the_periods_there_are(tmp_path: Path) -> None:
    lines = [line(time="01/Sep/2026:10:00:00 +0000"), line(time="03/Sep/2026:23:30:00 +0000")]
    with pytest.raises(
        StagingError,
        match=r"must have lines of 2026-10-05, got none: the logs cover 2026-09-01 to 2026-09-04.*"
        r"2026-09-01 to 2026-09-04",
    ):
        stage(tmp_path, *lines, time_zone="Europe/Berlin")


def test_a_period_of_bots_only_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StagingError, match="only bots, monitors, one's own networks"):
        stage(tmp_path, line(agent=BOT), line(agent="-"), line(time="06/Oct/2026:10:00:00 +0000"))


def test_logs_without_any_readable_time_say_so(tmp_path: Path) -> None:
    with pytest.raises(StagingError, match="no line has a readable time"):
        stage(tmp_path, line(time="never"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda home: (home / "access.log").write_bytes(gzip.compress(line().encode() * 99)[:-9]),
        lambda home: (home / "access.log").write_text("bad\n" * 5),
        lambda home: (home / "access.log").write_text(""),
        lambda home: (home / "access.log").write_text(line(time="06/Oct/2026:10:00:00 +0000")),
        lambda home: (home / "access.log").unlink(),
    ],
)
def test_where_a_run_fails_earlier_staging_stays_as_it_was(tmp_path: Path, spoil: Any) -> None:
    before = stage(tmp_path, line())
    content = contents(folder_of(before))
    spoil(tmp_path)
    with pytest.raises(DemographicsError):
        stage_visitors(Workspace(tmp_path), site_of(max_rejected_share=0.1), DAY)
    assert contents(folder_of(before)) == content
    assert {path.name for path in folder_of(before).parent.iterdir()} == {folder_of(before).name, f".{DAY}.lock"}


def test_a_period_of_another_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"must be a day.*got 2026-10"):
        stage(tmp_path, line(), period=Period.parse("2026-10"))


def test_a_site_without_visitors_is_refused(tmp_path: Path) -> None:
    customers = {
        "source": {"kind": "csv", "path": "c.csv"},
        "person": "id",
        "dimensions": {"c": {"kind": "country", "column": "c"}},
    }
    document = {"site": "x", "customers": customers, "budget": {"customers": {"epsilon": 1, "delta": 1e-6}}}
    with pytest.raises(ConfigurationError, match="declare visitors"):
        stage_visitors(Workspace(tmp_path), SiteFile.model_validate(document), DAY)


def test_missing_logs_leave_no_key_behind(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="must match a file"):
        stage_visitors(Workspace(tmp_path), site_of(logs=["missing.log"]), DAY)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "staging").write_text("in the way")
    with pytest.raises(StagingError, match="the lock of a period must be writable"):
        stage(tmp_path, line())


def test_nothing_raw_is_written_anywhere(tmp_path: Path) -> None:
    planted = ["198.51.100.77", "PlantedAgent", "planted@example.net", "planted-host", "planted-path", "PlantedToken"]
    spoiled = line(
        address=planted[0], agent=planted[1], request=f"GET /{planted[4]}?e={planted[2]}&t={planted[5]} HTTP/1.1"
    )
    staging = stage(tmp_path, spoiled.replace('"-"', f'"https://{planted[3]}.net/?e={planted[2]}"'), line())
    assert counts(staging)[1] == 2
    (tmp_path / "access.log").unlink()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    text = b"".join(path.read_bytes() for path in files) + json.dumps([str(path) for path in files]).encode()
    text += str(events(staging)).encode()
    assert not [word for word in planted if word.encode() in text]


def test_errors_name_no_raw_value(tmp_path: Path) -> None:
    with pytest.raises(RejectShareError) as caught:
        stage(tmp_path, line(address="planted-host"), "planted line\n", max_rejected_share=0.0)
    assert "planted" not in f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"


def test_progress_tells_the_bytes_read(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    (tmp_path / "access.log").write_text(line())
    stage_visitors(Workspace(tmp_path), site_of(), DAY, lambda *event: told.append(event))
    size = (tmp_path / "access.log").stat().st_size
    assert ("reading visitor logs", size, size) in told
    assert told[-1] == ("following visits", 1, 1)
