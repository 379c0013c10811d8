"""Without noise and with k = 2, the release is the exact answer, computed here by other means from the same rows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import Staging
from pipeline.deidentify.visitors import stage_visitors
from pipeline.people.bounding import bounded_groups
from pipeline.periods import Period
from pipeline.privacy.budget import Epsilon, K
from pipeline.release.artefact import PrivateRelease
from pipeline.release.draw import draw_release
from pipeline.sample import write_sample
from pipeline.site import load_site
from pipeline.spec import bind, load_specification
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace
from tests.staged import file_of, folder_of

WEEK = Period.parse("2026-W41")
RELEASES = Path(__file__).parents[2] / "dags" / "releases"
K_EXACT = 2


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Staging:
    home = tmp_path_factory.mktemp("site")
    write_sample(home, lines=30_000, visitors=5_000, customers=1_000)
    return stage_visitors(Workspace(home), load_site(home / "site.yaml"), WEEK)


@pytest.fixture(scope="module")
def release(staging: Staging) -> PrivateRelease:
    home = folder_of(staging).parents[2]
    bound = bind(load_specification(RELEASES / "weekly_audience.yaml"), load_site(home / "site.yaml"))
    exact = dataclasses.replace(bound, epsilon=Epsilon.infinite(), k=K(K_EXACT))
    secret = period_key(Workspace(home), Population.VISITORS, WEEK)
    return draw_release(exact, bounded_groups(exact, staging, secret, home / "spill"))


@pytest.fixture(scope="module")
def people(staging: Staging) -> pd.DataFrame:
    """One row a person: the most frequent value of each attribute, the first by alphabet of equals."""
    events = duckdb.read_parquet(str(file_of(staging.events))).df()

    def most_frequent(values: pd.Series) -> str:
        counts = values.value_counts()
        return str(min(counts[counts == counts.max()].index))

    attributes = ["country", "operating_system", "browser", "language", "referrer_class"]
    folded: pd.DataFrame = events.groupby("person")[attributes].agg(most_frequent)
    return folded


def expected_rows(counts: dict[str, int], total: int) -> dict[str, int]:
    """The rule in words: groups of k and more as they are; the rest together, with the smallest listed group where
    the rest are fewer than k people.
    """
    listed = {key: count for key, count in counts.items() if count >= K_EXACT}
    rest = total - sum(listed.values())
    if rest < K_EXACT:
        smallest = min(listed, key=lambda key: (listed[key], (key,)))
        rest += listed.pop(smallest)
    return {"all": total, **listed, "all other": rest}


def shown(release: PrivateRelease, table: str, dimension: str) -> dict[str, int]:
    frame = release.tables[table].dropna(subset="value").set_index(dimension)
    return {str(key): int(value) for key, value in frame["value"].items()}


@pytest.mark.parametrize(
    ("table", "dimension"),
    [
        ("visitors_by_country", "country"),
        ("visitors_by_system", "operating_system"),
        ("visitors_by_browser", "browser"),
        ("visitors_by_language", "language"),
        ("visitors_by_arrival", "referrer_class"),
    ],
)
def test_tables_over_people_are_exact(
    release: PrivateRelease, people: pd.DataFrame, table: str, dimension: str
) -> None:
    counts = {str(key): int(count) for key, count in people[dimension].value_counts().items()}
    expected = expected_rows(counts, len(people))
    keys = next(facts.keys[0] for facts in release.header.tables if facts.name == table)
    if all(counts.get(key, 0) >= K_EXACT for key in keys):  # nobody is left over: no remainder
        expected = {"all": len(people), **counts}
    assert shown(release, table, dimension) == expected


def test_the_drill_down_is_exact_in_every_country(release: PrivateRelease, people: pd.DataFrame) -> None:
    frame = release.tables["visitors_by_country_and_system"].dropna(subset="value")
    listed = shown(release, "visitors_by_country", "country")
    assert len(listed) > 10
    for country in set(listed) - {"all", "all other"}:
        inside = people[people["country"] == country]
        counts = {str(key): int(count) for key, count in inside["operating_system"].value_counts().items()}
        rows = frame[frame["country"] == country].set_index("operating_system")["value"]
        assert {str(key): int(value) for key, value in rows.items()} == expected_rows(counts, len(inside))


def test_tables_over_groups_count_everybody_within_the_bound(release: PrivateRelease, staging: Staging) -> None:
    sections = duckdb.read_parquet(str(file_of(staging.events))).df().groupby("person")["section"].nunique()
    rows = shown(release, "visitors_by_section", "section")
    assert rows["all"] == int(sections.clip(upper=3).sum())
    assert sum(rows.values()) == 2 * rows["all"]
