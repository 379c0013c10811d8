"""Templates of this room: pages that open offline, in the product's look."""

from __future__ import annotations

import functools

import jinja2

from pipeline import templating
from pipeline.publication.words import counted, day, key_label, moment, whole_number


def render(template: str, **context: object) -> str:
    """Fill in a template of ``templates/``; it may include the style sheet ``report.css.j2`` of the reports.

    Filters beside Jinja's own: ``whole`` (12,345), ``counted`` (2 requests), ``day`` (5 October 2026) of a date or an
    instant, ``moment`` (5 October 2026, 14:03 UTC) of an instant.
    """
    return _environment().get_template(template).render(**context)


def counted_of(number: int, things: str) -> str:
    """``1 request``, ``2 requests``, of things that are named in the plural."""
    return f"{number:,} {things.removesuffix('s') if number == 1 else things}"


def label(dimension: str, key: object) -> str:
    """A key as people read it: countries and languages by their names, nothing as ``not told``."""
    return "not told" if key is None else key_label(dimension, str(key))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = templating.environment("pipeline.rights", "pipeline.publication")
    environment.filters |= {"whole": whole_number, "counted": counted, "day": day, "moment": moment}
    return environment
