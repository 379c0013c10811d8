"""The first site file, policy and release specifications, as text that says what was taken, what left, and why."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Iterable
from typing import Any, Final

import yaml

from pipeline.onboarding.decisions import CustomerPlan
from pipeline.onboarding.visitors import VisitorPlan
from pipeline.site import CsvSource, DatabaseSource
from pipeline.vocabulary import Audience

# A yearly cap that leaves room for a release of epsilon 1 every other week; a reviewer's to lower.
CAP: Final = {"epsilon": 30.0, "delta": 1.0e-4}
PRIVACY: Final = {"epsilon": 1.0, "delta": 1.0e-7, "k": 50}
MOST_TABLES: Final = 8
_OF_VISITORS: Final = {
    "country": "Visitors by country",
    "operating_system": "Visitors by operating system",
    "browser": "Visitors by browser",
    "referrer_class": "Visitors by how they arrived",
    "language": "Visitors by browser language",
}
_OWNER: Final = "data engineering"
_PURPOSE: Final = "aggregated_demographics"
_PURPOSE_TEXT: Final = (
    "Generic aggregated demographics, not linked to any individual, go to partners, affiliates, resellers and "
    "advertisers."
)
_NOTICE_DAYS: Final = 30


def site_text(visitors: VisitorPlan | None, customers: CustomerPlan | None, source: object) -> str:
    """The site file; ``source`` is where the customers are, if there are any."""
    name = visitors.source.own_domains[0] if visitors and visitors.source.own_domains else "My site"
    parts = [
        _comment(
            "First site file, written from a look at the sources. Default deny: what is not declared here is not read. "
            "Read it before the first release: only you know which values are public."
        ),
        _yaml({"site": name, "publisher": "", "contact": ""}),
        _comment("In which periods begin and end: a name of the IANA time zone database."),
        _yaml({"time_zone": "UTC"}),
    ]
    if visitors:
        parts += ["", *_visitor_parts(visitors)]
    if customers:
        assert isinstance(source, DatabaseSource | CsvSource)
        parts += ["", *_customer_parts(customers, source)]
    caps = {name: CAP for name, plan in (("visitors", visitors), ("customers", customers)) if plan}
    parts += [
        "",
        _comment(
            "What all releases about one population may spend over a rolling year; the privacy reviewer's to set."
        ),
        _yaml({"budget": {name: dict(cap) for name, cap in caps.items()}}),
    ]
    return "\n".join(parts) + "\n"


def policy_text(since: dt.date) -> str:
    """A policy of one version with the purpose of the specifications here, in force from a day."""
    purpose = {"text": _PURPOSE_TEXT, "audiences": [audience.value for audience in Audience]}
    version = {"version": "1", "effective": since, "purposes": {_PURPOSE: purpose}}
    return "\n".join((
        _comment("What your privacy notice says that people are counted for, and who may get the results: nothing else "
                 "is released. This was written without having seen the notice: set text, audiences and the day since "
                 "which it stands as the notice has them, before the first release.",
                 "Where the notice changes, add a version here. Which version binds a customer is told by columns that "
                 "the site file declares under customers.policy."),
        _yaml({"notice_days": _NOTICE_DAYS, "versions": [version]}),
    )) + "\n"  # fmt: skip


def visitor_release(plan: VisitorPlan) -> str:
    """The specification ``weekly_visitors``: one table for each thing that the logs tell of visitors."""
    tables = [_table(f"by_{name}", title, name) for name, title in _OF_VISITORS.items() if name in plan.dimensions]
    if plan.source.sections:
        groups = min(3, len(plan.source.sections) + 1)
        tables.append(_table("by_section", "Visitors by section of the site", "section") | {"max_groups": groups})
    return _release(
        "weekly_visitors", "Weekly visitors", "Who visited the site in one week.", ("visitors", "week"), tables
    )


def customer_release(plan: CustomerPlan) -> str:
    """The specification ``monthly_customers``: one table a dimension, eight at most."""
    tables = [
        _table(f"by_{name}", f"Customers by {column.title[:1].lower()}{column.title[1:]}", name)
        for name, column in list(plan.dimensions.items())[:MOST_TABLES]
    ]
    return _release(
        "monthly_customers", "Monthly customers", "Who the customers are in one month.", ("customers", "month"), tables
    )


def _visitor_parts(plan: VisitorPlan) -> list[str]:
    source = plan.source
    declared = source.model_dump(mode="json", exclude={"logs", "languages"})
    logs = [one if isinstance(one, str) else one.model_dump(mode="json", exclude_defaults=True) for one in source.logs]
    kept = {name: value for name, value in declared.items() if value or name == "own_domains"}
    return [
        _comment(*(f"Note: {note}." for note in plan.notes)),
        _comment(*(f"Left out: {what}: {why}." for what, why in plan.left)),
        _comment(
            "How a log is written is seen from its first lines. Own formats, proxies, one's own networks and monitors, "
            "error logs, regions and browser versions can be declared: docs/sources.md."
        ),
        _yaml({"visitors": {"logs": logs} | kept}),
    ]


def _customer_parts(plan: CustomerPlan, source: DatabaseSource | CsvSource) -> list[str]:
    head: dict[str, Any] = {
        "source": source.model_dump(mode="json", exclude_none=True),
        "person": plan.person,
        "period": "month",
    }
    if plan.signed_up:
        head["signed_up"] = plan.signed_up
    head["max_rejected_share"] = 0.01
    dimensions = {name: column.model_dump(mode="json") for name, column in plan.dimensions.items()}
    return [
        _comment(*(f"Not read: {what}: {why}." for what, why in plan.left)),
        _yaml({"customers": head}),
        textwrap.indent(
            _comment(
                "Values and bands are public: only values held by many people are named, and edges are round numbers. "
                "Take out what you would not print in a brochure."
            ),
            "  ",
        ),
        textwrap.indent(_yaml({"dimensions": dimensions}), "  "),
    ]


def _release(name: str, title: str, description: str, counted: tuple[str, str], tables: list[dict[str, Any]]) -> str:
    population, period = counted
    names = [table["name"] for table in tables]
    head = {
        "release": name, "title": title, "description": description, "owner": _OWNER, "purpose": _PURPOSE,
        "population": population, "period": period,
    }  # fmt: skip
    return "\n".join((
        _comment("First specification, to be read by the privacy reviewer. Each person counts once a table, unless "
                 "max_groups says otherwise; epsilon is shared out over the tables."),
        _yaml(head),
        _yaml({"privacy": PRIVACY}),
        _yaml({"tables": tables}),
        _comment("Which tables each audience receives: all the same release, so that nobody learns more together."),
        _yaml({"audiences": {audience.value: names for audience in Audience}}),
        _yaml({"review": "every release"}),
    )) + "\n"  # fmt: skip


def _table(name: str, title: str, dimension: str) -> dict[str, Any]:
    return {"name": name, "title": title[:120], "dimensions": [dimension]}


class _Dumper(yaml.SafeDumper):
    """Writes a list that stands in several places out in each, without anchors."""

    def ignore_aliases(self, _node: object) -> bool:
        return True


def _yaml(content: dict[str, Any]) -> str:
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text.replace("delta: 1.0e-07", "delta: 1.0e-7").replace("delta: 0.0001", "delta: 1.0e-4").rstrip("\n")


def _comment(*sentences: str) -> str:
    return "\n".join(_wrapped(sentences))


def _wrapped(sentences: Iterable[str]) -> Iterable[str]:
    for sentence in sentences:
        yield from textwrap.wrap(sentence, 108, initial_indent="# ", subsequent_indent="#   ", break_long_words=False)
