"""All tables of a release agree with themselves and with each other, whatever the counts and the noise."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.privacy.budget import Epsilon, K
from pipeline.release.draw import draw_release
from pipeline.vocabulary import BROWSERS, OPERATING_SYSTEMS, REMAINDER_KEY, TOTAL_KEY
from tests.counts import bound_tables, groups_of

REQUESTS = {"kind": "events", "name": "requests", "title": "Requests", "max_per_group": 5}
EACH = {"kind": "mean", "name": "each", "title": "Requests a visitor", "of": "requests", "per": "people"}
TABLES: tuple[dict[str, Any], ...] = (
    {"name": "systems", "title": "Systems", "dimensions": ["operating_system"], "measures": [REQUESTS, EACH]},
    {"name": "crossed", "title": "Crossed", "dimensions": ["browser", "operating_system"], "measures": [REQUESTS]},
)
BOUND = {noise: bound_tables(*TABLES, noise=noise) for noise in ("discrete Laplace", "discrete Gaussian")}
NAMES = ["browser", "operating_system"]

everywhere = st.integers(400, 3000)  # all cells released
somewhere = st.one_of(st.integers(0, 60), st.integers(0, 3000))
cells = st.one_of(
    *(
        st.lists(count, min_size=len(BROWSERS) * len(OPERATING_SYSTEMS), max_size=64)
        for count in (everywhere, somewhere)
    )
)


def people_of(counts: list[int]) -> pd.DataFrame:
    names = [(browser, system) for browser in BROWSERS for system in OPERATING_SYSTEMS]
    rows = [(*name, count, 2 * count) for name, count in zip(names, counts, strict=True) if count]
    return pd.DataFrame(rows, columns=[*NAMES, "people", "events"])


@given(cells, st.sampled_from([0.5, 5.0]), st.sampled_from(sorted(BOUND)), st.integers(2, 60))
@settings(max_examples=60, deadline=None)
def test_parts_add_up_and_the_same_total_reads_the_same_everywhere(
    counts: list[int], epsilon: float, noise: str, k: int
) -> None:
    bound = dataclasses.replace(BOUND[noise], epsilon=Epsilon.of(epsilon), k=K(k))
    tables = draw_release(bound, groups_of(bound, people_of(counts))).tables
    for measure in ("people", "requests"):
        systems, crossed = (_shown(tables[name], measure) for name in ("systems", "crossed"))
        _require_parts_add_up(systems, crossed)
        _require_lines_tell_nothing_else(systems, crossed, people_of(counts), k)
    _require_means(tables["systems"])


def _shown(table: pd.DataFrame, measure: str) -> dict[tuple[str, str], int]:
    rows = table[(table["measure"] == measure) & table["value"].notna()]
    browsers = rows["browser"] if "browser" in rows else [TOTAL_KEY] * len(rows)
    return {
        (browser, system): int(value)
        for browser, system, value in zip(browsers, rows["operating_system"], rows["value"], strict=True)
    }


def _require_parts_add_up(systems: dict[tuple[str, str], int], crossed: dict[tuple[str, str], int]) -> None:
    total = systems.get((TOTAL_KEY, TOTAL_KEY))
    assert crossed.get((TOTAL_KEY, TOTAL_KEY)) == total
    if total is None:
        return
    assert sum(value for (_, system), value in systems.items() if system != TOTAL_KEY) == total
    browsers = {browser: value for (browser, system), value in crossed.items() if system == TOTAL_KEY}
    assert sum(value for browser, value in browsers.items() if browser != TOTAL_KEY) == total
    for browser in browsers.keys() - {TOTAL_KEY, REMAINDER_KEY}:
        parts = [value for (other, system), value in crossed.items() if other == browser and system != TOTAL_KEY]
        assert sum(parts) == browsers[browser]


def _require_lines_tell_nothing_else(
    systems: dict[tuple[str, str], int], crossed: dict[tuple[str, str], int], people: pd.DataFrame, k: int
) -> None:
    """What a system has beyond its listed browsers is nothing, and adds up, or has k people for certain."""
    truth = people.set_index(NAMES)["people"].to_dict()
    for system in OPERATING_SYSTEMS:
        if (TOTAL_KEY, system) not in systems:
            continue
        listed = [browser for browser in BROWSERS if (browser, system) in crossed]
        if len(listed) == len(BROWSERS):
            assert systems[TOTAL_KEY, system] == sum(crossed[browser, system] for browser in BROWSERS)
        else:
            assert sum(truth.get((browser, system), 0) for browser in BROWSERS if browser not in listed) >= k


def _require_means(table: pd.DataFrame) -> None:
    listed = table[table["value"].notna()].pivot(index="operating_system", columns="measure", values="value")
    if "each" in listed:
        told = listed[listed["each"].notna()]
        assert (told["each"] - told["requests"] / told["people"]).abs().max() < 1e-9
