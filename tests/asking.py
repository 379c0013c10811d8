"""A small home with visitors and customers who ask for things, made of real sources."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.deidentify.customers import stage_customers
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import load_staging
from pipeline.deidentify.visitors import stage_visitors
from pipeline.periods import Period
from pipeline.rights.applying import Applied, apply_requests
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.rights.store import Incoming, Origin, RequestStore
from pipeline.site import SiteFile, load_site
from pipeline.vocabulary import Population
from pipeline.workspace import HOME_VARIABLE, KEYS_VARIABLE, LEDGER_VARIABLE, RELEASES_VARIABLE, Workspace
from tests.builders import specification_document
from tests.log_lines import CHROME, line
from tests.staged import rows_of

NOW = dt.datetime(2026, 11, 2, 12, tzinfo=dt.UTC)
WEEKS = tuple(map(Period.parse, ("2026-W41", "2026-W42")))
MONTHS = tuple(map(Period.parse, ("2026-09", "2026-10")))
AMERICANS = tuple(f"8.8.8.{number}" for number in range(1, 41))
GERMANS = tuple(f"5.9.1.{number}" for number in range(1, 31))
CUSTOMERS = 40
RELEASE = "weekly"


def site_document(**visitors: Any) -> dict[str, Any]:
    return {
        "site": "Asked",
        "time_zone": "Europe/Berlin",
        "visitors": {
            "logs": ["access.log"],
            "sections": [{"section": "docs", "paths": ["/docs/*"]}],
            "referrer_domains": ["example.org"],
            **visitors,
        },
        "customers": {
            "source": {"kind": "csv", "path": "customers.csv"},
            "person": "id",
            "email": "email",
            "dimensions": {"country": {"kind": "country", "column": "country"}},
            "orders": {
                "source": {"kind": "csv", "path": "orders.csv"},
                "person": "id",
                "placed": "placed",
                "product": "item",
                "products": ["Editor"],
            },
        },
        "budget": {name: {"epsilon": 1000, "delta": 1e-4} for name in ("visitors", "customers")},
    }


POLICY = {
    "versions": [
        {
            "version": "2026-01",
            "effective": "2026-01-01",
            "purposes": {"aggregated_demographics": {"text": "Numbers about groups.", "audiences": ["partner"]}},
        }
    ]
}
# The total gets a seventh of epsilon, and its noise is nought but once in 400 million draws: what is drawn is what was
# counted.
SPECIFICATION = specification_document(
    release=RELEASE,
    purpose="aggregated_demographics",
    privacy={"epsilon": 150, "delta": 1e-6, "k": 2},
    tables=[{"name": "by_country", "title": "By country", "dimensions": ["country"]}],
    audiences={"partner": ["by_country"]},
)


def email(number: int) -> str:
    return f"Customer.{number}@example.org"


def write_home(home: Path, **visitors: Any) -> Workspace:
    """Sources, site file, policy and specification: every visitor comes in both weeks, every customer orders."""
    (home / "releases").mkdir(parents=True)
    lines = [
        line(address=address, time=f"{day:02d}/Oct/2026:10:00:{number % 60:02d} +0000")
        for day in (6, 13)
        for number, address in enumerate((*AMERICANS, *GERMANS))
        for _ in range(2)
    ]
    (home / "access.log").write_text("".join(lines), "utf-8")
    customers = [f"C{number},{email(number)},{('DE', 'FR')[number % 2]}\n" for number in range(CUSTOMERS)]
    (home / "customers.csv").write_text("id,email,country\n" + "".join(customers), "utf-8")
    orders = [f"C{number},2026-{month}-05,Editor\n" for number in range(CUSTOMERS) for month in ("09", "10")]
    (home / "orders.csv").write_text("id,placed,item\n" + "".join(orders), "utf-8")
    for name, document in (
        ("site", site_document(**visitors)),
        ("policy", POLICY),
        (f"releases/{RELEASE}", SPECIFICATION),
    ):
        (home / f"{name}.yaml").write_text(yaml.safe_dump(document), "utf-8")
    return Workspace(home)


def stage_all(workspace: Workspace, *, weeks: Iterable[Period] = WEEKS, months: Iterable[Period] = MONTHS) -> SiteFile:
    site = load_site(workspace.site_file)
    for week in weeks:
        stage_visitors(workspace, site, week)
    for month in months:
        stage_customers(workspace, site, month)
    return site


def enter(patch: pytest.MonkeyPatch, workspace: Workspace) -> None:
    """Work in a home, with its own specifications, ledger and keys."""
    for name, value in ((HOME_VARIABLE, str(workspace.home)), (RELEASES_VARIABLE, ""), (LEDGER_VARIABLE, "")):
        patch.setenv(name, value)
    patch.setenv(KEYS_VARIABLE, "file")


def visitor(kind: RequestKind, address: str, **more: Any) -> SubjectRequest:
    since, until = dt.datetime(2026, 10, 1, tzinfo=dt.UTC), dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    named = {"address": address, "agent": CHROME, "since": since, "until": until, **more}
    return SubjectRequest(kind, Population.VISITORS, NOW - dt.timedelta(hours=5), **named)


def customer(kind: RequestKind, number: int, *, by_email: bool = False, **more: Any) -> SubjectRequest:
    named = {"email": email(number).upper()} if by_email else {"customer": f"C{number}"}
    return SubjectRequest(kind, Population.CUSTOMERS, NOW - dt.timedelta(hours=5), **{**named, **more})


def ask(workspace: Workspace, *requests: SubjectRequest) -> list[str]:
    """Receive requests; their ids."""
    incoming = [Incoming(request, Origin.COMMAND_LINE) for request in requests]
    return [one.id for one in RequestStore.open(workspace).receive_all(incoming)]


def apply(workspace: Workspace, now: dt.datetime = NOW) -> Applied:
    return apply_requests(workspace, load_site(workspace.site_file), now)


def pseudonym_of(workspace: Workspace, request: SubjectRequest, period: Period) -> str:
    """Of who is named by address and agent, or by id."""
    key = period_key(workspace, request.population, period, make=False)
    by_visit = request.population is Population.VISITORS
    return key.pseudonym(f"{request.address}\0{request.agent}" if by_visit else request.customer)


def held(workspace: Workspace, population: Population, period: Period, file: str = "events") -> list[Mapping[str, Any]]:
    """Rows of staging."""
    return [*rows_of(load_staging(workspace, population, period).table(file))]


def people_in(workspace: Workspace, population: Population, period: Period, file: str = "events") -> set[str]:
    return {row["person"] for row in held(workspace, population, period, file)}


def files_with(home: Path, word: str) -> list[str]:
    """Names of files that hold a word; Parquet files are unpacked."""
    files = [path for path in home.rglob("*") if path.is_file()]
    return [str(path.relative_to(home)) for path in files if word.encode() in _content(path)]


def _content(path: Path) -> bytes:
    return str(pq.read_table(path).to_pydict()).encode() if path.suffix == ".parquet" else path.read_bytes()
