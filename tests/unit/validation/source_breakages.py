"""Faults planted in what is written down of reading, and in the site file, by the check that is meant to find each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import ContentRead, SourceCounts, Staging, StagingManifest, place_of
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.builders import WEEK, site_document
from tests.unit.validation.made_staging import CUSTOMER_SITE

MONTH = Period.parse("2026-10")
DIGESTS = [f"{number:064x}" for number in range(3)]


@dataclass(frozen=True)
class Read:
    """What the suite looks at: a home, the document of its site file, and what was read of a period."""

    workspace: Workspace
    site: dict[str, Any]
    staging: Staging

    @property
    def site_file(self) -> SiteFile:
        return SiteFile.model_validate(self.site)


Breakage = Callable[[Read], Read]


def visitors(home: Path) -> Read:
    """Logs and error logs in three files, of which every line is accounted for."""
    logs = SourceCounts(read=100, used=60, left_out={"bot": 30, "at a person's request": 9}, rejected={"format": 1})
    told = SourceCounts(read=20, used=12, left_out={"no request of a visitor beside it": 8}, rejected={})
    contents = {
        "visitor logs": (_file(0, 70), _file(1, 30)),
        "error logs": (_file(2, 20),),
    }
    manifest = StagingManifest(
        population=Population.VISITORS,
        period=str(WEEK),
        sources={"visitor logs": logs, "error logs": told},
        contents=contents,
        formats={"combined": 1, "Application Load Balancer": 1},
    )
    site = site_document()
    log = {"paths": ["access.json"], "format": "json", "fields": {"agent": "headers.User-Agent"}}
    site["visitors"] |= {"logs": [log], "error_logs": ["error.log"], "time_zone_parameter": "tz"}
    return _read(home, site, Population.VISITORS, WEEK, manifest)


def customers(home: Path) -> Read:
    """Customers, most of whom were carried over, and their orders."""
    people = SourceCounts(read=1_000, used=999, left_out={}, rejected={"date": 1}, carried=900)
    orders = SourceCounts(read=50, used=40, left_out={"outside the period": 10}, rejected={})
    sources = {"customers": people, "orders": orders}
    manifest = StagingManifest(population=Population.CUSTOMERS, period=str(MONTH), sources=sources)
    site = deepcopy(CUSTOMER_SITE)
    source = {"kind": "database", "url": "sqlite:///shop.db", "table": "customers"}
    site["customers"] |= {"source": source, "changed": "changed_at", "email": "email", "signed_up": "since"}
    return _read(home, site, Population.CUSTOMERS, MONTH, manifest)


def _file(number: int, lines: int) -> ContentRead:
    return ContentRead(sha256=DIGESTS[number], bytes=100 * lines, lines=lines)


def _read(home: Path, site: dict[str, Any], who: Population, when: Period, manifest: StagingManifest) -> Read:
    workspace = Workspace(home)
    period_key(workspace, who, when)
    return Read(workspace, site, Staging(who, when, place_of(workspace, who, when), manifest))


def manifest(**changes: Any) -> Breakage:
    """Write something else into the manifest."""

    def breaks(read: Read) -> Read:
        changed = read.staging.manifest.model_copy(update=changes)
        return dataclasses.replace(read, staging=dataclasses.replace(read.staging, manifest=changed))

    return breaks


def counts(source: str, **changes: Any) -> Breakage:
    """Write other numbers of one source."""

    def breaks(read: Read) -> Read:
        sources = dict(read.staging.manifest.sources)
        sources[source] = sources[source].model_copy(update=changes)
        return manifest(sources=sources)(read)

    return breaks


def moved(source: str, became: str, reason: str, lines: int = 1) -> Breakage:
    """Of the lines used, leave some out or reject them, for a reason."""

    def breaks(read: Read) -> Read:
        held = read.staging.manifest.sources[source]
        reasons = {**getattr(held, became), reason: lines}
        return counts(source, used=held.used - lines, **{became: reasons})(read)

    return breaks


def files(source: str, *held: ContentRead) -> Breakage:
    """Write other files of one source."""
    return lambda read: manifest(contents={**read.staging.manifest.contents, source: held})(read)


def renamed(source: str, name: str) -> Breakage:
    """Call a source otherwise."""

    def breaks(read: Read) -> Read:
        sources = {name if one == source else one: held for one, held in read.staging.manifest.sources.items()}
        return manifest(sources=sources)(read)

    return breaks


def declared(*path: str, value: object) -> Breakage:
    """Write another value into the site file; None removes it."""

    def breaks(read: Read) -> Read:
        site = deepcopy(read.site)
        place: Any = site
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        return dataclasses.replace(read, site=site)

    return breaks


def _of_visitors(breakage: Breakage) -> Callable[[Path], Read]:
    return lambda home: breakage(visitors(home))


def _of_customers(breakage: Breakage) -> Callable[[Path], Read]:
    return lambda home: breakage(customers(home))


def _field(place: str) -> Breakage:
    log = {"paths": ["access.json"], "format": "json", "fields": {"agent": place}}
    return declared("visitors", "logs", value=[log])


def _plan_of(column: str) -> Breakage:
    plan = {"kind": "category", "column": column, "title": "Plan", "values": ["basic"]}
    return declared("customers", "dimensions", "plan", value=plan)


def _without_key(read: Read) -> Read:
    read.workspace.period_key(read.staging.population, read.staging.period).unlink()
    return read


def _with_open_key(read: Read) -> Read:
    read.workspace.period_key(read.staging.population, read.staging.period).chmod(0o644)
    return read


BREAKAGES: dict[str, list[Callable[[Path], Read]]] = {
    "lines.expect_column_distinct_values_to_equal_set.source": [
        _of_visitors(declared("visitors", "error_logs", value=[])),
        _of_visitors(renamed("error logs", "orders")),
        _of_customers(declared("customers", "orders", value=None)),
        _of_customers(manifest(sources={})),
    ],
    "lines.expect_every_line_to_end_in_one_place": [
        _of_visitors(counts("visitor logs", read=101)),
        _of_visitors(counts("error logs", left_out={})),
        _of_customers(counts("orders", used=50, left_out={"outside the period": 10}, rejected={"date": -10})),
        _of_customers(counts("customers", used=998)),
    ],
    "lines.expect_lines_of_files_to_be_counted": [
        _of_visitors(files("visitor logs", _file(0, 70))),
        _of_visitors(files("error logs", _file(2, 21))),
        _of_visitors(counts("visitor logs", read=99, used=59)),
        _of_visitors(files("orders", _file(2, 20))),
    ],
    "lines.expect_rejected_share_to_stay_within_limit": [
        _of_visitors(moved("visitor logs", "rejected", "time")),
        _of_visitors(declared("visitors", "max_rejected_share", value=0.0099)),
        # 2 of the 100 that were read, and not of the 1,000 that are there
        _of_customers(counts("customers", used=998, rejected={"date": 2})),
        _of_customers(counts("customers", carried=1_000)),
        _of_customers(moved("orders", "rejected", "amount")),
    ],
    "lines.expect_carried_rows_to_be_used": [
        _of_customers(declared("customers", "changed", value=None)),
        _of_customers(counts("customers", carried=1_000)),
        _of_customers(counts("customers", carried=-1)),
        _of_customers(counts("orders", carried=1)),
        _of_visitors(counts("visitor logs", carried=1)),
    ],
    "lines.expect_column_values_to_be_in_set.reason": [
        _of_visitors(moved("visitor logs", "left_out", "jane.planted@example.org")),
        _of_visitors(moved("visitor logs", "left_out", "format")),
        _of_visitors(moved("error logs", "rejected", "status")),
        _of_customers(moved("customers", "rejected", "no plan")),
        _of_customers(moved("orders", "left_out", "bot")),
    ],
    "texts.expect_column_values_to_hold_no_personal_data.text": [
        _of_visitors(moved("visitor logs", "rejected", "203.0.113.77")),
        _of_visitors(moved("error logs", "left_out", "Mozilla/5.0 (Planted; rv:1.0)")),
        _of_visitors(manifest(formats={"jane.planted@example.org": 2})),
        _of_visitors(renamed("error logs", "/srv/logs?customer=planted")),
        _of_visitors(files("+49 30 5550123", _file(2, 20))),
        _of_customers(moved("customers", "rejected", "4111111111111111")),
    ],
    "files.expect_column_values_to_match_regex.sha256": [
        _of_visitors(files("error logs", ContentRead(sha256="error.log", bytes=1, lines=20))),
        _of_visitors(files("error logs", ContentRead(sha256=f"{DIGESTS[2]}\n", bytes=1, lines=20))),
    ],
    "files.expect_column_values_to_be_unique.content": [
        _of_visitors(files("visitor logs", _file(0, 50), _file(0, 50))),
    ],
    "files.expect_column_values_to_be_between.lines": [
        _of_visitors(files("visitor logs", _file(0, 100), _file(1, 0))),
    ],
    "columns.expect_column_values_to_be_in_set.is_payment": [
        _of_customers(_plan_of("card_number")),
        _of_customers(declared("customers", "person", value="IBAN")),
        _of_customers(declared("customers", "policy", value={"opted_out": "Card Holder"})),
        _of_customers(declared("customers", "orders", "product", value="credit_card")),
        _of_customers(declared("customers", "orders", "amount", "column", value="cvv")),
        _of_visitors(_field("body.cardNumber")),
        _of_visitors(declared("visitors", "time_zone_parameter", value="iban")),
    ],
    "columns.expect_column_values_to_be_in_set.is_identifier": [
        _of_customers(_plan_of(name))
        for name in ("name", "FirstName", "customer_email", "E-Mail", "Telephone", "billing_address", "user name", "ip")
    ],
    "columns.expect_column_values_to_be_in_set.is_cookie": [
        _of_visitors(_field("request.headers.Cookie")),
        _of_visitors(_field("headers.Authorization")),
    ],
    "facts.expect_column_values_to_be_in_set.is_of_the_period": [
        _of_visitors(manifest(period="2026-W42")),
        _of_visitors(manifest(population=Population.CUSTOMERS)),
    ],
    "facts.expect_column_values_to_be_in_set.is_of_the_declared_length": [
        _of_visitors(declared("visitors", "period", value="month")),
        _of_customers(declared("customers", "period", value="week")),
    ],
    "facts.expect_column_values_to_be_in_set.key_is_there": [
        _of_visitors(_without_key),
        _of_customers(_with_open_key),
    ],
}
