"""How fast raw lines become de-identified staging, beside a bare parse of the same file.

    python tests/benchmarks/bench_ingestion.py [LOG]

The bare parse is one ``regexp_extract`` over DuckDB's own reader, all fields written to Parquet as they were logged:
what the engine can do without de-identifying anything. Without LOG, a log of a million lines is made.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from pipeline.deidentify.staging import Staging
from pipeline.deidentify.visitors import stage_visitors
from pipeline.periods import Period, PeriodKind
from pipeline.site import SiteFile
from pipeline.sources.survey import survey_logs
from pipeline.workspace import Workspace

LINES = 1_000_000
VISITORS = 40_000
AGENTS = 5_000
ROUNDS = 3
GOAL = 0.5
BARE = r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "([^"]*)" (\d{3}) (\S+) "([^"]*)" "([^"]*)"'
FIELDS = ["address", "identity", "name", "time", "request", "status", "size", "referrer", "agent"]


def main() -> int:
    """Measure both, print what came out, and fail below the goal."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        log = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else made_log(home / "access.log")
        survey = survey_logs([log], ZoneInfo("UTC"))
        assert survey.first_day is not None
        period = Period.containing(survey.first_day, PeriodKind.MONTH)
        staging_of(home, log, period)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        # In turns, so that what else the machine does falls on both.
        times = [
            (seconds(lambda: bare_parse(log, home / "bare.parquet")), seconds(lambda: staging_of(home, log, period)))
            for _ in range(ROUNDS)
        ]
        bare, staged = (min(column) for column in zip(*times, strict=True))
        megabytes = log.stat().st_size / 1e6
    print(f"{survey.lines:,} lines, {megabytes:.0f} MB")
    print(f"bare parse to Parquet    {bare:6.2f} s  {survey.lines / bare:10,.0f} lines/s")
    print(f"de-identified staging    {staged:6.2f} s  {survey.lines / staged:10,.0f} lines/s  peak {peak} MB")
    print(f"ratio                    {bare / staged:6.2f}    (goal: at least {GOAL})")
    return 0 if bare / staged >= GOAL else 1


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


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


def made_log(path: Path) -> Path:
    """A log of two weeks with heavy-tailed visitors, seeded."""
    chance = random.Random(20261005)  # noqa: S311
    with path.open("w", encoding="ascii") as file:
        file.writelines(made_lines(chance))
    return path


def made_lines(chance: random.Random) -> Iterator[str]:
    """Lines of the made log, in order of time."""
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
