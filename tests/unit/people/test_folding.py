from pathlib import Path

import pytest

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.people.bounding import bounded_groups
from pipeline.privacy.levels import LevelKey
from pipeline.spec import BoundSpecification
from tests.builders import StagingOf

pytestmark = pytest.mark.usefixtures("engine")
COUNTRY = LevelKey("", ("country",), 1)


def countries(
    bound: BoundSpecification, staging_of: StagingOf, secret: PeriodKey, folder: Path, *seen: str
) -> list[str]:
    staging = staging_of({"person": 1, "country": country} for country in seen)
    frame = bounded_groups(bound, staging, secret, folder / "spill").levels[COUNTRY]
    return [str(country) for country in frame["country"]]


def test_a_person_is_where_most_of_their_events_are(
    bound: BoundSpecification, staging_of: StagingOf, secret: PeriodKey, tmp_path: Path
) -> None:
    assert countries(bound, staging_of, secret, tmp_path, "US", "DE", "US") == ["US"]


def test_of_equals_the_first_by_alphabet_counts_so_that_a_re_run_agrees(
    bound: BoundSpecification, staging_of: StagingOf, secret: PeriodKey, tmp_path: Path
) -> None:
    assert countries(bound, staging_of, secret, tmp_path, "US", "DE") == ["DE"]


def test_true_counts_are_not_in_the_representation(
    bound: BoundSpecification, staging_of: StagingOf, secret: PeriodKey, tmp_path: Path
) -> None:
    groups = bounded_groups(bound, staging_of([{"person": 1}]), secret, tmp_path / "spill")
    assert "DE" not in repr(groups)
    assert "people" not in repr(groups).replace("pipeline.people", "")


def test_nothing_is_left_of_temporary_files(
    bound: BoundSpecification, staging_of: StagingOf, secret: PeriodKey, tmp_path: Path
) -> None:
    (tmp_path / "spill" / ".spill-999999999-killed").mkdir(parents=True)
    bounded_groups(bound, staging_of([{"person": 1}]), secret, tmp_path / "spill")
    assert list((tmp_path / "spill").iterdir()) == []
