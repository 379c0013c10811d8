"""The audit passes the pipeline as it is, and flags each fault that is planted in the code that runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.audit.auditing import Audit, Terms, audit
from pipeline.library import own_offer
from pipeline.people import relations
from pipeline.periods import PeriodKind
from pipeline.privacy import consistency, gaussian, selection
from pipeline.privacy import noise as noises
from pipeline.privacy.budget import K
from pipeline.privacy.gaussian import DiscreteGaussian
from pipeline.privacy.ledger import Ledger
from pipeline.privacy.levels import Level
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.release import draw
from pipeline.sample.site_file import SITE_FILE
from pipeline.site import BudgetCap, load_site
from pipeline.spec import BoundSpecification, ReleaseSpecification, bind, bind_to, load_specification

RELEASES = Path(__file__).resolve().parents[2] / "dags" / "releases"
# A correct pipeline is flagged in at most so many runs: of the runs below, in fewer than one of a thousand.
CONFIDENCE = 1 - 1e-5


def small(noise: str = "discrete Laplace") -> BoundSpecification:
    """Two tables: one over people, and one over what a person may have many of, with a sum."""
    offer = own_offer(
        PeriodKind.WEEK,
        {"country": ["AT", "CH", "DE", "LI"], "section": [f"section {number}" for number in range(8)]},
        BudgetCap(epsilon=10, delta=1e-2),
        many=["section"],
        quantities={"amount": "cents"},
    )
    amount = {"kind": "sum", "name": "amount", "title": "Amount", "of": "amount", "max_per_group": 50}
    document: dict[str, Any] = {
        "release": "small",
        "title": "Small",
        "description": "Small",
        "owner": "Tests",
        "purpose": "aggregated demographics",
        "population": "visitors",
        "period": "week",
        "privacy": {"epsilon": 1, "delta": 1e-4, "k": 40, "noise": noise},
        "tables": [
            {"name": "by_country", "title": "By country", "dimensions": ["country"]},
            {
                "name": "by_section",
                "title": "By section",
                "dimensions": ["section"],
                "max_groups": 2,
                "measures": [amount],
            },
        ],
        "audiences": {"partner": ["by_country", "by_section"]},
    }
    return bind_to(ReleaseSpecification.model_validate(document), offer)


def audited(*inputs: str, noise: str = "discrete Laplace", rounds: int = 120) -> Audit:
    return audit(small(noise), Terms(rounds, inputs=frozenset(inputs)))


def flagged(found: Audit) -> set[str]:
    return {line.name for line in found.lines if line.violated}


def flags(expected: str, *inputs: str, noise: str = "discrete Laplace", rounds: int = 120) -> bool:
    """Whether an audit flags a line whose name ends so: one of ``rounds``, or of twice or four times so many.

    A fault that one audit misses by chance, of ten, three miss of far more than a million; a right pipeline is flagged
    by one of three in fewer than 15 of 100 runs, so an audit that finds nothing out cannot pass here.
    """
    return any(
        name.endswith(expected)
        for more in (1, 2, 4)
        for name in flagged(audited(*inputs, noise=noise, rounds=more * rounds))
    )


def with_noise(monkeypatch: pytest.MonkeyPatch, laplace: Callable[[DiscreteLaplace], Any]) -> None:
    monkeypatch.setattr(DiscreteLaplace, "randomiser", laplace)


@pytest.mark.parametrize("noise", ["discrete Laplace", "discrete Gaussian"])
def test_nothing_is_flagged_where_all_is_right(noise: str) -> None:
    found = audit(small(noise), Terms(40, CONFIDENCE))
    assert not found.violated, found.sentence()
    assert len(found.lines) > 10
    assert found.rows > 1000


def test_noise_three_times_too_small_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    with_noise(monkeypatch, lambda noise: noises._Geometric(3 * noise.epsilon.value, noise.sensitivity))
    assert flags("by_country, by country, crowd", "crowd")


def test_gaussian_noise_three_times_too_small_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiscreteGaussian, "randomiser", lambda noise: gaussian._Exact(noise.sigma / 3))
    assert flags("by_country, by country, crowd", "crowd", noise="discrete Gaussian")


def test_hard_k_on_true_counts_without_the_shift_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    right = selection.threshold
    monkeypatch.setattr(draw, "threshold", lambda level, k: right(level, k) - k.value * level.demand.largest)
    assert flags(": released", "edge")


def test_hard_k_alone_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    def k_alone(_level: Level, k: K) -> int:
        return k.value

    monkeypatch.setattr(draw, "threshold", k_alone)
    assert flags(": released", "edge", rounds=60)


def test_unbounded_contributions_are_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relations, "_beyond", lambda _tree, _dialect: "false")
    assert flags("by_section, in total", "bulk", rounds=300)


def test_sums_without_their_limit_are_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    def unclipped(tree: Any, dialect: Any) -> str:
        return ", ".join(
            f"{relations._total(measured, dialect)}::BIGINT AS {column}" for column, measured in tree.measures
        )

    monkeypatch.setattr(relations, "_clipped", unclipped)
    assert flags("by_section, amount by section", "bulk", rounds=200)


def test_noise_redrawn_on_retry_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "artefact", lambda _ledger, _key: None)
    monkeypatch.setattr(Ledger, "record_draw", lambda _ledger, _key, content: content)
    found = audited("again", rounds=20)
    assert found.violated
    assert found.unequal == 3 * 40


def test_an_exact_total_beside_noisy_cells_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    right = draw._draw_level

    def exact(level: Level, frame: Any, bound: Any, chosen: Any, randomiser: Any) -> Any:
        return right(level, frame, bound, chosen, randomiser if level.key.dimensions else noises._Silent())

    monkeypatch.setattr(draw, "_draw_level", exact)
    assert flags("by_country, in total", "bulk", rounds=60)


def test_a_seed_used_again_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    def seeded(noise: DiscreteLaplace) -> Any:
        from diffprivlib.mechanisms import Geometric

        return Geometric(epsilon=noise.epsilon.value, sensitivity=noise.sensitivity, random_state=1)

    with_noise(monkeypatch, seeded)
    assert flags("two periods", "bulk", rounds=100)


def test_a_remainder_below_k_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    right = consistency._folded

    def nothing_more(*given: Any, **_fewest: int) -> Any:
        return right(given[0], given[1], given[2], given[3], fewest=0)

    monkeypatch.setattr(consistency, "_folded", nothing_more)
    found = audited("remainder", rounds=20)
    assert found.violated
    assert found.wrong > 0


def test_folding_that_asks_true_counts_alone_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consistency, "remainder_threshold", lambda *_: float("-inf"))
    assert flags(": remainder", "remainder", rounds=600)


@pytest.mark.parametrize("name", ["weekly_audience", "weekly_movements", "monthly_customers"])
def test_the_releases_of_the_repository_pass(name: str, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE_FILE, encoding="utf-8")
    bound = bind(load_specification(RELEASES / f"{name}.yaml"), load_site(tmp_path / "site.yaml"))
    found = audit(bound, Terms(20, CONFIDENCE))
    assert not found.violated, found.sentence()
