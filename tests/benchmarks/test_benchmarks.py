"""Benchmarks run, with small sizes and untimed; what they find is kept, judged and told rightly."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.benchmarks import BENCHMARKS, __main__, measuring, page, reporting, scale
from tests.benchmarks.measuring import Median, Memory, Run, RunFailedError, alone, command, in_turns
from tests.benchmarks.reporting import Amount, Figure, LeftOut, Ratio, Result, at_least, at_most, no_more_than, stored

HERE = Path(__file__).parent
# Those beside other libraries start a dozen processes, which takes most of a minute.
QUICK = [name for name in BENCHMARKS if name not in {"peers", "accuracy"}]
HOLD = "import sys, time; held = bytearray(int(sys.argv[1]) * 1_000_000); time.sleep(0.8)"


def figure(name: str = "a count", seconds: float = 3.0, **changes: object) -> Figure:
    """A figure that takes so long beside two seconds."""
    made = {"ours": Amount(seconds, 100.0), "theirs": Amount(2.0), "ratio": Ratio.LONGER, "goals": (at_most(1.75),)}
    return Figure(name, "a plain count", **(made | changes))  # type: ignore[arg-type]


def result(*figures: Figure) -> Result:
    """What a benchmark found."""
    left_out = (LeftOut("GoAccess", "it is not installed"),)
    return Result("ledger", "2026-12-01", {"processor": "a processor", "duckdb": "2.0.0"}, 12.0, figures, left_out)


def here(work: Callable[..., object], *arguments: object, calls: int = 1, warm_up: int = 0) -> Run:
    """In this process, which has everything loaded, and without a clock."""
    told = work(*json.loads(json.dumps(arguments)))
    told = dict(told) if isinstance(told, dict) else {}
    return Run(told.pop("seconds", 1.0) or 1e-9, 1.0, told)


def test_every_benchmark_is_run_by_make_bench() -> None:
    assert {f"bench_{name}" for name in BENCHMARKS} == {path.stem for path in HERE.glob("bench_*.py")}


@pytest.mark.parametrize("name", QUICK)
def test_a_benchmark_runs_with_small_sizes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"tests.benchmarks.bench_{name}")
    if hasattr(module, "alone"):
        monkeypatch.setattr(module, "alone", here)
    found = list(module.figures(True))
    assert found
    for one in found:
        assert one.why if isinstance(one, LeftOut) else one.ours.value >= 0


def test_a_measured_function_runs_in_a_process_of_its_own() -> None:
    run = alone(os.getpid)
    assert run.seconds < 1
    assert run.megabytes > 5
    told = alone(told_of, 3, calls=2)
    assert told.told == {"number": 6, "pid": told.told["pid"]}
    assert told.told["pid"] != os.getpid()
    assert told.seconds == 0.25


def told_of(number: int) -> dict[str, float]:
    """What the process of a measured function tells."""
    return {"number": 2 * number, "pid": os.getpid(), "seconds": 0.25}


def test_memory_is_that_of_the_whole_tree() -> None:
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLD!r}, '150'], check=True)"
    run = command([sys.executable, "-c", inner])
    assert 150 < run.megabytes < 250
    assert run.seconds > 0.8


def test_memory_is_watched_while_a_process_lives() -> None:
    running = subprocess.Popen([sys.executable, "-c", HOLD, "80"])
    with Memory(running.pid) as memory:
        running.wait()
    assert 80 < memory.megabytes < 150
    assert memory.megabytes == max(memory.samples)


def test_what_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(RunFailedError, match=r"ended with 3: .*went wrong"):
        command([sys.executable, "-c", "import sys; print('it went wrong', file=sys.stderr); sys.exit(3)"])


def test_rivals_take_turns_and_the_warm_up_is_left_out() -> None:
    order: list[str] = []

    def running(name: str) -> Callable[[], Run]:
        def run() -> Run:
            order.append(name)
            return Run(float(len(order)), 1.0, {"rows": len(order)})

        return run

    found = in_turns({"ours": running("ours"), "theirs": running("theirs")}, rounds=3)
    assert order == ["ours", "theirs"] * 4
    assert [run.seconds for run in found["ours"].runs] == [3.0, 5.0, 7.0]
    assert (found["ours"].seconds, found["theirs"].seconds, found["ours"].told("rows")) == (5.0, 6.0, 5.0)
    assert Median((Run(1, 10), Run(9, 30), Run(2, 20))).megabytes == 20


@pytest.mark.parametrize(
    ("made", "times", "is_met"),
    [
        (figure(seconds=3.5), 1.75, True),
        (figure(seconds=3.6), 1.8, False),
        (figure(ratio=Ratio.FASTER, seconds=0.5, goals=(at_least(4),)), 4.0, True),
        (figure(ratio=Ratio.FASTER, seconds=0.6, goals=(at_least(4),)), 2 / 0.6, False),
        (figure(goals=(at_most(1.75), no_more_than(2.9))), 1.5, False),
        (figure(goals=(at_most(1.75), no_more_than(3))), 1.5, True),
        (figure(seconds=900.0, goals=()), 450.0, True),
    ],
)
def test_a_goal_is_about_the_ratio_or_the_amount(made: Figure, times: float, is_met: bool) -> None:
    assert made.times == pytest.approx(times)
    assert made.is_met is is_met


def test_what_was_found_is_kept_and_read_again(tmp_path: Path) -> None:
    kept = result(figure(), figure("memory", ratio=Ratio.MUCH, unit="MB", goals=(no_more_than(400),)))
    kept.store(tmp_path)
    assert list(stored(tmp_path)) == [kept]


def test_the_page_tells_figures_goals_and_what_was_left_out() -> None:
    told = page.page([result(figure(), figure("slow", seconds=8.0))])
    row = "| slow | 8 s, 100 MB | 2 s | a plain count | 4 times as long | **missed**: at most 1.75 times as long |"
    assert row in told
    assert "| met: at most 1.75 times as long |" in told
    assert "Left out: GoAccess, because it is not installed." in told
    assert "`make bench BENCH=ledger`, 12 s." in told
    assert "Measured 2026-12-01 on: a processor, duckdb 2.0.0." in told


def test_the_drawing_names_every_goal() -> None:
    found = [result(figure(), figure("slow", seconds=8.0))]
    drawn = page.drawing(found)
    assert page.distances(found)["times"].tolist() == pytest.approx([1.75 / 1.5, 1.75 / 4])
    for name in page.distances(found)["name"]:
        assert f">{name}<" in drawn


def test_the_page_is_what_the_kept_results_make() -> None:
    found = page.in_order(stored())
    assert page.PAGE.read_text("utf-8") == page.page(found), "run python -m tests.benchmarks.page"
    if found:
        drawn = page.DRAWING.read_text("utf-8")
        assert all(f">{name}<" in drawn for name in page.distances(found)["name"].map(page.escaped))


def test_the_page_of_scale_is_what_the_kept_results_make() -> None:
    assert scale.PAGE.read_text("utf-8") == scale.page(stored()), "run python -m tests.benchmarks.page"


def test_a_large_site_is_reckoned_from_costs_of_an_event() -> None:
    costs = scale.Costs(line_bytes=200, read=36, finish=3.6, staged=10, duckdb=0.36, spark=3.6, shuffled=20)
    site = scale.Site(1e9, costs)
    assert (site.logs, site.reading) == pytest.approx((2e11, 10))
    assert (site.staging, site.finishing, site.duckdb, site.spark) == pytest.approx((7e10, 7, 0.7, 7))
    assert (site.shuffled, site.partitions) == pytest.approx((1.4e11, 700))


def test_nothing_is_reckoned_while_a_result_is_missing() -> None:
    assert not scale.page(one for one in stored() if one.benchmark != "cost")


def test_a_run_goes_on_after_a_failure_and_names_what_was_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def failing(_small: bool) -> Iterator[Figure]:
        yield figure()
        raise ValueError("broken")

    for name, figures in (("ledger", failing), ("library", lambda _: [figure("slow", seconds=8.0), figure("quick")])):
        module = types.ModuleType(name)
        vars(module)["figures"] = figures
        monkeypatch.setitem(sys.modules, f"tests.benchmarks.bench_{name}", module)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "library", "ledger"])
    monkeypatch.setattr(reporting, "RESULTS", tmp_path)
    monkeypatch.setattr(page, "write", lambda: None)
    assert __main__.main() == 1
    told = capsys.readouterr().out
    assert "MISSED ledger: it failed; its earlier result stands" in told
    assert "MISSED library: slow" in told
    assert "MISSED library: quick" not in told
    assert [kept.benchmark for kept in stored(tmp_path)] == ["library"]


def test_processes_work_in_the_folder_of_the_project() -> None:
    told = command([sys.executable, "-c", "import json, os; print(json.dumps({'place': os.getcwd()}))"]).told
    assert told == {"place": str(measuring.ROOT)}
