"""A table of every kind that people are counted in."""

from __future__ import annotations

from pipeline.measures import Measured, Scope, Total, people_total
from pipeline.spec import BoundTable
from pipeline.vocabulary import EVENTS, Dimension
from tests.builders import SECTIONS

COUNTRY = Dimension("country", "Country", True, ("DE", "FR", "US"))
LANGUAGE = Dimension("language", "Language", True, ("de", "fr"), is_partial=True)
SECTION = Dimension("section", "Section", False, SECTIONS)
ENTRY = Dimension("entry_section", "Entry", False, SECTIONS, is_partial=True)
DOMAIN = Dimension("referrer_domain", "From", False, (), is_open=True)  # as private keys have it
EVERYTHING = (
    Total("events", "Events", "event", Measured(EVENTS, 3)),
    Total("all_events", "Events", "event", Measured(EVENTS, 4, Scope.ALL)),
    Total("amount", "Amount", "cent", Measured("amount", 50)),
    Total("all_amount", "Amount", "cent", Measured("amount", 70, Scope.ALL)),
)
KINDS = {
    "people": ((COUNTRY, LANGUAGE), 1, ()),
    "people with events and sums": ((COUNTRY,), 1, EVERYTHING),
    "groups": ((SECTION,), 2, ()),
    "groups with events and sums": ((SECTION,), 2, EVERYTHING),
    "people by groups with sums over all groups": ((COUNTRY, SECTION), 3, EVERYTHING[2:]),
    "groups that only some events are of": ((ENTRY,), 1, EVERYTHING[:1]),
    "private keys by what only some people are known by": ((DOMAIN, LANGUAGE), 2, EVERYTHING[1:2]),
}


def table(number: int, kind: str) -> BoundTable:
    dimensions, max_groups, measures = KINDS[kind]
    return BoundTable(f"table_{number}", "T", dimensions, max_groups, (people_total("visitors"), *measures))
