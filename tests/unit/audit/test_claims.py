import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm

from pipeline.audit.claims import claim_of, losses
from pipeline.privacy.budget import Epsilon
from pipeline.privacy.gaussian import DiscreteGaussian
from pipeline.privacy.levels import Demand, Level, LevelKey
from pipeline.privacy.noise import DiscreteLaplace, Noise


def level(noise: Noise, groups: int = 1) -> Level:
    key = LevelKey("table" if groups > 1 else "", ("section",), groups)
    return Level(Demand(key, True, 10), noise, None, None)


def test_laplace_noise_is_claimed_at_people_times_its_epsilon() -> None:
    claim = claim_of([level(DiscreteLaplace(Epsilon.of("0.1"), 1))], 5, 0)
    assert claim.epsilon == pytest.approx(0.5, abs=2e-3)
    assert claim.deltas[0] == pytest.approx(1 - math.exp(-0.25), rel=0.05)


def test_a_person_in_several_groups_is_claimed_at_the_whole_level() -> None:
    claim = claim_of([level(DiscreteLaplace(Epsilon.of("0.3"), 3), groups=3)], 2, 0)
    assert claim.epsilon == pytest.approx(0.6, abs=2e-3)


def test_gaussian_noise_is_claimed_at_its_profile() -> None:
    claim = claim_of([level(DiscreteGaussian(20.0), groups=4)], 5, 0)  # mu = 5 * sqrt(4) / 20
    exact = [norm.cdf(0.25 - e / 0.5) - math.exp(e) * norm.cdf(-0.25 - e / 0.5) for e in claim.epsilons]
    assert np.allclose(claim.deltas, exact, atol=1e-3)


def test_levels_together_claim_more_than_one_and_less_than_their_sum() -> None:
    one, other = level(DiscreteLaplace(Epsilon.of("0.2"), 1)), level(DiscreteGaussian(5.0))
    alone = [claim_of([each], 2, 0) for each in (one, other)]
    both = claim_of([one, other], 2, 0)
    assert max(claim.epsilon for claim in alone) < both.epsilon <= sum(claim.epsilon for claim in alone)


def test_the_rules_of_the_release_are_added_to_delta() -> None:
    noisy = [level(DiscreteLaplace(Epsilon.of("0.1"), 1))]
    plain, with_slack = claim_of(noisy, 1, 0), claim_of(noisy, 1, 0.001)
    assert with_slack.deltas[0] - plain.deltas[0] == pytest.approx(0.002)


def test_deltas_fall_as_epsilons_grow() -> None:
    claim = claim_of([level(DiscreteGaussian(4.0))], 3, 0)
    assert all(left < right for left, right in pairwise(claim.epsilons))
    assert all(left >= right for left, right in pairwise(claim.deltas))


def test_a_loss_is_sensitivity_over_scale() -> None:
    assert losses([level(DiscreteLaplace(Epsilon.of("0.3"), 3), 3), level(DiscreteGaussian(8.0), 4)]) == [
        pytest.approx(0.3),
        pytest.approx(0.25),
    ]
