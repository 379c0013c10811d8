"""Fills in the templates of pages; all that is put into them is escaped."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import re
from collections.abc import Iterable
from typing import Final

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from pipeline import __version__, templating
from pipeline.portal.archive import archive_of
from pipeline.publication import pages
from pipeline.publication.words import day, moment

_RECIPIENTS: Final = "/my"
_RELEASE: Final = re.compile(r"[a-z][a-z0-9_]*/[0-9A-Za-z-]+/r[0-9]+")


def page(request: Request, name: str, status: int = 200, **context: object) -> HTMLResponse:
    """A page of ``templates/``.

    Every template finds, beside its own context: ``session`` (of a reviewer; None where nobody is signed in),
    ``visitor`` (likewise of a recipient), ``for_recipients`` (whose page it is), ``csrf`` (the token that each form
    sends back), ``publisher`` (whose site it is), ``synthetic``, ``version`` and ``path``.

    Args:
        request: That is answered.
        name: Of the template.
        status: Of the answer.
        context: What the template shows.
    """
    session, visitor = getattr(request.state, "session", None), getattr(request.state, "visitor", None)
    path = request.url.path
    shared: dict[str, object] = {
        "session": session,
        "visitor": visitor,
        "for_recipients": path == _RECIPIENTS or path.startswith(f"{_RECIPIENTS}/"),
        "csrf": getattr(visitor or session, "csrf", ""),
        "version": __version__,
        "path": path,
        **archive_of(request.app).publisher,
    }
    content = _environment().get_template(name).render(**(shared | context))
    return HTMLResponse(content, status, headers={"Cache-Control": "no-store", "Vary": "Cookie"})


def fragment(name: str, **context: object) -> str:
    """A part of a page, from a template of its own; it shows nothing of whoever asks."""
    return _environment().get_template(name).render(**context)


def instant(at: str) -> str:
    """``5 October 2026, 14:03 UTC``, of an instant as the ledger writes it."""
    return moment(dt.datetime.fromisoformat(at).astimezone(dt.UTC))


def size(number: int) -> str:
    """``12.3 kB``, of a number of bytes (decimal units, as SI has them)."""
    for unit, worth in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= worth:
            return f"{number / worth:.3g} {unit}"
    return f"{number} bytes"


def date(at: str) -> str:
    """``5 October 2026``, of a day or an instant as the ledger writes it."""
    return day(dt.datetime.fromisoformat(at))


def age(at: str) -> str:
    """How long ago an instant was: ``3 hours``."""
    seconds = (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(at)).total_seconds()
    for length, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"
    return "less than a minute"


def blocks(lines: Iterable[str]) -> list[tuple[list[str], bool]]:
    """Lines of an explanation: sentences, and together the rows of a small table, which begin with a space."""
    parts = itertools.groupby(lines, key=lambda line: line.startswith("  "))
    return [([line.strip("\n") for line in rows], of_table) for of_table, rows in parts]


def sentence(text: str) -> str:
    """A text with a full stop, where it ends without any."""
    return text if text.endswith((".", "!", "?", "\u2026")) else f"{text}."


def is_release(about: str) -> bool:
    """Whether an event is about a release: ``weekly_audience/2026-W41/r1``."""
    return _RELEASE.fullmatch(about) is not None


@functools.cache
def stylesheet() -> str:
    """The style sheet of reports, on which that of these pages builds."""
    return _environment().get_template("report.css.j2").render()


@functools.cache
def _environment() -> jinja2.Environment:
    environment = templating.environment("pipeline.portal", "pipeline.publication")
    own = {
        "instant": instant,
        "date": date,
        "age": age,
        "blocks": blocks,
        "is_release": is_release,
        "size": size,
        "sentence": sentence,
    }
    environment.filters |= pages.FILTERS | own
    return environment
