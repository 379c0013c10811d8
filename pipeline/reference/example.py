"""A small, complete site file, policy and specification, and ways to break them; the page shows all of it."""

from __future__ import annotations

import copy
import datetime as dt
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml

from pipeline import documents
from pipeline.errors import ConfigurationError, DemographicsError, PolicyError, SpecificationError
from pipeline.policy import Policy, require_covered
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, ReleaseSpecification, bind

SITE_NAME: Final = "site.yaml"
POLICY_NAME: Final = "policy.yaml"
RELEASE_NAME: Final = "weekly_countries.yaml"
TODAY: Final = dt.date(2026, 10, 12)  # of the example

SITE_TEXT: Final = """\
site: Example Software
contact: privacy@example.com
time_zone: Europe/Berlin
budget:
  visitors: {epsilon: 30, delta: 1.0e-4}
  customers: {epsilon: 12, delta: 1.0e-5}

visitors:
  logs:
    - {paths: [logs/access.log*], format: combined, trailing_fields: [accept_language]}
  own_domains: [example.com]
  sections:
    - {section: docs, paths: ["/docs/*"]}
    - {section: store, paths: ["/store", "/store/*"]}
  referrer_domains: [github.com]

customers:
  source: {kind: database, url: "sqlite:///shop.db", table: customers}
  person: customer_id
  email: email
  signed_up: signed_up
  policy: {accepted: policy_version, notified: notified_of, notified_on: notified_on, opted_out: opted_out_on}
  dimensions:
    country: {kind: country, column: country}
    customer_kind: {kind: category, column: type, title: Kind of customer, values: [personal, business]}
    region: {kind: region, column: state, countries: [DE]}
    seats: {kind: band, column: seats, title: Seats, edges: [2, 20]}
    age: {kind: age, column: born, edges: [18, 35, 65]}
    signed_up_year: {kind: year, column: signed_up, title: Year of sign-up, first: 2024, last: 2026}
    signed_up_month: {kind: month, column: signed_up, title: Month of sign-up, first: 2026-01, last: 2026-12}
    order_value: {kind: order_value, edges: [10, 100]}
  orders:
    source: {kind: csv, path: orders.csv}
    person: customer_id
    placed: placed_at
    product: product
    products: [Studio, Server]
    amount: {column: total, currency: EUR}
"""

POLICY_TEXT: Final = """\
notice_days: 30
versions:
  - version: "2024-05"
    effective: 2024-05-01
    purposes:
      aggregated_demographics:
        text: We give aggregated demographics, not linked to any individual, to partners.
        audiences: [partner]
  - version: "2026-03"
    effective: 2026-03-01
    purposes:
      aggregated_demographics:
        text: We give aggregated demographics, not linked to any individual, to partners and resellers.
        audiences: [partner, reseller]
"""

RELEASE_TEXT: Final = """\
release: weekly_countries
title: Weekly visitors by country
description: How many people visited the site in a week, by country and by section. Numbers carry noise.
owner: Web analytics
purpose: aggregated_demographics

population: visitors
period: week

privacy: {epsilon: 1, delta: 1.0e-7, k: 50}

tables:
  - name: by_country
    title: Visitors by country
    dimensions: [country]
  - name: by_country_and_system
    title: Visitors by country and operating system
    dimensions: [country, operating_system]
  - name: by_section
    title: Visitors by section of the site
    dimensions: [section]
    max_groups: 2
    measures:
      - {kind: events, name: requests, title: Requests, max_per_group: 20}
      - {kind: mean, name: requests_per_visitor, title: Requests per visitor, of: requests, per: people}

audiences:
  partner: [by_country, by_country_and_system, by_section]
  reseller: [by_country]
"""

ABSENT: Final = object()


