"""Markdown as a page: raw HTML is not let through, headings can be linked to, and wide tables scroll by themselves."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_SCROLLING: Final = '<div class="scroll" tabindex="0" role="region" aria-label="Table {}"><table>'


@dataclass(frozen=True)
class Heading:
    """A heading of the second level.

    Attributes:
        place: Its anchor.
        words: It.
    """

    place: str
    words: str


def markdown_page(text: str) -> tuple[Markup, tuple[Heading, ...]]:
    """A text as HTML, and its headings."""
    tokens = _markdown().parse(text)
    headings = tuple(_anchored(tokens))
    html: str = _markdown().renderer.render(tokens, _markdown().options, {})
    number = itertools.count(1)
    scrolling = re.sub("<table>", lambda _: _SCROLLING.format(next(number)), html)
    return Markup(scrolling.replace("</table>", "</table></div>")), headings  # noqa: S704  raw HTML is not let through


def _anchored(tokens: list[Token]) -> Iterator[Heading]:
    for opening, inline in itertools.pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h2":
            words = inline.content
            opening.attrSet("id", "-".join(words.lower().split()))
            yield Heading(str(opening.attrGet("id")), words)


@functools.cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")
