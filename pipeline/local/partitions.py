"""How Airflow names a period in a partition key, and back.

Days and months as everywhere. Airflow reads a key back with ``strptime``, which knows a week only by one of its days,
so a week bears its Monday: ``2026-W41-1`` (an ISO 8601 week date).
"""

from __future__ import annotations

from typing import Final

from pipeline.periods import KEY_FORMATS, Period, PeriodKind

_MONDAY: Final = "-1"
PARTITION_FORMATS: Final = {**KEY_FORMATS, PeriodKind.WEEK: f"{KEY_FORMATS[PeriodKind.WEEK]}-%u"}
# Jinja: a run's partition key as a period's label; no key gives an empty label, which every stage refuses.
# No other label ends in "-1": days and months have two digits.
PERIOD: Final = "{{ (dag_run.partition_key or '').removesuffix('" + _MONDAY + "') }}"


def partition_key(period: Period) -> str:
    """The partition key of a period."""
    return period.start.strftime(PARTITION_FORMATS[period.kind])


def period_label(key: str) -> str:
    """The period's label, such as ``2026-W41``, that a partition key stands for."""
    return key.removesuffix(_MONDAY)
