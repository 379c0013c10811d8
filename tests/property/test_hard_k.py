"""Whatever the noise, no row ever speaks of fewer than k people, be it a group, a total or a remainder."""

from __future__ import annotations

import dataclasses

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.people.groups import BoundedGroups
from pipeline.privacy.budget import Epsilon, K
from pipeline.privacy.levels import LevelKey
from pipeline.release.draw import draw_release
from pipeline.site import SiteFile
from pipeline.spec import ReleaseSpecification, bind
from pipeline.vocabulary import COUNTRIES, OPERATING_SYSTEMS, REMAINDER_KEY, TOTAL_KEY, Population
from tests.builders import WEEK, site_document, specification_document

TABLE = {"name": "both", "title": "Both", "dimensions": ["country", "operating_system"]}
BOUND = bind(
    ReleaseSpecification.model_validate(specification_document(tables=[TABLE], audiences={"partner": ["both"]})),
    SiteFile.model_validate(site_document()),
)
COUNTRY, BOTH = LevelKey("", ("country",), 1), LevelKey("", ("country", "operating_system"), 1)

cells = st.dictionaries(
    st.tuples(st.sampled_from(COUNTRIES[:12]), st.sampled_from(OPERATING_SYSTEMS)),
    st.one_of(st.integers(1, 30), st.integers(1, 3000)),
    min_size=1,
    max_size=60,
)


def groups_of(people: pd.DataFrame) -> BoundedGroups:
    """Exact counts of every level of the table, from one row a (country, system) with its people."""
    counted = people.assign(contributions=people["people"])
    levels = {
        LevelKey("", (), 1): counted[["people", "contributions"]].sum().to_frame().T,
        COUNTRY: counted.groupby("country", as_index=False)[["people", "contributions"]].sum(),
        BOTH: counted,
    }
    return BoundedGroups(Population.VISITORS, WEEK, levels)


@given(cells, st.sampled_from([0.5, 5.0, 200.0]), st.integers(2, 80))
@settings(max_examples=120, deadline=None)
def test_every_row_speaks_of_at_least_k_people(counts: dict[tuple[str, str], int], epsilon: float, k: int) -> None:
    people = pd.DataFrame(
        [(*names, count) for names, count in counts.items()], columns=["country", "operating_system", "people"]
    )
    bound = dataclasses.replace(BOUND, epsilon=Epsilon.of(epsilon), k=K(k))
    shown = draw_release(bound, groups_of(people)).tables["both"].dropna(subset="value")
    if shown.empty:
        return
    listed = set(zip(shown["country"], shown["operating_system"], strict=True))
    for country, system in listed:
        assert spoken_of(people, listed, country, system) >= k
        assert int(shown[(shown["country"] == country) & (shown["operating_system"] == system)]["value"].iloc[0]) >= k


def spoken_of(people: pd.DataFrame, listed: set[tuple[str, str]], country: str, system: str) -> int:
    """True number of people in a row: in its cells, or in all cells of its parent that have no row of their own."""
    rows = people
    if country == REMAINDER_KEY:
        rows = rows[~rows["country"].isin([other for other, below in listed if below == TOTAL_KEY])]
    elif country != TOTAL_KEY:
        rows = rows[rows["country"] == country]
    if system == REMAINDER_KEY:
        rows = rows[~rows["operating_system"].isin([other for parent, other in listed if parent == country])]
    elif system != TOTAL_KEY:
        rows = rows[rows["operating_system"] == system]
    return int(rows["people"].sum())
