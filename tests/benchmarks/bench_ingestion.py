"""How fast raw lines become de-identified staging, beside a bare parse of the same file, and beside GoAccess.

The bare parse is one ``regexp_extract`` over DuckDB's own reader, all fields written to Parquet as they were logged:
what the engine can do without de-identifying anything. GoAccess counts the same file, where it is installed. A log ten
times as long (two gigabytes in the temporary folder) may take no more memory, and no more time a line.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import duckdb

from pipeline.deidentify.visitors import finish_visitors, plan_visitors, read_visitors, stage_visitors
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.workspace import Workspace
from tests.benchmarks.measuring import Median, Run, alone, command, in_turns
from tests.benchmarks.reporting import Amount, Figure, Goal, LeftOut, Ratio, at_least, at_most, no_more_than

LINES: Final = 1_000_000
TIMES_LARGER: Final = 10
VISITORS: Final = 40_000
AGENTS: Final = 5_000
ROUNDS: Final = 3
PERIOD: Final = Period.parse("2026-10")
SHARE_OF_BARE: Final = 0.5
TIMES_GOACCESS: Final = 6
MOST_MEGABYTES: Final = 1_500
LINEAR: Final = 1.25  # seconds a line of the large log, in those of the small one
GOACCESS: Final = ("--log-format=COMBINED", "--no-global-config", "--no-progress")
BARE: Final = r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "([^"]*)" (\d{3}) (\S+) "([^"]*)" "([^"]*)"'
FIELDS: Final = ["address", "identity", "name", "time", "request", "status", "size", "referrer", "agent"]
PROGRAM: Final = "GoAccess"
UNIT_BYTES: Final = 256_000_000


def figures(small: bool) -> Iterator[Figure | LeftOut]:
    """A log, and one ten times as long."""
    lines, rounds, warm_up = (2_000, 1, 0) if small else (LINES, ROUNDS, 1)
    with tempfile.TemporaryDirectory() as folder:
        log = made_log(Path(folder, "access.log"), lines)
        found = in_turns(rivals(folder, log), rounds, warm_up)
        yield from speed(lines, found)
        yield size(Path(folder), log, lines)
        larger = made_log(Path(folder, "large.log"), lines, TIMES_LARGER)
        yield growth(lines, found["ours"], alone(staged, folder, str(larger)))
        yield steps(lines * TIMES_LARGER, alone(in_steps, folder, str(larger)))


def rivals(folder: str, log: Path) -> dict[str, Callable[[], Run]]:
    """What reads the log."""
    found = {
        "ours": lambda: alone(staged, folder, str(log)),
        "bare": lambda: alone(bare_parse, str(log), f"{folder}/bare.parquet"),
    }
    if shutil.which("goaccess"):
        found[PROGRAM] = lambda: command(["goaccess", log, *GOACCESS, "-o", f"{folder}/goaccess.json"])
    return found


def speed(lines: int, found: dict[str, Median]) -> Iterator[Figure | LeftOut]:
    """Lines a second."""
    least, most = at_least(SHARE_OF_BARE), no_more_than(MOST_MEGABYTES)
    bare = "DuckDB's bare parse of the same file to Parquet"
    yield beside(lines, found["ours"], bare, found["bare"], least)
    if PROGRAM in found:
        yield beside(
            lines, found["ours"], f"{PROGRAM}, which counts the same file", found[PROGRAM], at_least(TIMES_GOACCESS)
        )
    else:
        yield LeftOut(PROGRAM, "it is not installed")
    ours, theirs = (Amount(found[name].megabytes) for name in ("ours", "bare"))
    name = f"memory of de-identified staging, {lines:,} lines"
    yield Figure(name, bare, ours, theirs, Ratio.MUCH, "MB", len(found["ours"].runs), (most,))


def beside(lines: int, ours: Median, what: str, theirs: Median, goal: Goal) -> Figure:
    """One figure of speed."""
    return Figure(
        f"{lines:,} raw lines to de-identified staging",
        what,
        Amount.of(ours),
        Amount.of(theirs),
        Ratio.FASTER,
        rounds=len(ours.runs),
        goals=(goal,),
    )


def size(home: Path, log: Path, lines: int) -> Figure:
    """Bytes on disk of an event, where each line is one, and of its line."""
    events = sum(path.stat().st_size for path in home.glob("staging/*/*/events/*.parquet"))
    ours, theirs = Amount(events / lines), Amount(log.stat().st_size / lines)
    return Figure("an event in staging", "its line in the log", ours, theirs, Ratio.MUCH, "bytes")


def growth(lines: int, small: Median, large: Run) -> Figure:
    """A line of a long log beside a line of a short one."""
    return Figure(
        f"a million lines of a log of {lines * TIMES_LARGER:,}",
        f"a million lines of a log of {lines:,}",
        Amount(large.seconds / lines / TIMES_LARGER * 1e6, large.megabytes),
        Amount(small.seconds / lines * 1e6, small.megabytes),
        Ratio.LONGER,
        goals=(at_most(LINEAR),),
    )


def steps(lines: int, run: Run) -> Figure:
    """Processor time of what one machine does at the end, beside that of units, which many may read."""
    finish, read = (Amount(run.told[name] / lines * 1e6) for name in ("finish", "read"))
    return Figure(
        "visits of a line followed, and written", "the same line read in a unit", finish, read, Ratio.MUCH, "µs"
    )


def staged(home: str, log: str) -> None:
    """The product's own stage."""
    stage_visitors(Workspace(Path(home)), site_of(log), PERIOD)


