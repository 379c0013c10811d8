"""How long noise, thresholds, least squares and whole numbers of 100,000 cells take, beside the bare noise.

One table of three dimensions, which has every group of 200 x 25 x 20 keys, and its totals. The bare noise is as many
draws of OpenDP's discrete Laplace mechanism, and as many of NumPy's floating-point Laplace, which no release may use.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from typing import Any, Final
from unittest import mock

import numpy as np
import opendp.prelude as dp
import pandas as pd

from pipeline.library import own_offer
from pipeline.people.groups import BoundedGroups
from pipeline.periods import Period, PeriodKind
from pipeline.privacy.levels import demands
from pipeline.release import draw
from pipeline.release.artefact import PrivateRelease
from pipeline.release.tables import table_frame
from pipeline.site import BudgetCap
from pipeline.spec import BoundSpecification, ReleaseSpecification, bind_to
from pipeline.vocabulary import Population
from tests.benchmarks.measuring import alone, in_turns
from tests.benchmarks.reporting import Amount, Figure, Ratio, no_more_than
from tests.builders import specification_document

SIZES: Final = (200, 25, 20)
SMALL: Final = (5, 4, 3)
NAMES: Final = ("place", "system", "browser")
PEOPLE: Final = 400  # in a group, on average: some are withheld
GOAL: Final = 3.0
ROUNDS: Final = 3
WEEK: Final = Period.parse("2026-W41")


def figures(small: bool) -> Iterator[Figure]:
    """Seconds of the product and of the bare noise."""
    sizes, rounds = (SMALL, 1) if small else (SIZES, ROUNDS)
    rivals = {work.__name__: lambda work=work: alone(work, sizes) for work in (drawn, opendp_noise, numpy_noise)}
    found = in_turns(rivals, rounds, warm_up=0 if small else 1)
    ours, cells = found[drawn.__name__], f"{np.prod(sizes):,} cells"
    for beside, theirs in (("OpenDP", found[opendp_noise.__name__]), ("NumPy", found[numpy_noise.__name__])):
        yield Figure(
            f"noise, thresholds and consistency of {cells}",
            f"the same number of draws with {beside} alone",
            Amount.of(ours),
            Amount.of(theirs),
            Ratio.LONGER,
            rounds=rounds,
            goals=(no_more_than(GOAL),),
        )
    with_rows, without = Amount(ours.told("with_rows"), ours.megabytes), Amount.of(ours)
    name = f"a whole draw of {cells}, laid out as rows"
    yield Figure(name, "the same without rows", with_rows, without, Ratio.LONGER, rounds=rounds)


def drawn(sizes: list[int]) -> dict[str, float]:
    """What a release draws, from groups that are there; how long its rows take is taken off."""
    bound, groups = specification(tuple(sizes)), made_groups(tuple(sizes))
    rows = 0.0

    def laid_out(*given: Any) -> pd.DataFrame:
        nonlocal rows
        begun = time.perf_counter()
        frame = table_frame(*given)
        rows += time.perf_counter() - begun
        return frame

    begun = time.perf_counter()
    with mock.patch.object(draw, table_frame.__name__, laid_out):
        draw.draw_release(bound, groups)
    took = time.perf_counter() - begun
    return {"seconds": took - rows, "with_rows": took}


def opendp_noise(sizes: list[int]) -> dict[str, float]:
    """Discrete Laplace noise on so many counts, in one call."""
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    counts, mechanism = [PEOPLE] * int(np.prod(sizes)), dp.m.make_laplace(*space, scale=2.0)
    begun = time.perf_counter()
    mechanism(counts)
    return {"seconds": time.perf_counter() - begun}


def numpy_noise(sizes: list[int]) -> None:
    """Laplace noise in floating point."""
    np.random.default_rng().laplace(PEOPLE, 2.0, int(np.prod(sizes)))


def made_release(sizes: tuple[int, ...]) -> PrivateRelease:
    """A release of such a table."""
    return draw.draw_release(specification(sizes), made_groups(sizes))


@cache
def specification(sizes: tuple[int, ...]) -> BoundSpecification:
    """One table over what a person has one of each of."""
    keys = {name: tuple(f"{name} {one:03d}" for one in range(size)) for name, size in zip(NAMES, sizes, strict=True)}
    document = specification_document(
        release="bench",
        privacy={"epsilon": 1, "delta": 1e-6, "k": 50},
        tables=[{"name": "by_all", "title": "By all", "dimensions": NAMES}],
        audiences={"partner": ["by_all"]},
    )
    offer = own_offer(PeriodKind.WEEK, keys, BudgetCap(epsilon=10, delta=1e-4))
    return bind_to(ReleaseSpecification.model_validate(document), offer)


@cache
def made_groups(sizes: tuple[int, ...]) -> BoundedGroups:
    """True counts of every group, heavy-tailed and seeded."""
    bound = specification(sizes)
    keys = [dimension.keys for dimension in bound.tables[0].dimensions]
    people = np.random.default_rng(20261201).gamma(0.8, PEOPLE / 0.8, int(np.prod(sizes))).astype(int)
    frame = pd.MultiIndex.from_product(keys, names=NAMES).to_frame(index=False)
    frame = frame.assign(people=people, contributions=people)
    wanted = ["people", "contributions"]
    levels = {}
    for demand in demands(bound):
        names = list(demand.key.dimensions)
        levels[demand.key] = (
            frame.groupby(names, as_index=False)[wanted].sum() if names else frame[wanted].sum().to_frame().T
        )
    return BoundedGroups(Population.VISITORS, WEEK, levels)
