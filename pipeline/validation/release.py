"""Checks a drawn release before a reviewer sees it. Reads the release and its header only, never a true count."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from pipeline.privacy.accountant import Charge
from pipeline.release.artefact import ROW_COLUMNS, LevelFacts, PrivateRelease, ReleaseHeader, TableFacts
from pipeline.validation.drift import OUT_OF_REACH, drift_of
from pipeline.validation.levels import is_crossed, level_name, level_names, levels_of, means_of, measured_of, totals_of
from pipeline.validation.runs import Subject, run
from pipeline.validation.suites import Parameters, load_suite
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import KEY_PATTERN, PEOPLE, REMAINDER_KEY, TOTAL_KEY, Audience
from pipeline.workspace import Workspace

_WHOLE = "release"  # subject of what is not about one table
_STEP = "\x1f"  # unit separator, which no key holds
_TEXTS = {
    "kind": "Kind of row",
    "measure": "Measure",
    "obs_status": "Status of the number",
    "conf_status": "Reason for withholding",
}


def check_release(
    workspace: Workspace, release: PrivateRelease, previous: PrivateRelease | None = None, *, reserved: Charge | None
) -> Verdicts:
    """Run the suite ``release`` on a drawn release and add the run to Data Docs.

    Args:
        workspace: Holds Data Docs.
        release: The candidate.
        previous: The release before it, for warnings of what changed; without one these have nothing to compare.
        reserved: What the ledger reserved for the candidate; None where it reserved nothing, which fails.

    Returns:
        One verdict a check; the same arguments always give the same bytes, and the list of checks depends on the
        candidate alone. Call ``require`` on it.
    """
    run_name = str(release.key).replace("/", ".")
    checked = subjects(release, previous, reserved=reserved)
    return run(workspace, load_suite("release"), release.header.release, run_name, checked)


def subjects(
    release: PrivateRelease, previous: PrivateRelease | None = None, *, reserved: Charge | None
) -> list[Subject]:
    """What is checked of a release: each of its tables, each beside the one before, then what is not about one."""
    header = release.header
    names = [table.name for table in header.tables]
    audiences = [str(audience) for audience in Audience]
    held = [table for table in header.tables if table.name in release.tables]
    return [
        *(
            Subject("table", table.name, table.name, release.tables[table.name], _table_parameters(header, table))
            for table in held
        ),
        *(drift_of(release, previous, table) for table in held),
        Subject("groups", "all_tables", _WHOLE, _groups(release), {"tables": names}),
        Subject("levels", "levels", _WHOLE, _levels(header), _level_parameters(header, reserved)),
        Subject(
            "entitlements", "entitlements", _WHOLE, _entitlements(header), {"tables": names, "audiences": audiences}
        ),
    ]


def _table_parameters(header: ReleaseHeader, table: TableFacts) -> Parameters:
    columns = list(zip(table.dimensions, table.dimension_titles, table.keys, strict=True))
    texts = [{"column": name, "title": title} for name, title in [*_TEXTS.items(), *(one[:2] for one in columns)]]
    public = [
        {"column": name, "title": title, "keys": [*keys, TOTAL_KEY, REMAINDER_KEY]}
        for name, title, keys in columns
        if name not in table.private
    ]
    private = [{"column": name, "title": title} for name, title, _ in columns if name in table.private]
    measures = {"measures": [measure.name for measure in table.measures], "has_means": bool(means_of(table))}
    return {
        "columns": [*table.dimensions, *ROW_COLUMNS],
        "public": public,
        "private": private,
        "private_names": list(table.private),
        "key_pattern": KEY_PATTERN,
        "dimensions_in_order": list(table.dimensions),
        "texts": texts,
        "k": header.k,
        **measures,
        **_number_parameters(header, table),
    }


def _number_parameters(header: ReleaseHeader, table: TableFacts) -> Parameters:
    totals, means = totals_of(table), means_of(table)
    levels = {total.name: levels_of(header, table, total) for total in totals}
    return {
        "people": table.measure,
        "totals": [total.name for total in totals],
        "means": [{"name": one.name, "numerator": one.numerator, "denominator": one.denominator} for one in means],
        "withheld": [table.measure, *(mean.name for mean in means)],
        "least": {total.name: header.k if total.kind == "people" else 0 for total in totals},
        "mechanism": header.noise,
        "scales": {name: [level.scale if level else math.nan for level in held] for name, held in levels.items()},
        "thresholds": [level.threshold if level else OUT_OF_REACH for level in levels.get(table.measure, [])],
        "crossed": [total.name for total in totals if is_crossed(header, table, total)],
    }


def _levels(header: ReleaseHeader) -> pd.DataFrame:
    # one row a level
    deepest = {level_names(table, total)[-1] for table in header.tables for total in totals_of(table)}
    return pd.DataFrame([_level_row(header, level, level_name(level) in deepest) for level in header.levels])


def _level_row(header: ReleaseHeader, level: LevelFacts, deepest: bool) -> dict[str, Any]:
    declared = level.model_dump(mode="json", exclude={"table", "dimensions", "quantity"})
    measured, groups = measured_of(level), level.max_groups
    # In levels over people nobody is in two groups, so that a person changes a parent as much as its child.
    alone = deepest or groups == 1
    most = measured.largest(groups, deepest=alone)
    return declared | {
        "level": level_name(level),
        "people": level.quantity == PEOPLE,
        "delta": f"{level.delta_selection}+{level.delta_remainder}",
        "k": header.k,
        "l1": measured.l1(groups),
        "most": most,
        # All of a person may fall into one count, or else is spread over so many.
        "at_once": measured.l1(groups) // most,
    }


def _level_parameters(header: ReleaseHeader, reserved: Charge | None) -> Parameters:
    wanted = {name for table in header.tables for total in totals_of(table) for name in level_names(table, total)}
    return {
        "levels": sorted(wanted),
        "epsilon": header.epsilon,
        "delta": header.delta,
        "delta_noise": header.delta_noise,
        "mechanisms": [header.noise],
        "reserved": reserved.model_dump(mode="json") if reserved else {},
    }


def _groups(release: PrivateRelease) -> pd.DataFrame:
    # one row a row of any table
    declared = {table.name: table for table in release.header.tables}
    frames = [
        _rows_of(declared[name], frame) if name in declared else pd.DataFrame({"table": [name]})
        for name, frame in release.tables.items()
    ]
    return pd.concat(frames, ignore_index=True)


def _rows_of(table: TableFacts, frame: pd.DataFrame) -> pd.DataFrame:
    # one row a row of the table; ``path`` is the group it is of, ``members`` the same whatever the drilling order
    keys = {name: frame[name].astype(object) for name in table.dimensions if name in frame}
    steps = {name: (f"{name}=" + key + _STEP).where(key.ne(TOTAL_KEY), "") for name, key in keys.items()}
    nowhere = pd.Series("", index=frame.index, dtype=object)
    measure = frame.get("measure", nowhere)
    numbers = {name: frame[name].astype("Float64") for name in ("value", "value_lo", "value_hi") if name in frame}
    return frame[[name for name in ROW_COLUMNS if name in frame]].assign(
        **numbers,
        table=table.name,
        family=measure.map(dict(_families(table))),
        path=sum(steps.values(), nowhere),
        members=sum((steps[name] for name in sorted(steps)), nowhere),
    )


def _families(table: TableFacts) -> Iterator[tuple[str, str]]:
    """Of each measure, what it counts: the same in tables that share its levels, whatever it is called there."""
    counted = {total.name: level_names(table, total)[0] for total in totals_of(table)}
    yield from counted.items()
    for mean in means_of(table):
        yield mean.name, f"{counted.get(mean.numerator)} / {counted.get(mean.denominator)}"


def _entitlements(header: ReleaseHeader) -> pd.DataFrame:
    # one row an audience and table
    pairs = [(str(audience), table) for audience, tables in header.audiences.items() for table in tables]
    return pd.DataFrame(pairs, columns=["audience", "table"], dtype="string")
