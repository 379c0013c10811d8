"""The README of a bundle, for the person who received it."""

from __future__ import annotations

from typing import Final

import pandas as pd

from pipeline.publication import pages
from pipeline.publication.manifest import TERMS, Provenance, not_covered
from pipeline.publication.views import AudienceView
from pipeline.release.artefact import TableFacts
from pipeline.vocabulary import UNIT_NAMES

README_NAME: Final = "README.md"


def readme_bytes(shown: AudienceView, provenance: Provenance) -> bytes:
    """Plain words: what the numbers mean, how exact they are, how to add, compare, load and verify them."""
    header = shown.header
    text = pages.render(
        "README.md.j2",
        header=header,
        audience=shown.audience,
        audience_words=pages.audience_words(shown),
        period_words=pages.period_words(header),
        person=UNIT_NAMES[header.population],
        tables=[(facts, margin(shown.tables[facts.name]), len(shown.tables[facts.name])) for facts in header.tables],
        dimensions={name for facts in header.tables for name in facts.dimensions},
        example=_example(header.tables),
        many=any(facts.measure == "people in groups" for facts in header.tables),
        approval=provenance.approval,
        terms=TERMS,
        not_covered=not_covered(header.population, header.unit),
    )
    return text.encode()


def margin(frame: pd.DataFrame) -> int | None:
    """How far a group's interval reaches from its estimate at most; None where no group is shown."""
    groups = frame[(frame["row_kind"] == "group") & frame["value"].notna()]
    return round(float((groups["value_hi"] - groups["estimate"]).max())) if len(groups) else None


def _example(tables: tuple[TableFacts, ...]) -> TableFacts:
    return min(tables, key=lambda facts: len(facts.dimensions))
