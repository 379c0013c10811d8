import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.errors import LedgerError, StagingError
from pipeline.people.bounding import bounded_groups
from pipeline.people.groups import BoundedGroups
from pipeline.privacy.budget import Epsilon, K
from pipeline.release.artefact import PrivateRelease
from pipeline.release.draw import draw_release
from pipeline.spec import BoundSpecification, NoiseChoice
from tests.builders import StagingOf
from tests.counts import with_noise


@pytest.fixture
def groups(bound: BoundSpecification, staging_of: StagingOf, secret: PeriodKey, tmp_path: Path) -> BoundedGroups:
    countries = ["DE"] * 3000 + ["FR"] * 800 + ["US"] * 600 + ["MT"] * 40 + ["LI"] * 30
    systems = ["Windows", "Linux", "Android"]
    rows = [
        {"person": number, "country": country, "operating_system": systems[number % 3], "section": section}
        for number, country in enumerate(countries)
        for section in ("home", "docs", "blog")[: number % 4]
    ] + [
        {"person": number, "country": country, "operating_system": systems[number % 3], "section": "home"}
        for number, country in enumerate(countries)
        if number % 4 == 0
    ]
    return bounded_groups(bound, staging_of(rows), secret, tmp_path / "spill")


def exact(bound: BoundSpecification, k: int) -> BoundSpecification:
    return dataclasses.replace(bound, epsilon=Epsilon.infinite(), k=K(k))


def test_without_noise_and_with_k_2_every_count_is_the_true_one(
    bound: BoundSpecification, groups: BoundedGroups
) -> None:
    release = draw_release(exact(bound, 2), groups)
    table = release.tables["by_country"].dropna(subset="value").set_index("country")["value"]
    # The smallest, LI, is folded: nobody is from any other country, and a remainder of nobody would say so.
    assert dict(table) == {"all": 4470, "DE": 3000, "FR": 800, "US": 600, "MT": 40, "all other": 30}


def test_groups_under_k_are_withheld_and_their_remainder_speaks_of_k(
    bound: BoundSpecification, groups: BoundedGroups
) -> None:
    table = draw_release(exact(bound, 50), groups).tables["by_country"].set_index("country")
    assert table.loc[["MT", "LI"], "value"].isna().all()
    assert list(table.loc[["MT", "LI"], "conf_status"]) == ["C", "C"]
    assert table.loc["all other", "value"] == 70


def test_a_remainder_of_fewer_than_k_takes_the_smallest_listed_group_in(
    bound: BoundSpecification, groups: BoundedGroups
) -> None:
    table = draw_release(exact(bound, 80), groups).tables["by_country"].set_index("country")
    assert table.loc["all other", "value"] == 70 + 600
    assert table.loc["US", "conf_status"] == "D"


@pytest.mark.parametrize("name", ["by_country", "by_country_and_system", "by_section"])
def test_parts_add_up_to_their_total_at_every_depth(
    bound: BoundSpecification, groups: BoundedGroups, name: str
) -> None:
    frame = draw_release(bound, groups).tables[name].dropna(subset="value")
    dimensions = [column for column in frame.columns if column in ("country", "operating_system", "section")]
    for depth in range(len(dimensions)):
        parents = frame[(frame[dimensions[depth:]] == "all").all(axis=1)]
        for _, parent in parents.iterrows():
            same = (frame[dimensions[:depth]] == parent[dimensions[:depth]]).all(axis=1)
            below = (frame[dimensions[depth]] != "all") & (frame[dimensions[depth + 1 :]] == "all").all(axis=1)
            children = frame[same & below]
            if len(children):
                assert children["value"].sum() == parent["value"]


def test_the_same_total_reads_the_same_in_every_table(bound: BoundSpecification, groups: BoundedGroups) -> None:
    tables = draw_release(bound, groups).tables
    countries = tables["by_country"].set_index("country")["value"]
    drilled = tables["by_country_and_system"]
    subtotals = drilled[drilled["operating_system"] == "all"].set_index("country")["value"]
    pd.testing.assert_series_equal(countries, subtotals, check_names=False)


class Loud:
    """A source of noise that would lift anything over any threshold."""

    def randomise(self, value: int) -> int:
        return value + 10**6


def test_no_noise_however_large_releases_a_group_of_fewer_than_k(
    bound: BoundSpecification, groups: BoundedGroups
) -> None:
    table = draw_release(bound, groups, source=lambda _: Loud()).tables["by_country"].set_index("country")
    # C: never released; D: released, and folded so that the parts of this absurd draw add up.
    assert list(table.loc[["MT", "LI"], "conf_status"]) == ["C", "C"]
    assert set(table.loc[["DE", "FR", "US"], "conf_status"]) <= {"F", "D"}


def test_two_draws_differ_and_one_draw_survives_its_bytes(bound: BoundSpecification, groups: BoundedGroups) -> None:
    first, second = draw_release(bound, groups), draw_release(bound, groups)
    assert first.sha256 != second.sha256
    assert PrivateRelease.from_bytes(first.to_bytes()).to_bytes() == first.to_bytes()


def test_a_population_too_small_to_speak_of_leaves_a_withheld_total(
    bound: BoundSpecification, staging_of: StagingOf, secret: PeriodKey, tmp_path: Path
) -> None:
    few = bounded_groups(bound, staging_of({"person": number} for number in range(49)), secret, tmp_path / "spill")
    tables = draw_release(bound, few).tables
    assert {name: len(frame) for name, frame in tables.items()} == {
        "by_country": 1 + 250,
        "by_country_and_system": 1 + 250,
        "by_section": 1 + 5,
    }
    for frame in tables.values():
        assert set(frame["obs_status"]) == {"Q"}
        assert frame["value"].isna().all()


def test_a_key_outside_the_public_list_stops_the_draw_without_naming_it(
    bound: BoundSpecification, staging_of: StagingOf, secret: PeriodKey, tmp_path: Path
) -> None:
    staging = staging_of([{"person": 1, "country": "Atlantis"}])
    with pytest.raises(StagingError, match="declared list of country") as caught:
        draw_release(bound, bounded_groups(bound, staging, secret, tmp_path / "spill"))
    assert "Atlantis" not in str(caught.value)


def test_bytes_that_are_no_artefact_are_refused() -> None:
    with pytest.raises(LedgerError, match="canonical JSON"):
        PrivateRelease.from_bytes(b"\x00\x01")


def test_the_levels_spend_the_whole_budget_and_no_more(bound: BoundSpecification, groups: BoundedGroups) -> None:
    header = draw_release(with_noise(bound, NoiseChoice.LAPLACE), groups).header
    assert sum(float(level.epsilon) for level in header.levels) == pytest.approx(1.0, abs=1e-9)
    deltas = sum(float(level.delta_selection) + float(level.delta_remainder) for level in header.levels)
    assert deltas == pytest.approx(1e-7, rel=1e-2)


def test_gaussian_noise_and_the_rules_of_levels_share_delta(bound: BoundSpecification, groups: BoundedGroups) -> None:
    header = draw_release(with_noise(bound, NoiseChoice.GAUSSIAN), groups).header
    assert not any(level.epsilon for level in header.levels)
    deltas = sum(float(level.delta_selection) + float(level.delta_remainder) for level in header.levels)
    assert float(header.delta_noise) == pytest.approx(5e-8, rel=1e-2)
    assert deltas == pytest.approx(5e-8, rel=1e-2)
