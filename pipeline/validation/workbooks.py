"""Reads the workbook of a bundle, and its shares and indices, and says whether they are those of the release.

What they should hold is worked out here once more, apart from the code that writes them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from pipeline.release.artefact import TableFacts
from pipeline.vocabulary import TOTAL_KEY

_UNREADABLE: Final = (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError)
_DAYS: Final = ("period_start", "period_end")
_DIGITS: Final = 1e-14  # a workbook has 16 significant digits
_ESCAPED: Final = re.compile(r"^'(?=[=+\-@\t\r])")  # what keeps a spreadsheet from running a text
_SHARE, _OF_PARENT, _INDEX = "share of all", "share of parent", "index"
# (table, keys, measure) -> value that is shown
Shown = Mapping[tuple[str, tuple[str, ...], str], float]


def sheets_of(path: Path) -> list[pd.DataFrame]:
    """All sheets of a workbook in order, as they are read; none where it cannot be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = pd.read_excel(path, sheet_name=None, dtype=object, keep_default_na=False, na_values=[""])
    except Exception:  # noqa: BLE001  a broken archive raises whatever it likes
        return []
    return list(found.values())


def texts_of(sheet: pd.DataFrame | None) -> set[str]:
    """The different texts of a sheet, and the names of its columns."""
    if sheet is None:
        return set()
    cells = {str(cell) for name in sheet for cell in sheet[name].dropna().unique() if isinstance(cell, str)}
    return cells | set(map(str, sheet.columns))


def agrees(sheet: pd.DataFrame | None, released: pd.DataFrame) -> bool:
    """Whether a sheet has the rows of a table: same columns, same order, the same cells.

    Args:
        sheet: As it was read; None where there is none.
        released: The table as recipients are to read it.
    """
    if sheet is None or list(map(str, sheet.columns)) != list(released.columns) or len(sheet) != len(released):
        return False
    try:
        return all(_same(sheet[name], released[name]) for name in released.columns)
    except _UNREADABLE:
        return False


def _same(read: pd.Series[Any], released: pd.Series[Any]) -> bool:
    name = str(released.name)
    if name in _DAYS:
        return bool((pd.to_datetime(read).dt.date.astype(str) == released.astype(str)).all())
    if pd.api.types.is_bool_dtype(released) or pd.api.types.is_string_dtype(released):
        return bool((read.astype(object).fillna("") == released.astype(object).fillna("")).all())
    if any(isinstance(cell, str | bool) for cell in read):
        return False
    found, wanted = (pd.to_numeric(side).to_numpy(float, na_value=np.nan) for side in (read, released))
    return bool(np.isclose(found, wanted, rtol=_DIGITS, atol=0, equal_nan=True).all())


def derived_of(folder: Path, ending: str) -> pd.DataFrame | None:
    """The shares and indices of a bundle in one format; None where they cannot be read."""
    path = folder / f"derived.{ending}"
    try:
        if ending == "parquet":
            return pd.read_parquet(path)
        texts = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        numbers = {name: pd.to_numeric(texts[name]) for name in ("value", "value_lo", "value_hi")}
        others = {str(name): texts[name].str.replace(_ESCAPED, "", regex=True) for name in texts if name not in numbers}
        return texts.assign(**others, **numbers)
    except Exception:  # noqa: BLE001  a broken file raises whatever it likes
        return None


def shown_in(tables: Mapping[str, tuple[TableFacts, pd.DataFrame]]) -> Shown:
    """Every number of a release that is shown."""
    found: dict[tuple[str, tuple[str, ...], str], float] = {}
    for name, (facts, frame) in tables.items():
        told = frame[frame["value"].notna()]
        keys = told[list(facts.dimensions)].astype(str).itertuples(index=False, name=None)
        for place, measure, value in zip(keys, told["measure"], told["value"], strict=True):
            found[name, tuple(place), str(measure)] = float(value)
    return found


def derived_holds(derived: pd.DataFrame | None, tables: Sequence[TableFacts], shown: Shown) -> bool:
    """Whether every derived number is what it says, of numbers that are shown, and inside its interval."""
    if derived is None:
        return False
    known = {facts.name: facts for facts in tables}
    try:
        rows = derived.to_dict("records")
        return all(_holds(dict(row), known[str(row["table"])], known, shown) for row in rows)  # type: ignore[arg-type]
    except _UNREADABLE:
        return False


def _holds(row: Mapping[str, Any], facts: TableFacts, known: Mapping[str, TableFacts], shown: Shown) -> bool:
    keys = tuple(str(row[name]) for name in facts.dimensions)
    measure, statistic = str(row["measure"]), row["statistic"]
    others = {str(row[name] or "") for name in row if name in _dimensions(known) and name not in facts.dimensions}
    value, low, high = (float(row[name]) for name in ("value", "value_lo", "value_hi"))
    wanted = _expected(facts, keys, measure, str(statistic), known, shown)
    close = abs(value - wanted) <= (1e-6 if statistic in (_SHARE, _OF_PARENT) else 0.01)
    return close and low <= value <= high and others <= {"", "nan", "None", "<NA>"}


def _dimensions(known: Mapping[str, TableFacts]) -> set[str]:
    return {name for facts in known.values() for name in facts.dimensions}


def _expected(
    facts: TableFacts,
    keys: tuple[str, ...],
    measure: str,
    statistic: str,
    known: Mapping[str, TableFacts],
    shown: Shown,
) -> float:
    own, name = shown[facts.name, keys, measure], facts.name
    everybody = tuple(TOTAL_KEY for _ in keys)
    deep = max(place for place, key in enumerate(keys) if key != TOTAL_KEY)
    above = tuple(TOTAL_KEY if place == deep else key for place, key in enumerate(keys))
    if statistic == _SHARE:
        return own / shown[name, everybody, measure]
    if statistic == _OF_PARENT:
        return own / shown[name, above, measure]
    if statistic != _INDEX:
        raise ValueError(statistic)
    kinds = {one.name: one.kind for one in facts.measures}
    if kinds[measure] == "mean":
        return 100 * own / shown[name, everybody, measure]
    if kinds[measure] != "people":
        people, all_people = shown[name, keys, facts.measure], shown[name, everybody, facts.measure]
        return 100 * (own / people) / (shown[name, everybody, measure] / all_people)
    alone = next(one.name for one in known.values() if one.dimensions == (facts.dimensions[deep],))
    frequency = shown[alone, (keys[deep],), facts.measure] / shown[name, everybody, measure]
    return 100 * own / shown[name, above, measure] / frequency
