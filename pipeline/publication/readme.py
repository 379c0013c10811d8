"""The README of a bundle, for the person who received it."""

from __future__ import annotations

from typing import Final

import pandas as pd

from pipeline.publication import pages
from pipeline.publication.manifest import TERMS, Provenance, not_covered
from pipeline.publication.views import AudienceView, of_people
from pipeline.release.artefact import MeasureFacts, TableFacts
from pipeline.vocabulary import PEOPLE, UNIT_NAMES

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
        tables=[(one, margin(shown.tables[one.name], one), len(shown.tables[one.name])) for one in header.tables],
        measures=[(one, measure, _most(measure)) for one in _with_more(header.tables) for measure in one.measures],
        peoples=list(dict.fromkeys(f"`{facts.measure}`" for facts in header.tables)),
        further=bool(_with_more(header.tables)),
        with_means=any(measure.kind == "mean" for facts in header.tables for measure in facts.measures),
        private=sorted({name for facts in header.tables for name in facts.private}),
        dimensions={name for facts in header.tables for name in facts.dimensions},
        example=_example(header.tables),
        many=any(facts.measure != PEOPLE for facts in header.tables),
        approval=provenance.approval,
        terms=TERMS,
        not_covered=not_covered(header.population, header.unit),
    )
    return text.encode()


def margin(frame: pd.DataFrame, facts: TableFacts) -> int | None:
    """How far a group's interval of people reaches from its estimate at most; None where no group is shown."""
    people = of_people(frame, facts)
    groups = people[(people["row_kind"] == "group") & people["value"].notna()]
    return round(float((groups["value_hi"] - groups["estimate"]).max())) if len(groups) else None


def _with_more(tables: tuple[TableFacts, ...]) -> list[TableFacts]:
    return [facts for facts in tables if len(facts.measures) > 1]


def _most(measure: MeasureFacts) -> str:
    return "" if measure.kind == "mean" else f"{measure.limit:,} {measure.scope}"


def _example(tables: tuple[TableFacts, ...]) -> TableFacts:
    return min(tables, key=lambda facts: len(facts.dimensions))
