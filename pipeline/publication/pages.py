"""Templates of what people read, and the words they share."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Final

import jinja2

from pipeline import templating
from pipeline.publication.views import AudienceView
from pipeline.publication.words import counted, day, decimal, heading_of, odds_factor, raised_chance, whole_number
from pipeline.release.artefact import ReleaseHeader
from pipeline.vocabulary import AUDIENCE_TITLES

_REVIEWERS: Final = "review"
# What templates of reports, and of pages that show the same tables, ask for.
FILTERS: Final = {
    "whole": whole_number,
    "decimal": decimal,
    "odds_factor": odds_factor,
    "raised_chance": raised_chance,
    "counted": counted,
    "heading": heading_of,
}


def render(template: str, **context: object) -> str:
    """Fill in a template of ``templates/``; HTML is escaped, Markdown is not."""
    return _environment().get_template(template).render(**context)


def audience_words(shown: AudienceView) -> str:
    """For whom a view is: ``partners``."""
    return AUDIENCE_TITLES[shown.audience] if shown.audience else _REVIEWERS


def period_words(header: ReleaseHeader) -> str:
    """The days of a period: ``5 October 2026 to 11 October 2026``."""
    first = dt.date.fromisoformat(header.period_start)
    last = dt.date.fromisoformat(header.period_end) - dt.timedelta(days=1)
    return day(first) if first == last else f"{day(first)} to {day(last)}"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = templating.environment("pipeline.publication")
    environment.filters |= FILTERS
    return environment
