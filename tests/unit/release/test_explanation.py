"""A release is explained in words, from its sources to its publication, without a true count."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipeline import flow, flow_staging
from pipeline.cli import main
from pipeline.deidentify.accounting import Accounting
from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.people.bounding import bounded_groups
from pipeline.privacy.budget import Epsilon, K
from pipeline.privacy.gaussian import DiscreteGaussian
from pipeline.reference.page import EVERYTHING
from pipeline.release.artefact import PrivateRelease
from pipeline.release.draw import draw_release
from pipeline.release.explanation import VISITOR_ORIGINS, Checks, Cost, Decision, History, explain
from pipeline.sample import write_sample
from pipeline.site import SiteFile
from pipeline.site.dimensions import visitor_dimensions
from pipeline.spec import BoundSpecification, ReleaseSpecification, bind
from pipeline.workspace import HOME_VARIABLE, RELEASES_VARIABLE
from tests.builders import StagingOf, specification_document
from tests.reviewing import approve

COUNTRIES = ["DE"] * 3011 + ["FR"] * 877 + ["US"] * 613 + ["MT"] * 43
HISTORY = History("at ten", "at eleven", "a" * 64, Cost(0.93, 1e-5, 4.5, 30, "2026-10-12"))
RELEASES = Path(__file__).parents[3] / "dags" / "releases"


@pytest.fixture
def release(bound: BoundSpecification, staging_of: StagingOf, secret: PeriodKey, tmp_path: Path) -> PrivateRelease:
    staging = staging_of({"person": number, "country": country} for number, country in enumerate(COUNTRIES))
    return draw_release(bound, bounded_groups(bound, staging, secret, tmp_path / "spill"))


def words(text: str) -> str:
    return " ".join(text.split())


def test_every_step_is_told_in_order(release: PrivateRelease) -> None:
    titles = re.findall(r"^\d+\. (\w+)", explain(release, {}, HISTORY), re.MULTILINE)
    making = ["Sources", "De", "People", "Bounding", "Grouping", "Selection", "Noise"]
    showing = ["Withheld", "Remainders", "Consistency", "Intervals"]
    assert titles == [*making, *showing, "Budget", "Draw", "Checks", "Decision", "Publication"]


def test_each_level_is_told_with_its_threshold_and_noise(release: PrivateRelease) -> None:
    text = words(explain(release))
    assert len(release.header.levels) == 5
    for level in release.header.levels:
        what = ", ".join(level.dimensions) or "all visitors"
        name = f"{what} (in {level.table})" if level.table else what
        assert f"{name} {level.threshold:,} {level.delta_selection}" in text
        epsilon = f"{float(level.epsilon):.4g}" if level.epsilon else "-"
        assert f"{name} {epsilon} {level.scale:.2f} {level.noise_sd:.2f}" in text


def test_bounds_are_told_table_by_table(release: PrivateRelease) -> None:
    text = words(explain(release))
    assert "by_country: max_groups 1; a visitor is in one group and counts once" in text
    assert "by_section: max_groups 2; a visitor counts once in each of at most so many." in text


@pytest.fixture
def further(site: SiteFile, staging_of: StagingOf, secret: PeriodKey, tmp_path: Path) -> PrivateRelease:
    """With requests, a mean, private keys and Gaussian noise."""
    measures: list[dict[str, Any]] = [
        {"kind": "events", "name": "requests", "title": "Requests", "max_in_all": 7},
        {"kind": "mean", "name": "each", "title": "Requests each", "of": "requests", "per": "people"},
    ]
    tables = [
        {"name": "by_country", "title": "By country", "dimensions": ["country"], "measures": measures},
        {"name": "by_section", "title": "By section", "dimensions": ["section"], "max_groups": 2}
        | {"private_keys": ["section"], "measures": [{**measures[0], "max_in_all": None, "max_per_group": 3}]},
    ]
    privacy = {"epsilon": 1, "delta": 1e-6, "k": 50, "noise": "discrete Gaussian"}
    document = specification_document(tables=tables, privacy=privacy, audiences={"partner": ["by_country"]})
    made = bind(ReleaseSpecification.model_validate(document), site)
    staging = staging_of({"person": number, "country": country} for number, country in enumerate(COUNTRIES))
    return draw_release(made, bounded_groups(made, staging, secret, tmp_path / "further"))


def test_bounds_of_each_measure_are_told(further: PrivateRelease) -> None:
    text = words(explain(further))
    assert "requests of one visitor is clipped at 7 (requests) in all groups of the table together." in text
    assert "by_section: requests of one visitor is clipped at 3 (requests) in each group." in text
    assert "each is requests / people, bounds included." in text


def test_private_keys_are_told_apart_from_public_ones(further: PrivateRelease, release: PrivateRelease) -> None:
    text = words(explain(further))
    assert "by_section: section is private." in text
    assert "only keys of released groups are named" in text
    assert "private" not in words(explain(release))


def test_sums_are_said_to_be_told_of_groups_whose_people_pass(further: PrivateRelease) -> None:
    text = words(explain(further))
    assert "Sums and events are told of groups whose people pass" in text
    for level in further.header.levels:
        assert (f" {level.threshold:,} {level.delta_selection} " in text) is (level.quantity == "people")


def test_gaussian_noise_is_told_with_the_delta_that_it_takes(further: PrivateRelease) -> None:
    text = words(explain(further))
    assert "One draw of discrete Gaussian noise" in text
    assert f"have the release's at delta {further.header.delta_noise}." in text
    for level in further.header.levels:
        half = DiscreteGaussian(level.scale).half_width()
        assert f" - {level.scale:.2f} {level.noise_sd:.2f} {half:,}" in text
    assert "events by section up to 3 in each group (in by_section) -" in text


def test_least_squares_and_marks_are_told(release: PrivateRelease) -> None:
    text = words(explain(release))
    assert "Least squares puts all measurements of a number together" in text
    assert "U: the noisy number of people lies so near the threshold" in text
    assert "quotient" not in text


def test_a_group_of_several_rows_is_counted_once(further: PrivateRelease) -> None:
    frame = further.tables["by_country"]
    people = frame[frame["measure"] == "people"]
    assert len(frame) > len(people)
    assert f"by_country {len(people)} " in words(explain(further))


def test_withheld_rows_are_counted_by_reason(release: PrivateRelease) -> None:
    frame = release.tables["by_country"]
    marks = [int((frame["conf_status"] == mark).sum()) for mark in ("F", "C", "D")]
    assert f"by_country 252 {marks[0] - 1} 1 {marks[1]} {marks[2]}" in words(explain(release))


def test_no_true_count_is_told(release: PrivateRelease) -> None:
    numbers = set(re.findall(r"\b\d[\d,]*\b", explain(release, {"visitor logs": Accounting(9, 9)}, HISTORY)))
    assert not numbers & {"3,011", "877", "613", "43", "4,544", "3011", "4544"}


def test_lines_are_counted_by_reason(release: PrivateRelease) -> None:
    counts = Accounting(5_010, 4_000, {"bot": 1_000}, {"format": 10})
    text = words(explain(release, {"visitor logs": counts}))
    assert "visitor logs: 5,010 lines read, 4,000 used." in text
    assert "not wanted): bot 1,000 rejected (could not be used): format 10" in text


def test_where_a_line_is_a_person_no_number_of_lines_is_told(release: PrivateRelease) -> None:
    text = explain(release, {"customers": Accounting(7_777, 7_770, {"signed up later": 5}, {"no key": 2})})
    assert "signed up later" in text
    assert not set(re.findall(r"\b\d[\d,]*\b", text)) & {"7,777", "7,770"}
    assert "later 5" not in text


def test_purged_staging_is_said_to_be_gone(release: PrivateRelease) -> None:
    assert "staging is there no more" in explain(release, None)


def test_what_did_not_happen_yet_is_said(release: PrivateRelease) -> None:
    text = explain(release, None, HISTORY)
    for sentence in ("Not checked yet.", "Not decided yet", "Not published yet."):
        assert sentence in text


def test_a_decision_is_told_with_who_when_and_whether_it_holds(release: PrivateRelease) -> None:
    decision = Decision("at noon", "approved", "make run", "trial", scripted=True, stands=False, candidate_sha256="c")
    told = words(explain(release, None, dataclasses.replace(HISTORY, decision=decision)))
    assert "at noon: approved by make run, a script, not a person. Reason: trial" in told
    assert "holds no more" in told
    person = dataclasses.replace(decision, reviewer="ana", scripted=False, stands=True)
    told = words(explain(release, None, dataclasses.replace(HISTORY, decision=person)))
    assert "approved by ana." in told
    assert "holds no more" not in told


def test_failed_checks_are_named(release: PrivateRelease) -> None:
    checks = Checks("at noon", 1, 2, ("by_country: parts add up",), "d" * 64)
    told = explain(release, None, dataclasses.replace(HISTORY, checks=checks))
    assert "1 of 2 checks passed" in told
    assert "failed: by_country: parts add up" in told


def test_warnings_are_named_beside_failed_checks(release: PrivateRelease) -> None:
    checks = Checks("at noon", 1, 2, (), "d" * 64, ("by_country: nothing moved",))
    told = explain(release, None, dataclasses.replace(HISTORY, checks=checks))
    assert "warning: by_country: nothing moved" in told
    assert "failed:" not in told


def test_a_release_without_noise_says_so(
    bound: BoundSpecification, staging_of: StagingOf, secret: PeriodKey, tmp_path: Path
) -> None:
    exact = dataclasses.replace(bound, epsilon=Epsilon.infinite(), k=K(2))
    groups = bounded_groups(exact, staging_of({"person": n} for n in range(60)), secret, tmp_path / "spill")
    assert "None (epsilon is infinite)" in explain(draw_release(exact, groups))


def test_every_dimension_of_visitors_has_an_origin() -> None:
    assert set(VISITOR_ORIGINS) == set(visitor_dimensions(EVERYTHING))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("explained")
    write_sample(folder, lines=4_000, visitors=900, customers=400)
    shutil.copytree(RELEASES, folder / "releases")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(HOME_VARIABLE, str(folder))
        environment.setenv(RELEASES_VARIABLE, str(folder / "releases"))
        yield folder


def demographics(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home), "--releases", str(home / "releases"), *arguments])


def test_the_program_explains_a_release_of_the_ledger_from_source_to_publication(home: Path) -> None:
    asked = ("explain", "monthly_customers", "--period", "2026-10")
    refused = demographics(home, *asked)
    assert (refused.exit_code, "not in the ledger" in refused.stderr) == (7, True), refused.stderr
    flow_staging.stage("customers", "2026-10")
    flow_staging.check_staging("customers", "2026-10")
    flow.draw("monthly_customers", "2026-10")
    assert "Not checked yet." in demographics(home, *asked).output
    flow.validate("monthly_customers", "2026-10")
    approve("monthly_customers", "2026-10", reason="[bold]fine[/]")
    flow.publish("monthly_customers", "2026-10")
    shutil.rmtree(home / "staging")
    told = demographics(home, *asked)
    assert told.exit_code == 0, told.stderr
    text = words(told.output)
    for part in (
        "staging is there no more",
        "seats: column 'seats', a number, put into declared bands.",
        "product: column 'product' of the orders",
        "this release included",
        "approved by ana. Reason: [bold]fine[/]",
        "SHA-256 of each manifest: audience manifest advertiser",
    ):
        assert part in text
    assert "holds no more" not in text
    assert re.search(r" (\d+) of \1 checks passed", text)
