"""Steps of an explanation: sentences, and rows of small tables among them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_WIDTH: Final = 110


@dataclass(frozen=True)
class Step:
    """One step of the way, as sentences."""

    title: str
    lines: tuple[str, ...]


def indented(step: Step) -> str:
    """A step's text: sentences are wrapped; rows of tables, which begin with a space, are left as they are."""
    lines = (
        [line] if line.startswith(" ") else textwrap.wrap(line, _WIDTH, break_on_hyphens=False) for line in step.lines
    )
    return "\n".join(f"   {line}" for wrapped in lines for line in wrapped)


def columns(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """Rows of a small table, its heads first."""
    # The first column is words, to the left; the others are numbers, to the right.
    every = [heads, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(heads))]
    for first, *numbers in every:
        cells = (number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True))
        yield "  " + "  ".join([first.ljust(widths[0]), *cells])
