"""How fast noisy tables are reconciled, beside SciPy's iterative sparse least squares on the same numbers.

All 26 tables of up to three of five dimensions, 40,320 combinations of keys, 7,418 noisy counts, all released. The
sparse solver estimates the people of every combination and sums them up; both must come to the same estimates.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from functools import cache
from typing import Final

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsqr

from pipeline.privacy.least_squares import Grouping, least_squares
from pipeline.privacy.marginals import Counts, Dimensions, all_cells, as_array, margin
from tests.benchmarks.measuring import alone, in_turns
from tests.benchmarks.reporting import Amount, Figure, Ratio, at_least, no_more_than

SIZES: Final = {"a": 4, "b": 8, "c": 9, "d": 10, "e": 14}
KEYS: Final = {name: tuple(f"{name}{number}" for number in range(size)) for name, size in SIZES.items()}
NAMES: Final = tuple(SIZES)
TABLES: Final = [names for size in range(4) for names in itertools.combinations(NAMES, size)]
SD: Final = 20.0
GOAL: Final = 10.0
CLOSE: Final = 1e-3  # people
CALLS: Final = 5


def figures(small: bool) -> Iterator[Figure]:
    """Seconds of both, and by how much estimates err."""
    calls = 1 if small else CALLS
    rivals = {"ours": lambda: alone(ours, calls=calls, warm_up=1), "theirs": lambda: alone(theirs)}
    found = in_turns(rivals, 1 if small else 3, warm_up=0)
    yield Figure(
        f"{len(TABLES)} tables of {math.prod(SIZES.values()):,} combinations reconciled",
        "SciPy's sparse least squares (lsqr)",
        Amount.of(found["ours"]),
        Amount.of(found["theirs"]),
        Ratio.FASTER,
        rounds=len(found["ours"].runs),
        goals=(at_least(GOAL),),
    )
    apart = Amount(float(np.abs(reconciled() - solved()).max()))
    name, beside = "largest difference from the sparse solver's estimates", "the noise before, one standard deviation"
    yield Figure(name, beside, apart, Amount(SD), Ratio.MUCH, "people", goals=(no_more_than(CLOSE),))
    after, before = (Amount(float(np.abs(counts - flat(truth())).mean())) for counts in (reconciled(), flat(noisy())))
    yield Figure("mean error of a reconciled count", "the noisy count", after, before, Ratio.MUCH, "people")


def ours() -> None:
    """Cells in, cells out."""
    least_squares(groupings(), KEYS)


def theirs() -> dict[str, float]:
    """The sparse solver."""
    noisy(), person_sums()
    begun = time.perf_counter()
    solved()
    return {"seconds": time.perf_counter() - begun}


@cache
def truth() -> dict[Dimensions, Counts]:
    """Exact tables."""
    people = np.round(np.random.default_rng(20261005).gamma(0.5, 200, list(SIZES.values())))
    return {names: margin(people, NAMES, names) for names in TABLES}


@cache
def noisy() -> dict[Dimensions, Counts]:
    """With noise."""
    chance = np.random.default_rng(20261006)
    return {names: table + chance.laplace(0, SD / math.sqrt(2), table.shape) for names, table in truth().items()}


@cache
def groupings() -> list[Grouping]:
    """As the product has them."""
    return [
        Grouping(names, dict(zip(all_cells(names, KEYS), table.ravel().tolist(), strict=True)), SD**2)
        for names, table in noisy().items()
    ]


def reconciled() -> Counts:
    """Estimates of the product."""
    found = least_squares(groupings(), KEYS)
    return flat({n: as_array({c: e.value for c, e in cells.items()}, n, KEYS) for n, cells in found.items()})


def solved() -> Counts:
    """Estimates of the sparse solver."""
    found: Counts = person_sums() @ lsqr(person_sums(), flat(noisy()), atol=1e-12, btol=1e-12, iter_lim=5000)[0]
    return found


@cache
def person_sums() -> sparse.csr_array:
    """One row a noisy count, one column a combination of keys: 1 where the count holds it."""
    shape = list(SIZES.values())
    everybody = np.arange(math.prod(shape))
    places = dict(zip(NAMES, np.unravel_index(everybody, shape), strict=True))
    blocks = []
    for names in TABLES:
        inside = [SIZES[name] for name in names]
        rows = np.ravel_multi_index([places[name] for name in names], inside) if names else 0 * everybody
        blocks.append(
            sparse.csr_array((np.ones(len(everybody)), (rows, everybody)), (math.prod(inside), len(everybody)))
        )
    return sparse.csr_array(sparse.vstack(blocks))


def flat(tables: dict[Dimensions, Counts]) -> Counts:
    """All counts, one table after the other."""
    return np.concatenate([tables[names].ravel() for names in TABLES])
