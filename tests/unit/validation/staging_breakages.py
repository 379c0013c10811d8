"""Faults planted in staging, by what they are, each with the checks that find it and no others."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from pipeline.deidentify.staging import Staging
from pipeline.deidentify.tables import ALIASES
from pipeline.site import SiteFile
from pipeline.validation.staging import check_files
from pipeline.validation.verdicts import Verdicts
from pipeline.workspace import Workspace
from tests.builders import pseudonym
from tests.staged import folder_of, put_table
from tests.unit.validation.made_staging import (
    CUSTOMER_SITE,
    FORM,
    LENGTH,
    PEOPLE,
    PERSONAL,
    SIGNS,
    checked,
    customers,
    rewrite,
    visitors,
)

Broken = Callable[[Path], Verdicts]
LISTED, DECLARED = "expect_column_values_to_be_in_set", "expect_column_distinct_values_to_equal_set"
PLANTED_ADDRESS = "jane.planted@example.org"
SECOND_NAMES: dict[str, Any] = {"person": [pseudonym(0), pseudonym(1)], "alias": [pseudonym(1_000), pseudonym(1_000)]}


def named_twice(staging: Staging, rows: Mapping[str, Any]) -> Staging:
    """Customers who have a second name."""
    aliases = put_table(staging.place, ALIASES, duckdb.from_df(pd.DataFrame(rows, dtype="string")).to_arrow_table())
    manifest = staging.manifest.model_copy(update={"files": staging.manifest.files | {ALIASES: aliases}})
    return replace(staging, manifest=manifest)


def with_aliases(staging: Staging, rows: Mapping[str, Any]) -> Verdicts:
    """Verdicts on customers who have a second name, which the site declares."""
    staging = named_twice(staging, rows)
    document = copy.deepcopy(CUSTOMER_SITE)
    document["customers"]["email"] = "email"
    return check_files(Workspace(folder_of(staging).parent), SiteFile.model_validate(document), staging)


def one_odd(name: str, odd: str | None, usual: str) -> Broken:
    """One visitor of whom a column says something odd."""
    columns: dict[str, Any] = {name: [usual] * (PEOPLE - 1) + [odd]}
    return lambda folder: checked(visitors(folder, **columns))


def domain(odd: str | None) -> Broken:
    """A referring site, of a site that lets any be named."""
    domains = ["google.com"] * (PEOPLE - 1) + [odd]
    return lambda folder: checked(visitors(folder, referrer_domain=domains), referrer_domains="any")


def _person(raw: str | None) -> Broken:
    people = [raw, *(pseudonym(number) for number in range(1, PEOPLE))]
    return lambda folder: checked(visitors(folder, person=people))


def _customer(**columns: Any) -> Broken:
    return lambda folder: checked(customers(folder, columns))


def _version(odd: str | None) -> Broken:
    return _customer(policy_versions=["2024"] * (PEOPLE - 1) + [odd])


def _order(**columns: Any) -> Broken:
    return lambda folder: checked(customers(folder, **columns))


def _amounts(*raw: int | None) -> Broken:
    return _order(revenue=pd.array(raw, dtype="Int64"))


def _aliases(**rows: Any) -> Broken:
    return lambda folder: with_aliases(customers(folder), SECOND_NAMES | rows)


def _rewritten(made: Callable[[Path], Staging], query: str) -> Broken:
    def broken(folder: Path) -> Verdicts:
        staging = made(folder)
        rewrite(staging.events, query)
        return checked(staging)

    return broken


def _rewritten_people(query: str) -> Broken:
    def broken(folder: Path) -> Verdicts:
        staging = customers(folder)
        rewrite(staging.persons, query)
        return checked(staging)

    return broken


def _without_policy(folder: Path) -> Verdicts:
    staging = customers(folder)
    (folder_of(staging).parent / "policy.yaml").unlink()
    return checked(staging)


def _raw_file(made: Callable[[Path], Staging]) -> Broken:
    def broken(folder: Path) -> Verdicts:
        staging = made(folder)
        (folder_of(staging) / "access.log").write_text("raw", "utf-8")
        return checked(staging)

    return broken


def _undeclared_aliases(folder: Path) -> Verdicts:
    return checked(named_twice(customers(folder), SECOND_NAMES))


def _among_others(made: Callable[[Path], Staging]) -> Broken:
    """The files of one bucket are taken for those of one of two."""

    def broken(folder: Path) -> Verdicts:
        staging = made(folder)
        return checked(replace(staging, manifest=staging.manifest.model_copy(update={"buckets": 2})))

    return broken


def _undeclared_amounts(folder: Path) -> Verdicts:
    document = copy.deepcopy(CUSTOMER_SITE)
    del document["customers"]["orders"]["amount"]
    staging = customers(folder)
    return check_files(Workspace(folder_of(staging).parent), SiteFile.model_validate(document), staging)


def _odd_among_many(folder: Path) -> Verdicts:
    staging = visitors(folder, used=12_000)
    found = "CASE WHEN n = 11_999 THEN 'Odd' ELSE 'site' || n || '.com' END"
    columns = f"SELECT * EXCLUDE n REPLACE ({found} AS referrer_domain)"
    rewrite(staging.events, f"{columns} FROM (FROM '{{held}}' LIMIT 1), (SELECT range AS n FROM range(12_000))")
    return checked(staging, referrer_domains="any")


VISITORS: dict[str, tuple[Broken, set[str]]] = {
    "a column that nobody declared": (lambda folder: checked(visitors(folder, shoe_size="44")), {DECLARED}),
    "a column that is missing": (_rewritten(visitors, "SELECT * EXCLUDE hour FROM '{held}'"), {DECLARED}),
    "a column that is not text": (lambda folder: checked(visitors(folder, hour=10)), {"type"}),
    "page views as text": (
        _rewritten(visitors, "SELECT * REPLACE ('1' AS page_views) FROM '{held}'"),
        {"amount_type"},
    ),
    "a request that is three page views": (
        _rewritten(visitors, "SELECT * REPLACE (3::TINYINT AS page_views) FROM '{held}'"),
        {"amounts_are_as_declared"},
    ),
    "a value that is not on its list": (one_odd("country", "Atlantis", "DE"), {LISTED}),
    "a value that is missing": (one_odd("browser", None, "Firefox"), {LISTED}),
    "an address among languages": (one_odd("language", PLANTED_ADDRESS, "de"), {LISTED, PERSONAL}),
    "a person by an e-mail address": (_person(PLANTED_ADDRESS), {"people_are_pseudonyms"}),
    "nobody's request": (_person(None), {"people_are_pseudonyms"}),
    "a pseudonym with something behind": (_person(f"{pseudonym(0)}\n"), {"people_are_pseudonyms"}),
    "no column of people": (
        _rewritten(visitors, "SELECT * EXCLUDE person FROM '{held}'"),
        {DECLARED, "people_are_pseudonyms"},
    ),
    "nobody at all": (
        _rewritten(lambda folder: visitors(folder, used=0), "FROM '{held}' LIMIT 0"),
        {"somebody_is_there"},
    ),
    "a raw log": (_raw_file(visitors), {"nothing_else_is_kept"}),
    "people among those of another bucket": (_among_others(visitors), {"people_are_in_their_bucket"}),
    "rows that no line was used for": (
        lambda folder: checked(visitors(folder, used=PEOPLE - 1)),
        {"rows_are_the_lines_used"},
    ),
    "an odd domain among many": (_odd_among_many, {FORM, SIGNS}),
    "a domain that reads as a total": (domain("all"), {FORM}),
    "a domain that reads as a remainder": (domain("all other"), {FORM, SIGNS}),
    "a host that is no domain": (domain("localhost"), {FORM}),
    "a domain with capitals": (domain("Google.com"), {FORM, SIGNS}),
    "a domain with a line break": (domain("google.com\n"), {SIGNS}),
    "a page": (domain("www.google.com/search"), {FORM, SIGNS}),
    "a domain that begins with a hyphen": (domain("-google.com"), {FORM}),
    "a domain with an empty label": (domain("google..com"), {FORM}),
    "a domain with an encoded label": (domain("xn--bcher-kva.de"), {SIGNS}),
    "a domain with an umlaut": (domain("bücher.de"), {FORM, SIGNS}),
    "a domain that is too long": (domain(f"{'a' * 57}.com"), {LENGTH}),
    "an empty domain": (domain(""), {FORM, LENGTH}),
    "no domain": (domain(None), {FORM, LENGTH}),
    "an e-mail address as a domain": (domain(PLANTED_ADDRESS), {FORM, SIGNS, PERSONAL}),
    "a network address as a domain": (domain("203.0.113.77"), {FORM, PERSONAL}),
    "a token as a domain": (domain("9f86d081884c7d659a2feaa0c55ad015.com"), {PERSONAL}),
    "a telephone number as a domain": (domain("00493055501234.de"), {PERSONAL}),
}

CUSTOMERS: dict[str, tuple[Broken, set[str]]] = {
    "a column that nobody declared": (_order(shoe_size="44"), {DECLARED}),
    "a plan that is a number": (_customer(plan=7), {"type", LISTED}),
    "a customer twice": (
        _customer(person=[pseudonym(1), *(pseudonym(number) for number in range(1, PEOPLE))]),
        {"people_stand_once"},
    ),
    "a customer by an e-mail address": (
        _customer(person=[PLANTED_ADDRESS, *(pseudonym(number) for number in range(1, PEOPLE))]),
        {"people_are_pseudonyms"},
    ),
    "an address among plans": (_customer(plan=["basic"] * (PEOPLE - 1) + [PLANTED_ADDRESS]), {LISTED, PERSONAL}),
    "no customers": (_rewritten_people("FROM '{held}' LIMIT 0"), {"somebody_is_there", "rows_are_the_lines_used"}),
    "one customer fewer": (_rewritten_people("FROM '{held}' LIMIT 11"), {"rows_are_the_lines_used"}),
    "a raw log": (_raw_file(customers), {"nothing_else_is_kept"}),
    "people among those of another bucket": (_among_others(customers), {"people_are_in_their_bucket"}),
    "a version that there is not": (_version("2025"), {"versions_are_of_the_policy"}),
    "versions two blanks apart": (_version("2024  2026"), {"versions_are_of_the_policy"}),
    "versions with a comma": (_version("2024,2026"), {"versions_are_of_the_policy"}),
    "a blank version": (_version(" "), {"versions_are_of_the_policy"}),
    "an address as a version": (_version(PLANTED_ADDRESS), {"versions_are_of_the_policy"}),
    "a missing version": (_version(None), {"versions_are_of_the_policy"}),
    "versions without a policy": (_without_policy, {"versions_are_of_the_policy"}),
    "no column of versions": (
        _rewritten_people("SELECT * EXCLUDE policy_versions FROM '{held}'"),
        {DECLARED, "versions_are_of_the_policy"},
    ),
    "a raw second name": (_aliases(alias=[pseudonym(1_000), PLANTED_ADDRESS]), {"aliases_are_of_customers"}),
    "a missing second name": (_aliases(alias=[pseudonym(1_000), None]), {"aliases_are_of_customers"}),
    "a second name of a stranger": (
        _aliases(person=[pseudonym(0), pseudonym(PEOPLE)]),
        {"aliases_are_of_customers"},
    ),
    "two second names": (_aliases(person=[pseudonym(0), pseudonym(0)]), {"aliases_are_of_customers"}),
    "a second name of nobody": (_aliases(person=[pseudonym(0), None]), {"aliases_are_of_customers"}),
    "a column beside second names": (_aliases(email=["a", "b"]), {DECLARED}),
    "second names that nobody declared": (_undeclared_aliases, {"nothing_else_is_kept"}),
    "an order of something undeclared": (_order(product="debugger"), {LISTED}),
    "a missing amount": (_amounts(None, 5), {"amounts_are_as_declared"}),
    "an amount that is too large": (_amounts(10**12 + 1, 5), {"amounts_are_as_declared"}),
    "a refund that is too large": (_amounts(5, -(10**12) - 1), {"amounts_are_as_declared"}),
    "the least amount of 64 bits": (_amounts(-(2**63), 5), {"amounts_are_as_declared"}),
    "amounts with a fraction": (_order(revenue=[19.99, 5.0]), {"amount_type"}),
    "amounts as text": (_order(revenue=["1999", "500"]), {"amount_type"}),
    "an address as an amount": (
        _order(revenue=[PLANTED_ADDRESS, "5"]),
        {"amount_type", "amounts_are_as_declared"},
    ),
    "orders without amounts": (
        _rewritten(customers, "SELECT * EXCLUDE revenue FROM '{held}'"),
        {DECLARED, "amounts_are_as_declared"},
    ),
    "amounts that nobody declared": (_undeclared_amounts, {DECLARED, "type"}),
}

BREAKAGES = {"staging_visitors": VISITORS, "staging_customers": CUSTOMERS}