@dataclass(frozen=True)
class Break:
    """One rule, and a change of the example that breaks it.

    Attributes:
        rule: In words.
        says: What the program's message has in it.
        place: Keys and positions that lead to what is changed.
        value: What is put there; ``ABSENT`` takes it away.
        of: Which document is changed.
    """

    rule: str
    says: str
    place: tuple[str | int, ...]
    value: object
    of: Literal["release", "site", "policy"] = "release"

    def document(self) -> dict[str, Any]:
        """The changed document."""
        changed = copy.deepcopy(parsed(_TEXTS[self.of]))
        node: Any = changed
        for step in self.place[:-1]:
            node = node[step]
        if self.value is ABSENT:
            del node[self.place[-1]]
        else:
            node[self.place[-1]] = self.value
        return changed

    def message(self) -> str:
        """What the program says of it.

        Raises:
            ValueError: Nothing, or it refuses something else: the rule does not hold any more.
        """
        try:
            bound_example(**{self.of: self.document()})
        except DemographicsError as failure:
            if self.says in str(failure):
                return str(failure)
        raise ValueError(f"no such rule refuses this: {self.rule}")


_TEXTS: Final = {"release": RELEASE_TEXT, "site": SITE_TEXT, "policy": POLICY_TEXT}
_COLUMNS: Final = ("customers", "dimensions")
_MEASURES: Final = ("tables", 2, "measures")
_BY_SYSTEM: Final = {"name": "by_section", "title": "Turned", "dimensions": ["operating_system", "country"]}

# What the JSON Schema knows too, so that an editor marks it.
SEEN_BY_EDITORS: Final = (
    Break("There are no other keys than those above.", "colour: extra inputs", ("colour",), "blue"),
    Break("Required keys are there.", "owner: field required", ("owner",), ABSENT),
    Break("Names are written as names.", "tables.0.name: string should match", ("tables", 0, "name"), "By country"),
    Break("`all` is kept for totals.", "kept for totals", ("tables", 0, "name"), "all"),
    Break("Populations are those above.", "population: input should be", ("population",), "employees"),
    Break("Audiences are those above.", "audiences.press", ("audiences", "press"), ["by_country"]),
    Break("Epsilon is above 0.", "epsilon must be", ("privacy", "epsilon"), 0),
    Break("Delta lies between 0 and 1.", "delta must lie", ("privacy", "delta"), 1),
    Break("k is at least 2.", "k must be", ("privacy", "k"), 1),
    Break("Noise is one of those above.", "privacy.noise: input should be", ("privacy", "noise"), "Gauss"),
    Break("Kinds of measures are those above.", "does not match any", (*_MEASURES, 0, "kind"), "median"),
    Break("A dimension stands in a table once.", "once only", ("tables", 0, "dimensions"), ["country", "country"]),
    Break("An audience receives something.", "must receive", ("audiences", "partner"), []),
    Break(
        "A share lies between 0 and 1.",
        "less than or equal to 1",
        ("visitors", "max_rejected_share"),
        1.5,
        of="site",
    ),
    Break("Kinds of columns are those above.", "does not match any", (*_COLUMNS, "seats", "kind"), "text", of="site"),
    Break(
        "Dimensions are named as names are.",
        "Seats sold",
        (*_COLUMNS, "Seats sold"),
        {"kind": "country", "column": "c"},
        of="site",
    ),
    Break(
        "A version is named with the signs above.",
        "versions.0.version",
        ("versions", 0, "version"),
        "May 2024",
        of="policy",
    ),
    Break("A version has its day.", "effective: field required", ("versions", 0, "effective"), ABSENT, of="policy"),
    Break(
        "A purpose is for audiences.",
        "audiences: tuple should have",
        ("versions", 0, "purposes", "aggregated_demographics", "audiences"),
        [],
        of="policy",
    ),
)

