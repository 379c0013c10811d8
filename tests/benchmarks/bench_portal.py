"""How long the portal's pages take on a site with 100 releases in the ledger, beside a plain page of FastAPI."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from pipeline.review.accounts import Accounts
from pipeline.spec import ReleaseKey
from tests.accounts import PASSWORD, quick
from tests.benchmarks.reporting import Amount, Figure, Ratio, no_more_than
from tests.portals import Browser, serving
from tests.recorded import RecordedSite, sample

GOAL: Final = 100.0  # milliseconds, at the 99th percentile
TIMES: Final = 100
WEEKS: Final = 42
PEOPLE: Final = 20_000
PLAIN: Final = "/plain"
AUDIENCE: Final = ReleaseKey("weekly_audience", f"2026-W{WEEKS:02d}")
MOVEMENTS: Final = ReleaseKey("weekly_movements", f"2026-W{WEEKS:02d}")
CUSTOMERS: Final = ReleaseKey("monthly_customers", "2026-10")


def figures(small: bool) -> Iterator[Figure]:
    """Each page's 99th percentile."""
    times, weeks, people = (2, 2, 2_000) if small else (TIMES, WEEKS, PEOPLE)
    with tempfile.TemporaryDirectory() as folder, recorded(Path(folder), weeks, people) as (browser, stranger):
        plain = percentile(milliseconds(lambda: browser.get(PLAIN), times))
        asked = [(browser, name, address) for name, address in pages().items()]
        for who, name, address in [*asked, (stranger, "log-in", "/login")]:
            milliseconds(partial(who.get, address), 1)
            taken = percentile(milliseconds(partial(who.get, address), times))
            yield Figure(
                f"page of reviewers, 99th percentile: {name}",
                "a plain page of FastAPI",
                Amount(taken),
                Amount(plain),
                Ratio.LONGER,
                "ms",
                times,
                (no_more_than(GOAL),),
            )


@contextmanager
def recorded(folder: Path, weeks: int, people: int) -> Iterator[tuple[Browser, Browser]]:
    """The portal of such a site, once its figures and budgets are worked out: somebody logged in, and a stranger."""
    site = RecordedSite(folder)
    Accounts.of(site.workspace, quick()).add("ana", PASSWORD)
    record(site, weeks, people)
    with serving(site.workspace, _plain) as portal, portal.browser() as browser, portal.browser() as stranger:
        portal.app.state.archive.warmed.wait()
        for pool in (portal.app.state.archive.balances, portal.app.state.archive.figures):
            pool.settle()
        assert browser.log_in().status_code == 303
        yield browser, stranger


def record(site: RecordedSite, weeks: int, people: int) -> None:
    """So many weeks of the sample's specifications; the newest of each waits for a decision, others are published."""
    signer = Accounts.of(site.workspace, quick()).signer("ana", PASSWORD)
    plan = [("weekly_audience", f"2026-W{week:02d}") for week in range(WEEKS - weeks + 1, WEEKS + 1)]
    plan += [("weekly_movements", f"2026-W{week:02d}") for week in range(WEEKS - weeks + 1, WEEKS + 1)]
    plan += [
        ("monthly_customers", f"{2025 + month // 12}-{month % 12 + 1:02d}") for month in range(max(6, 22 - weeks), 22)
    ]
    for name, period in sorted(plan, key=lambda one: one[1]):
        if ReleaseKey(name, period) in {AUDIENCE, MOVEMENTS, CUSTOMERS}:
            site.waiting(sample(name), period, people=people)
        else:
            site.published(sample(name), period, signer, people=people)


def milliseconds(ask: Callable[[], httpx.Response], times: int) -> list[float]:
    """How long each of several answers took."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        answer = ask()
        taken.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == 200, answer.status_code
    return taken


def pages() -> dict[str, str]:
    """What is asked for, by what it is called here."""
    audience = f"/releases/{AUDIENCE.release}/{AUDIENCE.period}/r1"
    return {
        "releases": "/releases",
        "releases, one name": "/releases?release=weekly_audience&state=published",
        "packet, weekly audience": audience,
        "packet, weekly movements": f"/releases/{MOVEMENTS.release}/{MOVEMENTS.period}/r1",
        "packet, monthly customers": f"/releases/{CUSTOMERS.release}/{CUSTOMERS.period}/r1",
        "packet, published": f"/releases/weekly_audience/2026-W{WEEKS - 1}/r1",
        "specification": f"{audience}/specification",
        "steps": f"{audience}/steps",
        "figure": f"{audience}/figures/visitors_by_country.svg",
        "budget": "/budget",
        "audit log": "/audit",
    }


def percentile(taken: list[float]) -> float:
    """The 99th."""
    return statistics.quantiles(taken, n=100)[-1]


def _plain(app: FastAPI) -> None:
    content = f"<!DOCTYPE html><title>Plain</title><p>{'words ' * 3_000}</p>"
    app.add_api_route(PLAIN, lambda: HTMLResponse(content), methods=["GET"])
