"""Whoever reads a period's logs, in however many units, in whatever order: staging is the same, and what is told."""

from __future__ import annotations

import datetime as dt
import gzip
import random
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from pipeline.deidentify import sharing
from pipeline.deidentify import staging as staging_module
from pipeline.deidentify.accounting import AT_REQUEST
from pipeline.deidentify.staging import Staging, load_staging, place_of, sweep_drafts
from pipeline.deidentify.visitors import finish_visitors, plan_visitors, read_visitors, stage_visitors, unread_units
from pipeline.errors import ConfigurationError, RejectShareError, SourceError, StagingError
from pipeline.site import SiteFile
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.asking import files_with
from tests.log_lines import BOT, CHROME, DAY, events, line, site_of
from tests.unit.deidentify.test_left_out_visitors import ask

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
ERROR = "2026/10/05 10:{:02d}:00 [error] 1#1: *1 open() failed, client: 8.8.8.{}\n"


def lines_of(seed: int, number: int = 120) -> list[str]:
    """A few people who go on through all files, with bots and lines that are none."""
    made = random.Random(seed)  # noqa: S311
    found = [
        line(
            address=f"8.8.8.{made.randrange(6)}",
            time=f"05/Oct/2026:{made.randrange(24):02d}:{made.randrange(60):02d}:00 +0000",
            request=f"GET /{made.choice(('docs', 'shop', ''))}/{made.randrange(9)} HTTP/1.1",
            agent=made.choice((CHROME, FIREFOX, BOT)),
        )
        for _ in range(number)
    ]
    found[number // 2] = "spoiled\n"
    return found


def write_logs(home: Path) -> None:
    """Plain, packed, copied, grown, rotated, blank; with carriage returns, and without a last line feed."""
    texts = ["".join(lines_of(seed)).encode() for seed in range(6)]
    written = {
        "a.log": texts[0],
        "a.log.1": texts[1],
        "b.log": texts[2] + texts[3],
        "b.log.older": texts[2],
        "b.log.copy.gz": gzip.compress(texts[2] + texts[3]),
        "c.log.gz": gzip.compress(texts[4]),
        "d.log": texts[5].replace(b"\n", b"\r\n").rstrip(),
        "e.log": b"\n\n",
        "f.log": texts[0][:60],
        "error.err": "".join(ERROR.format(minute, minute % 6) for minute in range(60)).encode(),
        "other.err": b"spoiled\n",
    }
    for name, content in written.items():
        (home / name).write_bytes(content)


def site(**options: Any) -> SiteFile:
    return site_of(error_logs=["*.err"], **options)


def mapped(
    home: Path, unit_bytes: int, order: Callable[[list[int]], Iterable[int]] = iter, declared: SiteFile | None = None
) -> tuple[Staging, int]:
    """Staging by way of units, in an order; and how many there were."""
    workspace, declared = Workspace(home), declared or site()
    token, units = plan_visitors(workspace, declared, DAY, unit_bytes)
    for unit in order([*range(units)]):
        read_visitors(workspace, declared, DAY, token, unit)
    return finish_visitors(workspace, declared, DAY, token), units


def rows(staging: Staging) -> Counter[tuple[tuple[str, Any], ...]]:
    return Counter(tuple(sorted(row.items())) for row in events(staging))


def told(staging: Staging) -> dict[str, Any]:
    return staging.manifest.model_dump(exclude={"files", "run", "buckets"})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_logs(tmp_path)
    return tmp_path


@pytest.fixture
def whole(home: Path) -> Staging:
    """What one process makes, with the key that the others then have."""
    return stage_visitors(Workspace(home), site(), DAY)


def shuffled(units: list[int]) -> list[int]:
    return random.Random(1).sample(units, len(units))  # noqa: S311


@pytest.mark.parametrize(("unit_bytes", "least"), [(1 << 30, 1), (30_000, 5), (16_000, 6)])
def test_staging_is_the_same_in_any_number_of_units(home: Path, whole: Staging, unit_bytes: int, least: int) -> None:
    before = rows(whole), told(whole)
    staging, units = mapped(home, unit_bytes, shuffled)
    assert units >= least
    assert (rows(staging), told(staging)) == before
    assert staging.manifest.sources["error logs"].used > 5
    assert (staging.manifest.sources["visitor logs"].rejected, staging.manifest.formats) == (
        {"format": 6},
        {"combined": 5},
    )
    assert not files_with(home / "staging", "_moment")


def test_a_large_file_is_read_in_spans(tmp_path: Path) -> None:
    (tmp_path / "error.err").write_text("".join(ERROR.format(minute, minute % 6) for minute in range(60)))
    text = "".join(line for seed in range(10, 14) for line in lines_of(seed))
    (tmp_path / "large.log").write_bytes(text.replace("\n", "\r\n").rstrip().encode() + b"\n\n")
    before = stage_visitors(Workspace(tmp_path), site(), DAY)
    found = rows(before), told(before)
    staging, units = mapped(tmp_path, 20_000, shuffled)
    assert units == len(text) // 20_000 + 2
    assert (rows(staging), told(staging)) == found


@pytest.mark.parametrize("packed", [False, True])
def test_what_means_something_by_the_lines_before_it_is_not_cut(tmp_path: Path, *, packed: bool) -> None:
    fields = "#Fields: date time c-ip cs-method cs-uri-stem sc-status cs(User-Agent)\n"
    told_of = f"2026-10-05 10:00:00 8.8.8.8 GET /docs/a 200 {CHROME.replace(' ', '+')}\n"
    content = (fields + told_of * 50).encode()
    (tmp_path / "u_ex.log").write_bytes(gzip.compress(content) if packed else content)
    plain = site_of()
    assert plan_visitors(Workspace(tmp_path), plain, DAY, 100)[1] == 1


def test_there_are_never_more_units_than_airflow_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MOST_UNITS", 5)
    for number in range(40):
        (tmp_path / f"{number}.log").write_text(line(address=f"8.8.8.{number}"))
    assert 5 <= plan_visitors(Workspace(tmp_path), site_of(), DAY, 1)[1] <= 10


def test_places_of_rejected_lines_are_the_same(home: Path) -> None:
    strict = site(max_rejected_share=0.0)
    with pytest.raises(RejectShareError) as once:
        stage_visitors(Workspace(home), strict, DAY)
    with pytest.raises(RejectShareError) as many:
        mapped(home, 30_000, shuffled, strict)
    assert "a.log line 61; " in str(once.value)
    assert str(many.value) == str(once.value)


# What may happen in between


class Run:
    """A run of several units over two files."""

    def __init__(self, home: Path) -> None:
        self.home, self.workspace, self.site = home, Workspace(home), site_of()
        for name in ("a.log", "b.log"):
            (home / name).write_text(line() * 3 + line(address="9.9.9.9", agent=FIREFOX))
        (home / "b.log").write_text(line(address="9.9.9.8") * 5)
        self.token, units = plan_visitors(self.workspace, self.site, DAY, 600)
        assert units == 2

    def read(self, *units: int) -> None:
        for unit in units:
            read_visitors(self.workspace, self.site, DAY, self.token, unit)

    def finish(self) -> Staging:
        return finish_visitors(self.workspace, self.site, DAY, self.token)


def test_a_unit_that_is_read_again_counts_once(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.read(0, 0, 1, 1, 1)
    assert len(events(run.finish())) == 9
    assert not (tmp_path / "staging" / "visitors" / str(DAY) / "drafts").exists()


def test_a_unit_that_is_not_read_stops_the_end_and_earlier_staging_stays(tmp_path: Path) -> None:
    earlier = stage_visitors(Workspace(tmp_path), Run(tmp_path).site, DAY)
    run = Run(tmp_path)
    run.read(1)
    with pytest.raises(StagingError, match="1 of 2 that are not"):
        run.finish()
    assert load_staging(run.workspace, Population.VISITORS, DAY) == earlier
    run.read(0)
    assert rows(run.finish()) == rows(load_staging(run.workspace, Population.VISITORS, DAY))


def test_of_two_runs_the_later_alone_goes_on(tmp_path: Path) -> None:
    first = Run(tmp_path)
    first.read(0)
    second = Run(tmp_path)
    for step in (lambda: first.read(1), first.finish):
        with pytest.raises(StagingError, match="must be the newest of its period"):
            step()
    second.read(0, 1)
    assert len(events(second.finish())) == 9


def test_who_stages_in_one_process_gives_up_a_run_of_many(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.read(0, 1)
    stage_visitors(run.workspace, run.site, DAY)
    with pytest.raises(StagingError, match="must be the newest of its period"):
        run.finish()


def test_an_end_that_is_tried_again_after_it_was_done_changes_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.read(0, 1)
    assert run.finish() == run.finish()


def test_who_asks_while_logs_are_read_is_in_no_row(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.read(0, 1)
    ask(tmp_path)
    sweep_drafts(place_of(run.workspace, Population.VISITORS, DAY))  # as whoever applies a request does
    staging = run.finish()
    assert len(events(staging)) == 6
    assert staging.manifest.sources["visitor logs"].left_out == {AT_REQUEST: 3}


def test_drafts_of_a_run_that_never_ended_are_swept_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    run.read(0)
    place = place_of(run.workspace, Population.VISITORS, DAY)
    sweep_drafts(place)
    assert place.names()
    monkeypatch.setattr(staging_module, "LONGEST_RUN", dt.timedelta(0))
    sweep_drafts(place)
    assert place.names() == []


def test_another_site_file_than_the_planned_one_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.site = site_of(referrer_domains=["example.net"])
    with pytest.raises(ConfigurationError, match="must stay the same while a period is read"):
        run.read(0)


def test_a_log_that_was_rotated_since_it_was_planned_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (tmp_path / "b.log").write_text(line(address="9.9.9.7", agent=FIREFOX) * 500)
    with pytest.raises(SourceError, match=r"must not be rotated or cut while it is read, got b\.log"):
        run.read(1)


def test_a_log_that_goes_is_named_and_its_unit_is_not_read(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (tmp_path / "a.log").unlink()
    with pytest.raises(SourceError, match=r"must be readable, got a\.log"):
        run.read(0)
    assert unread_units(run.workspace, run.site, DAY, run.token) == [0, 1]


def test_a_reading_that_was_killed_while_it_wrote_its_facts_counts_for_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.read(0, 1)
    drafts = place_of(run.workspace, Population.VISITORS, DAY).under("drafts", run.token)
    with drafts.writing(".0000-facts-00.json.partial") as file:
        file.write(b'{"unit":')
    assert len(events(run.finish())) == 9


def test_a_plan_of_blank_logs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("\n\n")
    with pytest.raises(SourceError, match="at least one line"):
        plan_visitors(Workspace(tmp_path), site_of(), DAY, 1)
