"""A small site of which people can ask something, and what they ask."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.privacy import database
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.rights.store import RequestStore
from pipeline.site import SiteFile
from pipeline.vocabulary import Population
from pipeline.workspace import HOME_VARIABLE, KEYS_VARIABLE, LEDGER_VARIABLE, Workspace
from tests.builders import site_document

NOW = dt.datetime(2026, 10, 7, 12, 0, tzinfo=dt.UTC)
CUSTOMERS: dict[str, Any] = {
    "source": {"kind": "csv", "path": "customers.csv"},
    "person": "id",
    "email": "mail",
    "dimensions": {
        "country": {"kind": "country", "column": "country"},
        "plan": {"kind": "category", "column": "plan", "title": "Plan", "values": ["a;b", "x=y", "basic"]},
    },
}
# Of these nothing may be read anywhere but in the memory of who asks.
CUSTOMER, EMAIL, ADDRESS, AGENT = "C-48213377", "jane.roe@example.net", "203.0.113.77", "Mozilla/5.0 (planted) zz9"


def document(**changes: Any) -> dict[str, Any]:
    budget = {"epsilon": 30, "delta": 1e-5}
    both = {"customers": CUSTOMERS, "budget": {"visitors": budget, "customers": budget}}
    return site_document() | {"time_zone": "Europe/Berlin"} | both | changes


def site(**changes: Any) -> SiteFile:
    return SiteFile.model_validate(document(**changes))


def write_site(home: Path, patch: pytest.MonkeyPatch, **changes: Any) -> Workspace:
    """A home with a site file, a ledger and keys of its own."""
    home.mkdir(exist_ok=True)
    patch.setenv(HOME_VARIABLE, str(home))
    patch.setenv(LEDGER_VARIABLE, "")
    patch.setenv(KEYS_VARIABLE, "file")
    workspace = Workspace(home)
    workspace.site_file.write_text(yaml.safe_dump(document(**changes)), "utf-8")
    return workspace


def customer(number: int | str = CUSTOMER, kind: RequestKind = RequestKind.ERASE) -> SubjectRequest:
    return SubjectRequest(kind, Population.CUSTOMERS, NOW, customer=str(number))


def visitor() -> dict[str, Any]:
    return {"population": "visitors", "address": ADDRESS, "agent": AGENT, "since": "2026-10-01"}


def open_store(workspace: Workspace) -> RequestStore:
    return RequestStore.open(workspace)


def sealed_rows(workspace: Workspace) -> list[bytes]:
    """What is sealed of all requests, as the database has it."""
    with database.at(workspace.ledger).reading() as connection:
        found = connection.exec_driver_sql("SELECT sealed FROM subject_requests WHERE sealed IS NOT NULL").scalars()
        return [bytes(one) for one in found]
