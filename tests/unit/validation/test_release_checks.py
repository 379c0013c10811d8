from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

import expectations.base
from expectations.noise import Distribution
from pipeline.errors import ChecksFailedError
from pipeline.privacy.budget import Epsilon
from pipeline.privacy.gaussian import DiscreteGaussian
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.release.artefact import PrivateRelease
from pipeline.validation import runs
from pipeline.validation.release import check_release, subjects
from pipeline.validation.suites import Check, Part, SuiteFile, load_suite
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY
from pipeline.workspace import Workspace
from tests.unit.validation.breakages import BREAKAGES, US, WITHHELD, Breakage, put, with_header, with_level
from tests.unit.validation.breakages_beside import BREAKAGES_BESIDE, CaseBreakage
from tests.unit.validation.made_releases import (
    LAPLACE,
    Case,
    Made,
    Rows,
    case,
    gaussian_release,
    good_release,
    header_of,
    people,
    tables,
)

SUITE = load_suite("release")


def _on_release(breakage: Breakage) -> CaseBreakage:
    return lambda made: dataclasses.replace(made, release=breakage(made.release))


BROKEN: dict[str, list[CaseBreakage]] = {
    **{name: [_on_release(one) for one in found] for name, found in BREAKAGES.items()},
    **BREAKAGES_BESIDE,
}


def _name(part: str, check: Check) -> str:
    chosen = (check.kwargs.get(argument) for argument in ("column", "kind"))
    return ".".join([part, check.type, *(one for one in chosen if isinstance(one, str))])


def _only(name: str) -> SuiteFile:
    """The suite with one of its checks."""
    part = name.split(".", maxsplit=1)[0]
    checks = tuple(check for check in SUITE.parts[part].checks if _name(part, check) == name)
    return SUITE.model_copy(update={"parts": {part: Part(about=SUITE.parts[part].about, checks=checks)}})


def _check(tmp_path: Path, checked: Case | PrivateRelease) -> Verdicts:
    one = checked if isinstance(checked, Case) else case(checked)
    return check_release(Workspace(tmp_path), one.release, one.previous, reserved=one.reserved)


@pytest.mark.parametrize("made", [good_release, gaussian_release])
@pytest.mark.usefixtures("without_docs")
def test_a_release_that_keeps_all_rules_passes(made: Callable[[], PrivateRelease], tmp_path: Path) -> None:
    verdicts = _check(tmp_path, made()).require()
    assert not verdicts.warnings
    tables = {"by_country", "by_system", "by_section", "by_domain"}
    assert {verdict.subject for verdict in verdicts.checks} == {*tables, "release"}
    assert {verdict.suite for verdict in verdicts.checks} == {"release"}


@pytest.mark.parametrize(
    ("name", "breakage"),
    [
        pytest.param(name, breakage, id=f"{name}-{place}")
        for name, breakages in BROKEN.items()
        for place, breakage in enumerate(breakages)
    ],
)
@pytest.mark.usefixtures("without_docs")
def test_a_broken_release_is_caught_by_the_check_that_is_meant_to(
    name: str, breakage: CaseBreakage, tmp_path: Path
) -> None:
    suite, broken = _only(name), breakage(case())
    held = [subject for subject in _changed(broken) if subject.part in suite.parts]
    verdicts = runs.run(Workspace(tmp_path), suite, "weekly_audience", "broken", held)
    assert {check.severity for part in suite.parts.values() for check in part.checks} == {
        verdict.severity for verdict in verdicts.checks if not verdict.success
    }


def _changed(broken: Case) -> list[runs.Subject]:
    """What is not as in the release that keeps all rules; the rest was checked with that."""
    before = {one.named + one.part: one for one in _subjects(case())}
    return [
        one
        for one in _subjects(broken)
        if (old := before.get(one.named + one.part)) is None
        or old.parameters != one.parameters
        or not old.frame.equals(one.frame)
    ]


def _subjects(one: Case) -> list[runs.Subject]:
    return subjects(one.release, one.previous, reserved=one.reserved)


def test_every_check_has_a_release_that_it_catches() -> None:
    names = [_name(part, check) for part, held in SUITE.parts.items() for check in held.checks]
    assert sorted(BROKEN) == sorted(names)
    assert all(BROKEN.values())


@pytest.mark.usefixtures("without_docs")
def test_warnings_of_what_changed_stop_no_release(tmp_path: Path) -> None:
    warned = {name for name in BROKEN if name.startswith("drift.")}
    assert len(warned) == 4
    for name in warned:
        verdicts = _check(tmp_path, BROKEN[name][0](case())).require()
        assert verdicts.warnings


@pytest.mark.usefixtures("without_docs")
def test_the_list_of_checks_does_not_depend_on_the_release_before(tmp_path: Path) -> None:
    beside = case()
    alone = dataclasses.replace(beside, previous=None)
    assert _check(tmp_path, alone) == _check(tmp_path, beside)


