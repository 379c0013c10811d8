"""Periods: the day, ISO week or month that a release speaks of."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from pipeline.errors import ConfigurationError


class PeriodKind(StrEnum):
    """How long a period is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


# Formats of ``strftime``, which Airflow's partition keys are made with too.
KEY_FORMATS = {PeriodKind.DAY: "%Y-%m-%d", PeriodKind.WEEK: "%G-W%V", PeriodKind.MONTH: "%Y-%m"}
_SHAPES = {
    PeriodKind.DAY: re.compile(r"\d{4}-\d{2}-\d{2}"),
    PeriodKind.WEEK: re.compile(r"\d{4}-W\d{2}"),
    PeriodKind.MONTH: re.compile(r"\d{4}-\d{2}"),
}


@dataclass(frozen=True, order=True)
class Period:
    """One day, ISO week (Monday to Sunday) or calendar month.

    Attributes:
        start: First day, inclusive.
        kind: How long it is.
    """

    start: dt.date
    kind: PeriodKind

    @classmethod
    def containing(cls, day: dt.date, kind: PeriodKind) -> Period:
        """The period of this kind that a day belongs to."""
        if kind is PeriodKind.WEEK:
            return cls(day - dt.timedelta(days=day.weekday()), kind)
        return cls(day.replace(day=1) if kind is PeriodKind.MONTH else day, kind)

    @classmethod
    def parse(cls, label: str) -> Period:
        """Read ``2026-10-05``, ``2026-W41`` or ``2026-10``.

        Raises:
            ConfigurationError: The label is none of these, or names no real date.
        """
        for kind, shape in _SHAPES.items():
            if shape.fullmatch(label):
                try:
                    return cls(_first_day(label, kind), kind)
                except ValueError:
                    break
        raise ConfigurationError(
            "a period must be a day (2026-10-05), an ISO week (2026-W41) or a month (2026-10)",
            value=repr(label[:20]),
            remedy="Name one of these.",
        )

    @property
    def end(self) -> dt.date:
        """First day after the period, exclusive."""
        if self.kind is PeriodKind.DAY:
            return self.start + dt.timedelta(days=1)
        if self.kind is PeriodKind.WEEK:
            return self.start + dt.timedelta(days=7)
        return (self.start.replace(day=28) + dt.timedelta(days=4)).replace(day=1)

    @property
    def next(self) -> Period:
        """The period after this one."""
        return Period(self.end, self.kind)

    def bounds(self, zone: ZoneInfo) -> tuple[dt.datetime, dt.datetime]:
        """Start (inclusive) and end (exclusive) as instants, midnight in ``zone``."""
        midnight = dt.time(tzinfo=zone)
        return dt.datetime.combine(self.start, midnight), dt.datetime.combine(self.end, midnight)

    def __str__(self) -> str:
        return self.start.strftime(KEY_FORMATS[self.kind])


def _first_day(label: str, kind: PeriodKind) -> dt.date:
    if kind is PeriodKind.WEEK:
        return dt.date.fromisocalendar(int(label[:4]), int(label[6:]), 1)
    return dt.date.fromisoformat(label if kind is PeriodKind.DAY else f"{label}-01")