_ADDED: Final = ("audiences", "affiliate")
_SECOND_DAY: Final = ("versions", 1, "effective")
_LATER: Final = ({"version": "2027", "effective": "2027-01-01", "purposes": {}},)
# What only the program sees, because it takes two places, two files or a list that no schema holds.
SEEN_BY_CHECK: Final = (
    Break("Tables have different names.", "names must differ", ("tables", 1, "name"), "by_country"),
    Break("Audiences receive tables that there are.", "do not exist", ("audiences", "partner", 0), "by_planet"),
    Break(
        "Dimensions are those that the site offers.", "that the site offers", ("tables", 0, "dimensions", 0), "planet"
    ),
    Break(
        "`max_groups` is set where a person may have many.",
        "max_groups must be set",
        ("tables", 2, "max_groups"),
        ABSENT,
    ),
    Break(
        "`max_groups` is left out where a person has one.",
        "max_groups must be left out",
        ("tables", 0, "max_groups"),
        3,
    ),
    Break(
        "A measure of events or a sum has one bound, for each group or in all.",
        "max_per_group or max_in_all",
        (*_MEASURES, 0, "max_in_all"),
        50,
    ),
    Break(
        "Sums are of quantities that the site offers.",
        "of a quantity that the site offers",
        (*_MEASURES, 0),
        {"kind": "sum", "name": "requests", "title": "Bytes", "of": "bytes", "max_per_group": 1},
    ),
    Break("A mean is of two measures of its table.", "a mean must be", (*_MEASURES, 1, "of"), "people"),
    Break("Measures of a table have different names.", "must differ", (*_MEASURES, 1, "name"), "requests"),
    Break("`private_keys` are dimensions of the table.", "private_keys must", ("tables", 2, "private_keys"), ["hour"]),
    Break(
        "Keys are private in every table or in none.",
        "in every table",
        ("tables", 0, "private_keys"),
        ["country"],
    ),
    Break("The period is the population's in the site file.", "the period must be", ("period",), "month"),
    Break("Tables over the same dimensions name them in one order.", "in the same order", ("tables", 2), _BY_SYSTEM),
    Break("A release stays below the year's cap.", "yearly cap", ("privacy", "epsilon"), 31),
    Break("The site file has what is counted.", "must declare visitors", ("visitors",), ABSENT, of="site"),
    Break("The budget has a cap for each population.", "must have a cap", ("budget", "customers"), ABSENT, of="site"),
    Break("Time zones are those of the IANA database.", "IANA", ("time_zone",), "Mars/Olympus", of="site"),
    Break("Edges of bands ascend.", "must ascend", (*_COLUMNS, "seats", "edges"), [20, 2], of="site"),
    Break(
        "A version has the days after the earlier ones.", "order of their days", _SECOND_DAY, "2024-05-01", of="policy"
    ),
    Break("Versions have different names.", "different names", ("versions", 1, "version"), "2024-05", of="policy"),
    Break("The version in force today has the release's purpose.", "no purpose 'profiling'", ("purpose",), "profiling"),
    Break("It has it for every audience of the release.", "without audience affiliate", _ADDED, ["by_country"]),
    Break("A version is in force.", "none on 2026-10-12", ("versions",), _LATER, of="policy"),
)


def parsed(text: str) -> dict[str, Any]:
    """The mapping that a YAML text holds."""
    found = yaml.safe_load(text)
    assert isinstance(found, dict)
    return found


def example_site(site: dict[str, Any] | None = None) -> SiteFile:
    """The example's site file, or another document in its stead, validated."""
    return documents.parse(site or parsed(SITE_TEXT), SiteFile, ConfigurationError, SITE_NAME)


def bound_example(
    release: dict[str, Any] | None = None, site: dict[str, Any] | None = None, policy: dict[str, Any] | None = None
) -> BoundSpecification:
    """The example, validated, bound and covered by the policy, or any document in its stead.

    Raises:
        DemographicsError: A document breaks a rule.
    """
    checked_site = example_site(site)
    checked_policy = documents.parse(policy or parsed(POLICY_TEXT), Policy, PolicyError, POLICY_NAME)
    checked = documents.parse(release or parsed(RELEASE_TEXT), ReleaseSpecification, SpecificationError, RELEASE_NAME)
    bound = bind(checked, checked_site)
    require_covered(checked_policy, checked, None, TODAY)
    return bound
