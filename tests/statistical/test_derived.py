"""Measured coverage of the intervals of shares, indices and changes, over many draws of one population.

Numbers of a quotient are correlated, since least squares made parts and totals agree, and the intervals leave that out:
they are careful, the more so the larger a part is of its whole.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pandas as pd
import pytest

from pipeline.publication.derived.across import changes
from pipeline.publication.derived.within import within
from pipeline.publication.reading import ReadBundle
from pipeline.publication.views import AudienceView, whole
from pipeline.release.draw import draw_release
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import BROWSERS, OPERATING_SYSTEMS, REMAINDER_KEY, TOTAL_KEY
from tests.counts import bound_tables, groups_of

NOISES = ("discrete Laplace", "discrete Gaussian")
REQUESTS = {"kind": "events", "name": "requests", "title": "Requests", "max_per_group": 5}
MEAN = {"kind": "mean", "name": "each", "title": "Requests a visitor", "of": "requests", "per": "people"}
DIMENSIONS = ("browser", "operating_system")
DRAWS = 80


def population(times: float = 1.0) -> pd.DataFrame:
    """People of each browser and system, a few frequent and many rare."""
    cells = list(itertools.product(BROWSERS, OPERATING_SYSTEMS))
    sizes = [round(times * (400 + 9_000 / (1 + number % 17))) for number in range(len(cells))]
    frame = pd.DataFrame(cells, columns=list(DIMENSIONS)).assign(people=sizes)
    return frame.assign(events=[size * (2 + number % 3) for number, size in enumerate(sizes)])


def bound(noise: str) -> BoundSpecification:
    tables = (
        {"name": "systems", "title": "S", "dimensions": ["operating_system"]},
        {"name": "both", "title": "B", "dimensions": list(DIMENSIONS)},
        {"name": "browsers", "title": "R", "dimensions": ["browser"], "measures": [REQUESTS, MEAN]},
    )
    return bound_tables(*tables, epsilon=0.2, noise=noise)


@functools.cache
def drawn(noise: str, times: float = 1.0) -> list[AudienceView]:
    """Many draws of one population."""
    specification = bound(noise)
    groups = groups_of(specification, population(times))
    return [whole(draw_release(specification, groups)) for _ in range(DRAWS)]


def truth_of(shown: AudienceView) -> dict[str, pd.DataFrame]:
    """The same rows with the numbers that stand there without noise, and no intervals."""
    found = {}
    for facts in shown.header.tables:
        frame = shown.tables[facts.name]
        frame = frame[frame["row_kind"] != "remainder"].copy()
        asked = frame[[*facts.dimensions, "measure"]].itertuples(index=False, name=None)
        values = [_truth(facts.dimensions, tuple(keys), measure) for *keys, measure in asked]
        numbers = dict.fromkeys(("value", "value_lo", "value_hi"), pd.array(values, dtype="Float64"))
        found[facts.name] = frame.assign(**numbers)
    return found


@functools.cache
def _truth(dimensions: tuple[str, ...], keys: tuple[str, ...], measure: str) -> float:
    people = population()
    for name, key in zip(dimensions, keys, strict=True):
        people = people[(people[name] == key) | (key == TOTAL_KEY)]
    number, events = people["people"].sum(), np.minimum(people["events"], 5 * people["people"]).sum()
    return float({"people": number, "requests": events, "each": events / number}[measure])


@functools.cache
def compared(noise: str) -> pd.DataFrame:
    """One row a derived number of each draw, with ``truth``."""
    keys = ["table", *sorted(DIMENSIONS), "measure", "statistic"]
    frames = []
    for shown in drawn(noise):
        tables = shown.header.tables
        true = within(tables, truth_of(shown))[[*keys, "value"]].rename(columns={"value": "truth"})
        frames.append(within(tables, shown.tables).fillna("").merge(true.fillna(""), on=keys))
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("statistic", ["share of all", "share of parent", "index"])
def test_intervals_hold_what_they_are_about_and_are_not_much_too_wide(noise: str, statistic: str) -> None:
    rows = compared(noise)
    rows = rows[rows["statistic"] == statistic]
    low, high, truth, value = (rows[name].astype(float) for name in ("value_lo", "value_hi", "truth", "value"))
    assert len(rows) >= 2_000
    assert 0.935 <= float(((low <= truth) & (truth <= high)).mean()) <= 0.985
    needed = (value - truth).abs().groupby([rows["table"], rows["measure"]]).quantile(0.95)
    told = ((high - low) / 2).groupby([rows["table"], rows["measure"]]).mean()
    assert float((told / needed).median()) < 1.6


@functools.cache
def _of_small_groups() -> pd.DataFrame:
    """One row a share of each draw of a population with many groups near the threshold; ``inside`` its interval."""
    cells = list(itertools.product(BROWSERS, OPERATING_SYSTEMS))
    sizes = [round(6_000 / (1 + number % 31) ** 1.3) + (number * 7) % 90 for number in range(len(cells))]
    people = pd.DataFrame(cells, columns=list(DIMENSIONS)).assign(people=sizes)
    table = {"name": "both", "title": "B", "dimensions": list(DIMENSIONS)}
    specification = bound_tables(table, epsilon=0.2, noise=NOISES[0])
    groups = groups_of(specification, people)
    found = []
    for _ in range(DRAWS):
        shown = whole(draw_release(specification, groups))
        derived = within(shown.header.tables, shown.tables)
        rows = shown.tables["both"].merge(_of_parents(people, shown.tables["both"]), on=list(DIMENSIONS))
        found.append(derived[derived["statistic"] == "share of parent"].merge(rows, on=list(DIMENSIONS)))
    every = pd.concat(found, ignore_index=True)
    low, high, truth = (every[name].astype(float) for name in ("value_lo_x", "value_hi_x", "truth"))
    return every.assign(inside=(low <= truth + 1e-6) & (truth <= high + 1e-6))


def _of_parents(people: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """The true share of each shown system, and of all others, in its browser."""
    exact = people.set_index(list(DIMENSIONS))["people"]
    shown = frame[(frame["row_kind"] == "group") & (frame["operating_system"] != TOTAL_KEY) & frame["value"].notna()]
    listed = exact.loc[list(shown[list(DIMENSIONS)].itertuples(index=False, name=None))]
    rest = exact.groupby("browser").sum().sub(listed.groupby("browser").sum(), fill_value=0)
    every = [listed.reset_index(), rest.reset_index().assign(operating_system=REMAINDER_KEY)]
    told = pd.concat(every, ignore_index=True)
    return told.assign(truth=told["people"] / told["browser"].map(exact.groupby("browser").sum()))


@pytest.mark.parametrize(("kind", "least"), [("group", 500), ("remainder", 150)])
def test_intervals_hold_for_remainders_and_for_groups_near_the_threshold(kind: str, least: int) -> None:
    found = _of_small_groups()
    found = found[found["row_kind"] == kind]
    assert len(found) >= least
    assert float(found["inside"].mean()) >= 0.92
    assert float((found["obs_status"] == "U").mean()) > 0.01  # some of them were rather let in by their noise


@pytest.mark.parametrize("noise", NOISES)
def test_changes_that_are_none_are_noise_19_times_of_20(noise: str) -> None:
    verdicts = _changes(noise, 1.0)["verdict"]
    assert len(verdicts) >= 3_500
    assert float((verdicts == "within the noise").mean()) == pytest.approx(0.951, abs=0.02)
    rises, falls = (float((verdicts == word).mean()) for word in ("rises", "falls"))
    assert rises == pytest.approx(falls, abs=0.02)


@pytest.mark.parametrize("noise", NOISES)
def test_intervals_of_changes_hold_the_change(noise: str) -> None:
    found = _changes(noise, 1.25)
    before, now = population(), population(1.25)
    truth = {name: now.groupby(name)["people"].sum() - before.groupby(name)["people"].sum() for name in DIMENSIONS}
    found = found[found["operating_system"] != TOTAL_KEY]
    true = found["operating_system"].map(truth["operating_system"]).astype(float)
    inside = (found["change_lo"] <= true) & (true <= found["change_hi"])
    assert len(found) >= 600
    assert float(inside.mean()) == pytest.approx(0.96, abs=0.03)


@functools.cache
def _changes(noise: str, times: float) -> pd.DataFrame:
    befores, nows = drawn(noise), drawn(noise, times)
    if times == 1.0:  # each draw against the next one
        nows = [*befores[1:], befores[0]]
    tables = ("systems", "both") if times == 1.0 else ("systems",)
    found = [
        changes(_bundle(now), _bundle(before), table)
        for now, before in zip(nows, befores, strict=True)
        for table in tables
    ]
    return pd.concat(found, ignore_index=True)


class _Manifest:
    """What changes ask of a manifest."""

    def __init__(self, shown: AudienceView) -> None:
        self.tables = shown.header.tables


def _bundle(shown: AudienceView) -> ReadBundle:
    return ReadBundle(_Manifest(shown), shown.tables)  # type: ignore[arg-type]
