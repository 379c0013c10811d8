"""What a policy must say, and which releases it covers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import PolicyError
from pipeline.periods import Period
from pipeline.policy import NO_VERSION, Policy, held_policy, load_policy, require_covered
from pipeline.vocabulary import Audience, Population

WEEK = Period.parse("2026-W41")  # 5 to 11 October
TODAY = dt.date(2026, 11, 20)
P, A, R = Audience.PARTNER, Audience.AFFILIATE, Audience.RESELLER


@dataclass(frozen=True)
class Claim:
    """What a release says of its use."""

    release: str = "weekly"
    purpose: str = "demographics"
    population: Population = Population.VISITORS
    audiences: tuple[Audience, ...] = (P,)


def version(name: str, effective: str, **audiences: list[str]) -> dict[str, Any]:
    """A version with a purpose for each keyword."""
    purposes = {purpose: {"text": f"{purpose}.", "audiences": whom} for purpose, whom in audiences.items()}
    return {"version": name, "effective": effective, "purposes": purposes}


def policy_of(*versions: dict[str, Any], **more: Any) -> Policy:
    return Policy.model_validate({"versions": versions, **more})


FIRST = version("1", "2025-01-01", demographics=["partner"])
WIDER = version("2", "2026-01-01", demographics=["partner", "reseller"], trends=["partner"])
WITHDRAWN = version("3", "2026-11-01", trends=["partner"])


def write(folder: Path, document: object) -> Path:
    path = folder / "policy.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), "utf-8")
    return path


def test_a_policy_is_read_from_a_file(tmp_path: Path) -> None:
    policy = load_policy(write(tmp_path, {"notice_days": 14, "versions": [FIRST, WIDER]}))
    assert (policy.notice_days, policy.names) == (14, ("1", "2"))
    assert policy.versions[1].effective == dt.date(2026, 1, 1)
    assert policy.versions[1].purposes["trends"].populations == tuple(Population)


def test_a_day_may_be_written_as_a_date_of_yaml(tmp_path: Path) -> None:
    text = 'versions: [{version: "1", effective: 2025-01-01, purposes: {}}]'
    assert load_policy(write(tmp_path, text)).versions[0].effective == dt.date(2025, 1, 1)


def test_people_have_thirty_days_of_notice_unless_the_policy_says_otherwise() -> None:
    assert policy_of(FIRST).notice_days == 30


def test_a_site_without_a_policy_is_told_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"must say what its privacy policy covers.* no policy\.yaml .*Write it as"):
        load_policy(tmp_path / "policy.yaml")
    assert held_policy(tmp_path / "policy.yaml") is None


def test_a_broken_policy_is_not_taken_for_none(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="valid YAML"):
        held_policy(write(tmp_path, "versions: [:"))


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"versions": []}, "versions: tuple should have at least 1 item"),
        ({"versions": [WIDER, FIRST]}, "order of their days"),
        ({"versions": [FIRST, FIRST | {"version": "1b"}]}, "order of their days"),
        ({"versions": [FIRST, WIDER | {"version": "1"}]}, "different names"),
        ({"versions": [FIRST | {"version": "May 2024"}]}, "versions.0.version: string should match"),
        ({"versions": [FIRST | {"version": ""}]}, "versions.0.version: string should match"),
        ({"versions": [FIRST | {"version": "v" * 41}]}, "versions.0.version: string should match"),
        ({"versions": [FIRST | {"version": 1}]}, "versions.0.version: input should be a valid string, got 1"),
        ({"versions": [FIRST | {"effective": "soon"}]}, "versions.0.effective: input should be a valid date"),
        ({"versions": [FIRST], "notice_days": -1}, "notice_days"),
        ({"versions": [FIRST], "notice": 30}, "notice: extra inputs"),
        ({"versions": [version("1", "2025-01-01", demographics=["press"])]}, "audiences.0: input should be"),
        ({"versions": [version("1", "2025-01-01", demographics=[])]}, "audiences: tuple should have at least 1"),
        ({"versions": [version("1", "2025-01-01", **{"For us": ["partner"]})]}, "For us"),
        ("- a list", "must hold a mapping"),
    ],
)
def test_a_policy_that_breaks_a_rule_is_refused(tmp_path: Path, document: object, says: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load_policy(write(tmp_path, document))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("day", "name"),
    [("2024-12-31", None), ("2025-01-01", "1"), ("2025-12-31", "1"), ("2026-01-01", "2"), ("2030-01-01", "2")],
)
def test_a_version_is_in_force_from_its_day_until_the_next_ones(day: str, name: str | None) -> None:
    found = policy_of(FIRST, WIDER).in_force(dt.date.fromisoformat(day))
    assert (found and found.version) == name


@pytest.mark.parametrize(
    ("second", "third", "names"),
    [
        ("2026-10-05", "2026-10-12", ["2"]),  # from the first day; from the day after the last
        ("2026-10-06", "2026-10-11", ["1", "2", "3"]),
        ("2026-10-01", "2026-10-04", ["3"]),
        ("2026-10-12", "2026-10-13", ["1"]),
    ],
)
def test_versions_of_a_period_are_all_that_were_in_force_on_one_of_its_days(
    second: str, third: str, names: list[str]
) -> None:
    policy = policy_of(FIRST, version("2", second), version("3", third))
    assert [one.version for one in policy.in_force_during(WEEK)] == names


def test_what_covers_a_release_has_its_purpose_for_every_audience() -> None:
    policy = policy_of(FIRST, WIDER, WITHDRAWN)
    assert policy.covering(Claim()) == {"1", "2"}
    assert policy.covering(Claim(audiences=(P, R))) == {"2"}
    assert policy.covering(Claim(purpose="trends")) == {"2", "3"}
    assert policy.covering(Claim(audiences=(A,))) == frozenset()


def test_a_customer_of_no_known_version_counts_for_what_every_version_covers() -> None:
    assert policy_of(FIRST, WIDER).covering(Claim()) == {"1", "2", NO_VERSION}
    assert NO_VERSION not in policy_of(FIRST, WIDER, WITHDRAWN).covering(Claim())


def test_a_purpose_may_be_of_one_population_alone() -> None:
    trends = {"text": "Trends.", "populations": ["visitors"], "audiences": ["partner"]}
    policy = policy_of({"version": "1", "effective": "2025-01-01", "purposes": {"trends": trends}})
    claim = Claim(purpose="trends")
    assert require_covered(policy, claim, WEEK, TODAY).version == "1"
    with pytest.raises(PolicyError, match="got purpose 'trends' not for customers"):
        require_covered(policy, replace(claim, population=Population.CUSTOMERS), None, TODAY)


def test_a_release_that_is_covered_is_let_through() -> None:
    policy = policy_of(FIRST, WIDER)
    assert require_covered(policy, Claim(audiences=(P, R)), WEEK, TODAY).version == "2"
    assert require_covered(policy, Claim(audiences=(P, R)), None, TODAY).version == "2"


def test_another_purpose_than_the_policys_is_refused() -> None:
    with pytest.raises(PolicyError) as refused:
        require_covered(policy_of(FIRST, WIDER), Claim(purpose="profiling"), WEEK, TODAY)
    assert str(refused.value) == (
        "release weekly: version 2 of the privacy policy, in force on 2026-11-20, must have its purpose for everybody "
        "who receives it, got no purpose 'profiling'. Change the release, or give notice of a new version of the "
        "policy that covers it."
    )


def test_an_added_audience_is_refused_until_a_version_covers_it() -> None:
    with pytest.raises(PolicyError, match="got purpose 'demographics' without audience affiliate, reseller"):
        require_covered(policy_of(FIRST), Claim(audiences=(P, R, A)), WEEK, TODAY)


def test_a_purpose_that_was_withdrawn_is_refused_from_that_day_on() -> None:
    policy, claim = policy_of(FIRST, WIDER, WITHDRAWN), Claim()
    assert require_covered(policy, claim, WEEK, dt.date(2026, 10, 31)).version == "2"
    with pytest.raises(PolicyError, match=r"version 3 .* no purpose 'demographics'"):
        require_covered(policy, claim, WEEK, dt.date(2026, 11, 1))


def test_a_version_that_is_not_in_force_yet_covers_nothing() -> None:
    with pytest.raises(PolicyError, match="must be in force, got none on 2024-12-31, the first is of 2025-01-01"):
        require_covered(policy_of(FIRST), Claim(), None, dt.date(2024, 12, 31))
    with pytest.raises(PolicyError, match="without audience reseller"):
        require_covered(policy_of(FIRST, WIDER), Claim(audiences=(R,)), None, dt.date(2025, 12, 31))


def test_visitors_are_counted_for_what_the_notice_said_while_they_visited() -> None:
    changed = policy_of(FIRST, version("2", "2026-10-08", demographics=["partner", "reseller"]))
    claim = Claim(audiences=(P, R))
    with pytest.raises(PolicyError, match="version 1 of the privacy policy, in force during 2026-W41"):
        require_covered(changed, claim, WEEK, TODAY)
    assert require_covered(changed, claim, WEEK.next, TODAY)


def test_visitors_from_before_any_notice_are_not_counted() -> None:
    late = policy_of(version("1", "2026-10-08", demographics=["partner"]))
    with pytest.raises(PolicyError, match="from the first day, got none on 2026-10-05"):
        require_covered(late, Claim(), WEEK, TODAY)


def test_of_customers_the_versions_of_the_period_do_not_decide() -> None:
    changed = policy_of(FIRST, version("2", "2026-10-08", demographics=["partner", "reseller"]))
    claim = Claim(population=Population.CUSTOMERS, audiences=(P, R))
    assert require_covered(changed, claim, Period.parse("2026-10"), TODAY).version == "2"
