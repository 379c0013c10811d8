"""Measured coverage of the 95 % intervals, over many draws of one population.

Noise on whole numbers cannot cover exactly 95 %: the smallest whole half-width that covers at least 95 % is used, so
what it covers is known exactly from the distribution, and that is what is measured here.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.people.groups import BoundedGroups
from pipeline.privacy.levels import LevelKey, share_out
from pipeline.release.draw import draw_release
from pipeline.site import SiteFile
from pipeline.spec import ReleaseSpecification, bind
from pipeline.vocabulary import COUNTRIES, REMAINDER_KEY, TOTAL_KEY, Population
from tests.builders import WEEK, site_document, specification_document

DRAWS = 500
TABLE = {"name": "by_country", "title": "By country", "dimensions": ["country"]}
BOUND = bind(
    ReleaseSpecification.model_validate(specification_document(tables=[TABLE], audiences={"partner": ["by_country"]})),
    SiteFile.model_validate(site_document()),
)
TOTAL, COUNTRY = LevelKey("", (), 1), LevelKey("", ("country",), 1)
# Forty groups well over the threshold, some around it, some under k.
SIZES = [*range(200, 4200, 100), *range(60, 80, 2), *range(5, 50, 5)]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """One row a drawn row with a value: country, kind, value_lo, value_hi, truth."""
    people = pd.DataFrame({"country": COUNTRIES[: len(SIZES)], "people": SIZES, "contributions": SIZES})
    total = pd.DataFrame({"people": [sum(SIZES)], "contributions": [sum(SIZES)]})
    groups = BoundedGroups(Population.VISITORS, WEEK, {TOTAL: total, COUNTRY: people})
    truth = {**dict(zip(people["country"], SIZES, strict=True)), TOTAL_KEY: sum(SIZES)}
    drawn = []
    for _ in range(DRAWS):
        table = draw_release(BOUND, groups).tables["by_country"].dropna(subset="value")
        listed = table.loc[table["kind"] == "group", "country"]
        rest = sum(SIZES) - sum(truth[country] for country in listed)
        drawn.append(table.assign(truth=table["country"].map({**truth, REMAINDER_KEY: rest})))
    return pd.concat(drawn, ignore_index=True)


def covered(rows: pd.DataFrame) -> float:
    return float(((rows["value_lo"] <= rows["truth"]) & (rows["truth"] <= rows["value_hi"])).mean())


def test_intervals_of_groups_cover_what_they_say_over_20_000_cells(rows: pd.DataFrame) -> None:
    cells = rows[(rows["kind"] == "group") & (rows["truth"] >= 200)]
    noise = next(level.noise for level in share_out(BOUND) if level.key == COUNTRY)
    expected = 1 - 2 * noise.upper_tail(noise.half_width() + 1)
    assert len(cells) >= 19_900
    assert 0.95 <= expected < 0.97
    assert covered(cells) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("kind", ["total", "remainder"])
def test_intervals_of_totals_and_remainders_cover_95_percent(rows: pd.DataFrame, kind: str) -> None:
    cells = rows[rows["kind"] == kind]
    assert len(cells) == DRAWS
    assert covered(cells) > 0.9


def test_around_the_threshold_selection_lifts_what_is_released(rows: pd.DataFrame) -> None:
    """Given that a group just passed, its count is biased upwards: the intervals are right for all groups together."""
    near = rows[(rows["kind"] == "group") & (rows["truth"] < 80)]
    assert len(near) > 50
    assert float(np.mean(near["value"].astype(float) - near["truth"])) > 0