@pytest.mark.usefixtures("without_docs")
def test_a_release_whose_total_is_withheld_passes(tmp_path: Path) -> None:
    made = [dataclasses.replace(table, rows={(): "C"}) for table in tables(LAPLACE)]
    release = PrivateRelease(good_release().header, {table.name: table.frame() for table in made})
    _check(tmp_path, release).require()


@pytest.mark.usefixtures("without_docs")
def test_a_mean_whose_lower_number_is_too_small_may_be_withheld_alone(tmp_path: Path) -> None:
    withheld = put("by_system", US, "requests_each", **WITHHELD)
    _check(tmp_path, withheld(good_release())).require()


@pytest.mark.usefixtures("without_docs")
def test_a_release_without_noise_passes_where_epsilon_is_infinite(tmp_path: Path) -> None:
    silent = people(DiscreteLaplace(Epsilon.infinite(), 1))
    numbers = {(): ("total", 30), ("DE",): ("group", 18), (REMAINDER_KEY,): ("remainder", 12)}
    rows = {group: (kind, {"people": (number, float(number), 1.0)}) for group, (kind, number) in numbers.items()}
    exact = Made("by_country", ("country",), (("DE", "FR"),), 1, (silent,), rows)
    header = header_of([exact], noise="none", epsilon="inf", audiences={"partner": ("by_country",)})
    _check(tmp_path, PrivateRelease(header, {"by_country": exact.frame()})).require()


@pytest.mark.usefixtures("without_docs")
def test_where_tables_cross_a_row_may_be_told_as_its_parent_is(tmp_path: Path) -> None:
    """Least squares reads nothing upwards from below levels that it solves together, and says so in the deviation."""
    release = good_release()
    linux = put("by_system", ("US", "Linux"), noise_sd=2.9)
    with pytest.raises(ChecksFailedError, match="standard deviation"):
        _check(tmp_path, linux(release)).require()
    wide = with_level(("", ("country",), "people"), scale=4.0, noise_sd=DiscreteLaplace(Epsilon.of("0.25"), 1).sd)(
        release
    )
    crossing = release.header.levels[0].model_copy(update={"dimensions": ("operating_system",)})
    changed = with_header(levels=(*wide.header.levels, crossing))(put("by_system", US, noise_sd=3.0)(linux(release)))
    table = [one for one in _subjects(case(changed)) if (one.part, one.named) == ("table", "by_system")]
    runs.run(
        Workspace(tmp_path), _only("table.expect_noise_to_stay_within_that_of_the_level"), "x", "x", table
    ).require()


@pytest.mark.usefixtures("without_docs")
def test_a_remainder_of_folded_groups_alone_may_be_as_noisy_as_these_together(tmp_path: Path) -> None:
    noise = LAPLACE["people"]
    rows: Rows = {
        (): ("total", {"people": (500, 500.0, 1)}),
        ("DE",): ("group", {"people": (440, 440.0, 1)}),
        **{(name,): "D" for name in ("FR", "GB", "US", "MT")},
        (REMAINDER_KEY,): ("remainder", {"people": (60, 60.0, 12)}),  # more than the 1 + 1 of total and Germany
    }

    def checked(changed: Rows, private: tuple[str, ...] = ()) -> Verdicts:
        table = Made(
            "t", ("country",), (("DE", "FR", "GB", "US", "MT"),), 1, (people(noise),), changed, private=private
        )
        release = PrivateRelease(header_of([table], audiences={"partner": ("t",)}), {"t": table.frame()})
        return _check(tmp_path, release)

    checked(rows).require()
    one_under_the_threshold = {**rows, ("MT",): "C"}
    too_noisy = {**rows, (REMAINDER_KEY,): ("remainder", {"people": (60, 60.0, 17)})}
    for wrong in (checked(one_under_the_threshold), checked(too_noisy), checked(rows, private=("country",))):
        with pytest.raises(ChecksFailedError, match="standard deviation"):
            wrong.require()


@pytest.mark.parametrize("sigma", [0.4, 3.0, 60.0, 2500.0])
def test_gaussian_noise_is_known_as_it_is_drawn(sigma: float) -> None:
    drawn, known = DiscreteGaussian(sigma), Distribution("discrete Gaussian", sigma)
    assert known.sd == pytest.approx(drawn.sd, rel=1e-9)
    assert known.half_width == drawn.half_width()
    for sigmas in (1, 3, 5.5):
        least = max(round(sigmas * sigma), 1)
        assert known.upper_tail(least) == pytest.approx(drawn.upper_tail(least), rel=1e-4)


@pytest.mark.usefixtures("without_docs")
def test_the_same_release_always_has_the_same_verdicts(tmp_path: Path) -> None:
    first = _check(tmp_path, good_release())
    again = _check(tmp_path, PrivateRelease.from_bytes(good_release().to_bytes()))
    assert first == again
    assert first.sha256 == again.sha256


def test_expectations_and_releases_use_the_same_words_for_totals_and_remainders() -> None:
    assert (expectations.base.TOTAL, expectations.base.REMAINDER) == (TOTAL_KEY, REMAINDER_KEY)
