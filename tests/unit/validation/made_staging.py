"""Small staging that keeps every rule, to be broken on purpose, and what its checks say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from pipeline.deidentify.places import Folder
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import SourceCounts, Staging
from pipeline.deidentify.tables import EVENTS, PERSONS, StagedTable
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.validation.staging import check_files
from pipeline.validation.suites import Check, load_suite
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.builders import pseudonym, site_document, write_policy, write_visitors
from tests.staged import file_of, folder_of, put_staging

PEOPLE = 12
CUSTOMER_SITE: dict[str, Any] = {
    "site": "Test shop",
    "customers": {
        "source": {"kind": "csv", "path": "customers.csv"},
        "person": "id",
        "dimensions": {
            "country": {"kind": "country", "column": "land"},
            "plan": {"kind": "category", "column": "plan", "title": "Plan", "values": ["basic", "team"]},
        },
        "orders": {
            "source": {"kind": "csv", "path": "orders.csv"},
            "person": "customer",
            "placed": "date",
            "product": "item",
            "products": ["editor", "compiler"],
            "amount": {"column": "total", "currency": "EUR"},
        },
    },
    "budget": {"customers": {"epsilon": 10, "delta": 1e-6}},
}
FORM, SIGNS = "expect_column_values_to_match_regex", "expect_column_values_to_not_match_regex"
LENGTH, PERSONAL = "expect_column_value_lengths_to_be_between", "expect_column_values_to_hold_no_personal_data"
PLANTED = {
    "an e-mail address": "jane.planted@example.org",
    "an IPv4 address": "203.0.113.77",
    "an IPv6 address": "2001:db8:85a3::8a2e:370:7334",
    "a card number": "4111111111111111",
    "a phone number": "+49 30 5550123",
    "a user agent": "Mozilla/5.0 (Planted; rv:1.0)",
    "a token": "9f86d081884c7d659a2feaa0c55ad015",
    "a query string": "?customer=planted",
}


def visitors(folder: Path, used: int = PEOPLE, **columns: Any) -> Staging:
    events = pd.DataFrame({"person": [pseudonym(number) for number in range(PEOPLE)]}).assign(**columns)
    staging = write_visitors(folder / "home" / "staging", events)
    counts = SourceCounts(read=used + 3, used=used, left_out={"bot": 3}, rejected={})
    manifest = staging.manifest.model_copy(update={"sources": {"visitor logs": counts}})
    return replace(staging, manifest=manifest)


def customers(folder: Path, people: Mapping[str, Any] | None = None, **orders: Any) -> Staging:
    persons = pd.DataFrame({"person": [pseudonym(n) for n in range(PEOPLE)], "country": "DE", "plan": "basic"})
    persons["policy_versions"] = ["", "2024", "2026", "2024 2026"] * (PEOPLE // 4)
    # A refund, and the largest amount there may be.
    revenue = [-1_999, 10**12]
    events = pd.DataFrame(
        {"person": [pseudonym(0), pseudonym(0)], "product": ["editor", "compiler"], "revenue": revenue}
    )
    home = folder / "home"
    home.mkdir()
    write_policy(home)
    tables = {
        PERSONS: duckdb.from_df(persons.assign(**(people or {}))).to_arrow_table(),
        EVENTS: duckdb.from_df(events.assign(**orders)).to_arrow_table(),
    }
    who = (Population.CUSTOMERS, Period.parse("2026-10"))
    return put_staging(Folder(str(home / "staging")), who, tables, {"customers": PEOPLE, "orders": 2})


def rewrite(table: StagedTable | None, query: str) -> None:
    """Replace the one file of a table by what a query of it gives, in which it is called ``{held}``."""
    path = file_of(table)
    draft = path.with_name("draft")
    duckdb.execute(f"COPY ({query.format(held=path)}) TO '{draft}' (FORMAT parquet)")
    draft.replace(path)


def home_of(staging: Staging) -> tuple[Workspace, SiteFile]:
    """Where the staging lies, with its period's key, and a site that declares what is in it."""
    workspace = Workspace(folder_of(staging).parent)
    period_key(workspace, staging.population, staging.period)
    document = site_document() if staging.population is Population.VISITORS else CUSTOMER_SITE
    return workspace, SiteFile.model_validate(document)


def checked(staging: Staging, **options: Any) -> Verdicts:
    """Verdicts on staging, where visitors are declared with some more options."""
    document = site_document() if staging.population is Population.VISITORS else CUSTOMER_SITE
    if options:
        document["visitors"] |= options
    return check_files(Workspace(folder_of(staging).parent), SiteFile.model_validate(document), staging)


def name_of(check: Check) -> str:
    """Type of a check; of one on a fact, the fact's name."""
    column = check.kwargs["column"]
    return column if isinstance(column, str) and check.type.endswith("be_in_set") else check.type


def failed(verdicts: Verdicts) -> set[str]:
    """Names of the checks that failed."""
    found = set()
    for suite in {verdict.suite for verdict in verdicts.checks}:
        for part in load_suite(suite).parts.values():
            for check in part.checks:
                pattern = re.compile(re.sub(r"\\\{\w+\\\}", ".+", re.escape(check.description)))
                if any(pattern.fullmatch(verdict.check) and not verdict.success for verdict in verdicts.checks):
                    found.add(name_of(check))
    return found
