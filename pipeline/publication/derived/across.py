"""What changed between two periods, and whether that is more than noise.

The noise of two editions is independent: half-widths of a difference add up as squares. Of twenty differences that are
none, one exceeds its interval: a verdict on one group is a hint, and on the one group of many that moved most less.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

from pipeline.periods import Period, PeriodKind
from pipeline.publication.derived.ratios import Noisy, difference, quotient
from pipeline.publication.reading import ReadBundle
from pipeline.release.artefact import MeasureFacts, TableFacts

RISES, FALLS, NOISE, NOT_COMPARABLE = "rises", "falls", "within the noise", "not comparable"
PERIOD_BEFORE: Final = "period before"
YEAR_BEFORE: Final = "year before"
_NUMBERS: Final = ("change", "change_lo", "change_hi", "percent", "percent_lo", "percent_hi")
COLUMNS: Final = ("measure", "against", "other_period", "value", "before", *_NUMBERS, "verdict", "note")


def previous(period: Period) -> Period:
    """The period before."""
    return Period.containing(period.start - dt.timedelta(days=1), period.kind)


def year_before(period: Period) -> Period | None:
    """The same day, ISO week or month a year before; None for 29 February, and for a week 53 that the year lacks."""
    start = period.start
    if period.kind is PeriodKind.WEEK:
        year, week, _ = start.isocalendar()
        try:
            return Period(dt.date.fromisocalendar(year - 1, week, 1), period.kind)
        except ValueError:
            return None
    try:
        return Period(start.replace(year=start.year - 1), period.kind)
    except ValueError:
        return None


def compared(now: ReadBundle, find: Callable[[str], ReadBundle | None], table: str) -> pd.DataFrame:
    """Changes of a table against the period before and against the same period a year before.

    Args:
        now: The edition that is read.
        find: The standing edition of a period, by its label; None where there is none.
        table: Name of one of its tables.

    Returns:
        One row a group, measure and other period; columns: the dimensions, then ``COLUMNS``. ``percent`` is in per cent
        of the number before. Without an edition to compare with there are no rows about it.
    """
    period = Period.parse(now.manifest.identity.period)
    others = {PERIOD_BEFORE: previous(period), YEAR_BEFORE: year_before(period)}
    facts = _facts(now, table)
    parts = [
        changes(now, before, table).assign(against=against, other_period=str(other))
        for against, other in others.items()
        if other is not None and (before := find(str(other))) is not None
    ]
    names = [*facts.dimensions, *COLUMNS]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def changes(now: ReadBundle, before: ReadBundle, table: str) -> pd.DataFrame:
    """Changes of one table between two editions.

    Returns:
        One row a group and measure of ``now``; columns: the dimensions, ``measure``, ``value``, ``before``, the change
        and the change in per cent with their intervals, ``verdict`` and ``note``.
    """
    facts, former = _facts(now, table), next((one for one in before.manifest.tables if one.name == table), None)
    names = [*facts.dimensions, "measure"]
    frame = now.tables[table]
    if former is None or former.dimensions != facts.dimensions:
        return _without(frame, names, "the table was another one")
    joined = frame.merge(before.tables[table], on=names, how="left", suffixes=("", "_before"), validate="one_to_one")
    old = joined[["value_before", "value_lo_before", "value_hi_before"]].set_axis(
        ["value", "value_lo", "value_hi"], axis=1
    )
    note = _notes(joined, facts, former)
    return _told(joined[names], Noisy.of(joined), Noisy.of(old), note)


def _told(groups: pd.DataFrame, now: Noisy, before: Noisy, note: pd.Series[str]) -> pd.DataFrame:
    change, ratio = difference(now, before), quotient(now, before)
    told = np.isfinite(change.value) & ~note.isin(_REFUSED).to_numpy()
    moved = np.select([change.low > 0, change.high < 0], [RISES, FALLS], NOISE)
    sides = (
        change.value,
        change.low,
        change.high,
        *(100 * (side - 1) for side in (ratio.value, ratio.low, ratio.high)),
    )
    numbers = {name: np.round(np.where(told, side, np.nan), 2) for name, side in zip(_NUMBERS, sides, strict=True)}
    made = groups.assign(value=now.value, before=before.value, **numbers)
    made["verdict"] = pd.array(np.where(told, moved, NOT_COMPARABLE), dtype="string")
    return made.assign(note=note.astype("string").to_numpy()).reset_index(drop=True)


_WITHHELD: Final = "one of the two is withheld"
_NO_GROUP: Final = "the group was not there"
_OTHER_REST: Final = "all other stood for other groups"
_OTHER_BOUND: Final = "it was counted within other bounds"
_OTHER_KEYS: Final = "the list of keys was another one"
_NEAR: Final = "one of the two lies near the threshold, and is rather too high"
_REFUSED: Final = (_WITHHELD, _NO_GROUP, _OTHER_REST, _OTHER_BOUND)


def _notes(joined: pd.DataFrame, facts: TableFacts, former: TableFacts) -> pd.Series[str]:
    """Why two numbers cannot be compared, or what is to be known of it; the graver reason first."""
    near = (joined["obs_status"] == "U") | (joined["obs_status_before"] == "U")
    rest = joined["row_kind"] == "remainder"
    same_groups = _listed(joined, "") == _listed(joined, "_before")
    other = joined["measure"].isin(_bounded_otherwise(facts, former))
    missing = joined["obs_status_before"].isna()
    withheld = joined["value"].isna() | joined["value_before"].isna()
    conditions = [other, missing, withheld, rest & (not same_groups), near]
    notes = [_OTHER_BOUND, _NO_GROUP, _WITHHELD, _OTHER_REST, _NEAR]
    plain = "" if facts.keys == former.keys else _OTHER_KEYS
    chosen = np.select([one.fillna(value=False).to_numpy(bool) for one in conditions], notes, plain)
    return pd.Series(chosen, index=joined.index, dtype="string")


def _listed(joined: pd.DataFrame, suffix: str) -> frozenset[int]:
    """The rows of groups that are shown; what is left of a total depends on them."""
    shown = joined[f"value{suffix}"].notna() & (joined["row_kind"] == "group")
    return frozenset(np.flatnonzero(shown.to_numpy(bool)).tolist())


def _bounded_otherwise(facts: TableFacts, former: TableFacts) -> list[str]:
    known = {measure.name: _bounds(measure, former) for measure in former.measures}
    return [measure.name for measure in facts.measures if known.get(measure.name) != _bounds(measure, facts)]


def _bounds(measure: MeasureFacts, facts: TableFacts) -> tuple[object, ...]:
    return (measure.kind, measure.quantity, measure.limit, measure.scope, measure.unit, facts.max_groups)


def _without(frame: pd.DataFrame, names: list[str], note: str) -> pd.DataFrame:
    empty = dict.fromkeys(("before", *_NUMBERS), np.nan)
    made = frame[names].assign(value=frame["value"].astype("Float64"), **empty, verdict=NOT_COMPARABLE, note=note)
    return made.reset_index(drop=True)


def _facts(bundle: ReadBundle, table: str) -> TableFacts:
    (found,) = (facts for facts in bundle.manifest.tables if facts.name == table)
    return found