def in_steps(home: str, log: str) -> dict[str, float]:
    """The same in units; tells processor seconds of reading all, and of putting them together."""
    workspace, site, read = Workspace(Path(home)), site_of(log), 0.0
    token, units = plan_visitors(workspace, site, PERIOD, UNIT_BYTES)
    for unit in range(units):
        read += processor_seconds(partial(read_visitors, workspace, site, PERIOD, token, unit))
    return {"read": read, "finish": processor_seconds(partial(finish_visitors, workspace, site, PERIOD, token))}


def processor_seconds(work: Callable[[], object]) -> float:
    """Of all threads."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def site_of(log: str) -> SiteFile:
    """A site of one log."""
    return SiteFile.model_validate(
        {
            "site": "Benchmark",
            "visitors": {
                "logs": [log],
                "period": PERIOD.kind,
                "own_domains": ["example.com"],
                "referrer_domains": ["google.com", "example.org"],
                "sections": [{"section": name, "paths": [f"/{name}/*"]} for name in ("docs", "blog", "shop", "help")],
                "max_rejected_share": 1,
            },
            "budget": {"visitors": {"epsilon": 1, "delta": 1e-6}},
        }
    )


def bare_parse(log: str, target: str) -> None:
    """One pass of the engine over the file, with as many threads and without de-identification."""
    connection = duckdb.connect()
    connection.execute(
        f"COPY (SELECT unnest(regexp_extract(line, '{BARE}', {FIELDS})) FROM read_csv('{log}', "
        "columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', header = false, auto_detect = false, "
        f"strict_mode = false, ignore_errors = true, max_line_size = 10000000)) TO '{target}' (FORMAT parquet)"
    )


def made_log(path: Path, lines: int, times: int = 1) -> Path:
    """A log of two weeks with heavy-tailed visitors, seeded; or so many times that, each with visitors of its own."""
    with path.open("w", encoding="ascii") as file:
        for number in range(times):
            file.writelines(made_lines(random.Random(20261005 + number), lines))  # noqa: S311
    return path


def made_lines(chance: random.Random, lines: int) -> Iterator[str]:
    """So many lines, in order of time."""
    agents = [made_agent(chance) for _ in range(AGENTS)]
    people = [(made_address(chance), chance.choice(agents)) for _ in range(VISITORS)]
    weights = list(itertools.accumulate(1 / (rank + 1) ** 0.6 for rank in range(VISITORS)))
    start = dt.datetime(2026, 10, 5, tzinfo=dt.UTC)
    for number, (address, agent) in enumerate(chance.choices(people, cum_weights=weights, k=lines)):
        moment = start + dt.timedelta(seconds=number * 14 * 86_400 / lines)
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
