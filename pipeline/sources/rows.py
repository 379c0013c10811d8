"""What readers of tables are asked for beside columns."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Rows of a span of time, for a source that can look for them.

    What is read holds at least these rows, and those whose column is empty or no date; it may hold others, so that the
    reader looks again. A file is always read in full.

    Attributes:
        column: Holds a date, a time, or ISO 8601 text.
        start: First instant, with a time zone; None where there is no beginning.
        end: Instant after the last, with a time zone; None where there is no end.
    """

    column: str
    start: dt.datetime | None = None
    end: dt.datetime | None = None
