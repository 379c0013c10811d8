"""How fast raw lines become de-identified staging, beside a bare parse of the same file, and beside GoAccess.

    python tests/benchmarks/bench_ingestion.py [--large] [LOG]

The bare parse is one ``regexp_extract`` over DuckDB's own reader, all fields written to Parquet as they were logged:
what the engine can do without de-identifying anything. GoAccess counts the same file, where it is installed. Without
LOG, a log of a million lines is made. Memory is that of a process of its own, which does nothing else. With
``--large``, it reads ten million lines as well (two gigabytes in the temporary folder): they may take no more memory,
and no more time each. Ends with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from pipeline.deidentify.staging import Staging
from pipeline.deidentify.visitors import stage_visitors
from pipeline.periods import Period, PeriodKind
from pipeline.site import LogSource, SiteFile
from pipeline.sources.logs import find_logs
from pipeline.sources.survey import survey_logs
from pipeline.workspace import Workspace

LINES = 1_000_000
TIMES_LARGER = 10
VISITORS = 40_000
AGENTS = 5_000
ROUNDS = 3
SHARE_OF_BARE = 0.5
TIMES_GOACCESS = 6
MOST_MEGABYTES = 1_500
LINEAR = 1.25  # seconds a line of the large log, in those of the small one
GOACCESS = ("--log-format=COMBINED", "--no-global-config", "--no-progress")
BARE = r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "([^"]*)" (\d{3}) (\S+) "([^"]*)" "([^"]*)"'
FIELDS = ["address", "identity", "name", "time", "request", "status", "size", "referrer", "agent"]


@dataclass(frozen=True)
class Goal:
    """A measured number and what it must be."""

    text: str
    is_met: bool


def main() -> int:
    """Measure, print what came out, and fail where a goal is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("log", nargs="?", type=Path, help="a combined log; one is made where none is named")
    parser.add_argument("--large", action="store_true", help="read ten million lines as well")
    parser.add_argument("--stage", metavar="HOME", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        return staged_alone(options.stage, options.log)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        log = options.log.resolve() if options.log else made_log(home / "access.log")
        goals = [*speed(home, log), *(large(home, log) if options.large else ())]
    for goal in goals:
        print(f"{'met   ' if goal.is_met else 'MISSED'} {goal.text}")
    return int(not all(goal.is_met for goal in goals))


def speed(home: Path, log: Path) -> Iterator[Goal]:
    """All measurements of one file."""
    lines, period = surveyed(log)
    _, peak = in_its_own_process(home, log)
    rivals: dict[str, Callable[[], object]] = {
        "bare parse to Parquet": lambda: bare_parse(log, home / "bare.parquet"),
        "de-identified staging": lambda: staging_of(home, log, period),
    }
    if shutil.which("goaccess"):
        rivals["GoAccess"] = lambda: goaccess(log, home / "goaccess.json")
    # In turns, so that what else the machine does falls on all.
    turns = [{name: seconds(rival) for name, rival in rivals.items()} for _ in range(ROUNDS)]
    best = {name: min(turn[name] for turn in turns) for name in rivals}
    print(f"{lines:,} lines, {log.stat().st_size / 1e6:.0f} MB")
    for name, took in best.items():
        print(f"{name:24} {took:7.2f} s  {lines / took:10,.0f} lines/s")
    staged = best["de-identified staging"]
    share = best["bare parse to Parquet"] / staged
    yield Goal(f"{share:.2f} of the speed of the bare parse; at least {SHARE_OF_BARE}", share >= SHARE_OF_BARE)
    if "GoAccess" in best:
        times = best["GoAccess"] / staged
        yield Goal(f"{times:.1f} times as fast as GoAccess; at least {TIMES_GOACCESS}", times >= TIMES_GOACCESS)
    else:
        print("GoAccess is not installed, and so not compared.")
    yield Goal(f"peak memory of {peak:,.0f} MB; under {MOST_MEGABYTES:,}", peak < MOST_MEGABYTES)


def large(home: Path, log: Path) -> Iterator[Goal]:
    """Whether a log ten times as long takes as much memory, and ten times as long."""
    lines, _ = surveyed(log)
    small, _ = min(in_its_own_process(home, log) for _ in range(ROUNDS))
    larger = made_log(home / "large.log", TIMES_LARGER)
    took, peak = in_its_own_process(home, larger)
    count = LINES * TIMES_LARGER
    print(f"{count:,} lines, {larger.stat().st_size / 1e6:,.0f} MB")
    print(f"{'de-identified staging':24} {took:7.2f} s  {count / took:10,.0f} lines/s")
    times = (took / count) / (small / lines)
    yield Goal(f"{times:.2f} of the time a line; at most {LINEAR}", times <= LINEAR)
    yield Goal(f"peak memory of {peak:,.0f} MB; under {MOST_MEGABYTES:,}", peak < MOST_MEGABYTES)


def surveyed(log: Path) -> tuple[int, Period]:
    """The number of lines, and the month of the first."""
    survey = survey_logs(find_logs([LogSource(paths=(str(log),))], log.parent), ZoneInfo("UTC"))
    assert survey.first_day is not None
    return survey.lines, Period.containing(survey.first_day, PeriodKind.MONTH)


def in_its_own_process(home: Path, log: Path) -> tuple[float, float]:
    """Seconds that staging takes, and megabytes at most."""
    command = [sys.executable, __file__, "--stage", str(home), str(log)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    return told["seconds"], told["megabytes"]


def staged_alone(home: Path, log: Path) -> int:
    """What that process does."""
    with log.open(encoding="utf-8", errors="replace") as file:
        day = dt.datetime.strptime(file.readline().partition("[")[2][:11], "%d/%b/%Y").replace(tzinfo=dt.UTC)
    period = Period.containing(day.date(), PeriodKind.MONTH)
    took = seconds(lambda: staging_of(home, log, period))
    print(json.dumps({"seconds": took, "megabytes": peak_megabytes()}))
    return 0


def peak_megabytes() -> float:
    """Of this process; ``getrusage`` would tell that of the process that started it, where it was larger."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def goaccess(log: Path, target: Path) -> None:
    """The counts that GoAccess makes of the file, without a page for people."""
    subprocess.run(["goaccess", str(log), *GOACCESS, "-o", str(target)], check=True, capture_output=True)


def bare_parse(log: Path, target: Path) -> None:
    """One pass of the engine over the file, with as many threads and without de-identification."""
    connection = duckdb.connect()
    connection.execute(
        f"COPY (SELECT unnest(regexp_extract(line, '{BARE}', {FIELDS})) FROM read_csv('{log}', "
        "columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', header = false, auto_detect = false, "
        f"strict_mode = false, ignore_errors = true, max_line_size = 10000000)) TO '{target}' (FORMAT parquet)"
    )


def staging_of(home: Path, log: Path, period: Period) -> Staging:
    """The product's own stage."""
    site = SiteFile.model_validate(
        {
            "site": "Benchmark",
            "visitors": {
                "logs": [str(log)],
                "period": period.kind,
                "own_domains": ["example.com"],
                "referrer_domains": ["google.com", "example.org"],
                "sections": [{"section": name, "paths": [f"/{name}/*"]} for name in ("docs", "blog", "shop", "help")],
                "max_rejected_share": 1,
            },
            "budget": {"visitors": {"epsilon": 1, "delta": 1e-6}},
        }
    )
    return stage_visitors(Workspace(home), site, period)


def made_log(path: Path, times: int = 1) -> Path:
    """A log of two weeks with heavy-tailed visitors, seeded; or so many times that, each with visitors of its own."""
    with path.open("w", encoding="ascii") as file:
        for number in range(times):
            file.writelines(made_lines(random.Random(20261005 + number)))  # noqa: S311
    return path


def made_lines(chance: random.Random) -> Iterator[str]:
    """A million lines, in order of time."""
    agents = [made_agent(chance) for _ in range(AGENTS)]
    people = [(made_address(chance), chance.choice(agents)) for _ in range(VISITORS)]
    weights = list(itertools.accumulate(1 / (rank + 1) ** 0.6 for rank in range(VISITORS)))
    start = dt.datetime(2026, 10, 5, tzinfo=dt.UTC)
    for number, (address, agent) in enumerate(chance.choices(people, cum_weights=weights, k=LINES)):
        moment = start + dt.timedelta(seconds=number * 14 * 86_400 / LINES)
        folder = chance.choice(("docs", "blog", "shop", "about"))
        path = f"/{folder}/{chance.choice('abcdef')}/{chance.randrange(5000)}.html"
        query = f"?utm_source=news&id={number}" if chance.random() < 0.1 else ""
        referrer = made_referrer(chance) if chance.random() < 0.5 else "-"
        yield (
            f'{address} - - [{moment:%d/%b/%Y:%H:%M:%S} +0000] "GET {path}{query} HTTP/1.1" '
            f'{chance.choice((200, 200, 200, 304, 404))} {chance.randrange(90_000)} "{referrer}" "{agent}"\n'
        )


def made_address(chance: random.Random) -> str:
    """An IPv4 address, or one in ten times an IPv6 address."""
    if chance.random() < 0.1:
        return f"2a02:{chance.randrange(65536):x}:{chance.randrange(65536):x}::{chance.randrange(1, 65536):x}"
    return ".".join(str(chance.randrange(1, 224)) for _ in range(4))


def made_agent(chance: random.Random) -> str:
    """A browser's agent with a version of its own."""
    system = chance.choice(("Windows NT 10.0; Win64; x64", "X11; Linux x86_64", "Macintosh; Intel Mac OS X 10_15_7"))
    version = f"{chance.randrange(80, 140)}.0.{chance.randrange(6000)}.{chance.randrange(200)}"
    return f"Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version} Safari/537.36"


def made_referrer(chance: random.Random) -> str:
    """A search, a page of the site itself, or one of some thousand others."""
    if chance.random() < 0.4:
        return f"https://www.google.com/search?q={chance.randrange(10_000)}"
    if chance.random() < 0.5:
        return f"https://www.example.com/docs/{chance.randrange(5000)}.html"
    return f"https://site{chance.randrange(2000)}.example.org/page/{chance.randrange(100)}"


if __name__ == "__main__":
    sys.exit(main())
