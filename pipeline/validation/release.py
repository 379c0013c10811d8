"""Checks a drawn release before a reviewer sees it. Reads the release and its header only, never a true count."""

from __future__ import annotations

import math

import pandas as pd

from pipeline.release.artefact import ROW_COLUMNS, LevelFacts, PrivateRelease, ReleaseHeader, TableFacts
from pipeline.validation.runs import Subject, run
from pipeline.validation.suites import Parameters, load_suite
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY, Audience
from pipeline.workspace import Workspace

_WHOLE = "release"  # subject of what is not about one table
_TEXTS = {"kind": "Kind of row", "obs_status": "Status of the number", "conf_status": "Reason for withholding"}


def check_release(workspace: Workspace, release: PrivateRelease) -> Verdicts:
    """Run the suite ``release`` on a drawn release and add the run to Data Docs.

    Args:
        workspace: Holds Data Docs.
        release: The candidate.

    Returns:
        One verdict a check; the same release always gives the same bytes. Call ``require`` on it.
    """
    run_name = str(release.key).replace("/", ".")
    return run(workspace, load_suite("release"), release.header.release, run_name, subjects(release))


def subjects(release: PrivateRelease) -> list[Subject]:
    """What is checked of a release: each of its tables, then what is not about one table."""
    header = release.header
    names = [table.name for table in header.tables]
    audiences = [str(audience) for audience in Audience]
    tables = [
        Subject("table", table.name, table.name, release.tables[table.name], _table_parameters(header, table))
        for table in header.tables
        if table.name in release.tables
    ]
    return [
        *tables,
        Subject("groups", "all_tables", _WHOLE, _groups(release), {"tables": names}),
        Subject("levels", "levels", _WHOLE, _levels(header), _level_parameters(header)),
        Subject(
            "entitlements", "entitlements", _WHOLE, _entitlements(header), {"tables": names, "audiences": audiences}
        ),
    ]


def _table_parameters(header: ReleaseHeader, table: TableFacts) -> Parameters:
    levels = [_level_of(header, table, depth) for depth in range(len(table.dimensions) + 1)]
    columns = list(zip(table.dimensions, table.dimension_titles, table.keys, strict=True))
    dimensions = [
        {"column": name, "title": title, "keys": [*keys, TOTAL_KEY, REMAINDER_KEY]} for name, title, keys in columns
    ]
    texts = [{"column": name, "title": title} for name, title in _TEXTS.items()]
    return {
        "columns": [*table.dimensions, *ROW_COLUMNS],
        "dimensions": dimensions,
        "dimensions_in_order": list(table.dimensions),
        "texts": [*dimensions, *texts],
        "k": header.k,
        "thresholds": [level.threshold if level else _OUT_OF_REACH for level in levels],
        "scales": [level.scale if level else math.nan for level in levels],
    }


_STEP = "\x1f"  # unit separator, which no key holds
# Where a level is not declared, no count can pass.
_OUT_OF_REACH = 2**62


def _level_of(header: ReleaseHeader, table: TableFacts, depth: int) -> LevelFacts | None:
    wanted = _family_level(table, depth)
    return next((level for level in header.levels if _level_name(level.table, level.dimensions) == wanted), None)


def _family_level(table: TableFacts, depth: int) -> str:
    # Tables over people share their levels; one over what a person may have many of has its own.
    return _level_name("" if table.measure == "people" else table.name, table.dimensions[:depth])


def _level_name(table: str, dimensions: tuple[str, ...]) -> str:
    return f"{table}({', '.join(dimensions)})"


def _levels(header: ReleaseHeader) -> pd.DataFrame:
    # one row a level
    deepest = {_family_level(table, len(table.dimensions)) for table in header.tables}
    return pd.DataFrame(
        [
            {
                "level": _level_name(level.table, level.dimensions),
                "max_groups": level.max_groups,
                "mechanism": level.mechanism,
                "epsilon": level.epsilon,
                "delta": f"{level.delta_selection}+{level.delta_remainder}",
                "delta_selection": level.delta_selection,
                "scale": level.scale,
                "noise_sd": level.noise_sd,
                "threshold": level.threshold,
                "k": header.k,
                # In groups that no table divides further a person counts once; in those above, once for each below.
                "contribution": 1 if _level_name(level.table, level.dimensions) in deepest else level.max_groups,
            }
            for level in header.levels
        ]
    )


def _level_parameters(header: ReleaseHeader) -> Parameters:
    wanted = {_family_level(table, depth) for table in header.tables for depth in range(len(table.dimensions) + 1)}
    return {"levels": sorted(wanted), "epsilon": header.epsilon, "delta": header.delta}


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
    return frame[[name for name in ROW_COLUMNS if name in frame]].assign(
        table=table.name,
        family="people" if table.measure == "people" else table.name,
        path=sum(steps.values(), nowhere),
        members=sum((steps[name] for name in sorted(steps)), nowhere),
    )


def _entitlements(header: ReleaseHeader) -> pd.DataFrame:
    # one row an audience and table
    pairs = [(str(audience), table) for audience, tables in header.audiences.items() for table in tables]
    return pd.DataFrame(pairs, columns=["audience", "table"], dtype="string")
