"""Faults planted in what a release is checked beside: the release before it, and what was reserved for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from pipeline.release.artefact import PrivateRelease
from pipeline.vocabulary import PEOPLE, REMAINDER_KEY, TOTAL_KEY
from tests.unit.validation.breakages import US, WITHHELD, put, with_level
from tests.unit.validation.made_releases import (
    LAPLACE,
    Case,
    Made,
    Rows,
    case,
    charge_of,
    gaussian_release,
    header_of,
    people,
)

CaseBreakage = Callable[[Case], Case]

_REGIONS = tuple(f"region-{letter}" for letter in "abcdefghij")
_SMALL = 60  # people: half of that may have been withheld


def _before(*changes: Callable[[PrivateRelease], PrivateRelease]) -> CaseBreakage:
    """Other numbers in the release before."""

    def breaks(made: Case) -> Case:
        previous = made.previous
        assert previous is not None
        for change in changes:
            previous = change(previous)
        return dataclasses.replace(made, previous=previous)

    return breaks


def _now(change: Callable[[PrivateRelease], PrivateRelease]) -> CaseBreakage:
    return lambda made: dataclasses.replace(made, release=change(made.release))


def regions(listed: int, period: str) -> PrivateRelease:
    """A release of ten regions of which some are listed, each of so few people that it might have been withheld."""
    told: Rows = {(name,): ("group", {PEOPLE: (_SMALL, float(_SMALL), 1)}) for name in _REGIONS[:listed]}
    rows: Rows = {
        (): ("total", {PEOPLE: (1000, 1000.0, 1)}),
        **told,
        **dict.fromkeys(((name,) for name in _REGIONS[listed:]), "C"),
        (REMAINDER_KEY,): ("remainder", {PEOPLE: (1000 - _SMALL * listed, 1000.0 - _SMALL * listed, 1 + listed)}),
    }
    made = Made("by_region", ("region",), (_REGIONS,), 1, (people(LAPLACE["people"]),), rows)
    header = header_of([made], period=period, audiences={"partner": ("by_region",)})
    return PrivateRelease(header, {"by_region": made.frame()})


def _listed(now: int, before: int) -> CaseBreakage:
    release = regions(now, "2026-W41")
    return lambda _: Case(release, regions(before, "2026-W40"), charge_of(release.header))


def _reserved(**changes: Any) -> CaseBreakage:
    def breaks(made: Case) -> Case:
        assert made.reserved is not None
        return dataclasses.replace(made, reserved=made.reserved.model_copy(update=changes))

    return breaks


def _gaussian(breakage: CaseBreakage) -> CaseBreakage:
    """The same fault in a release with Gaussian noise."""
    return lambda _: breakage(case(gaussian_release()))


_ALL = ("", (), "people")
_IN_SECTIONS = ("by_section", (), "people")
_LISTED = {"value": 300, "value_lo": 294, "value_hi": 306, "estimate": 300.0, "noise_sd": 2.8}
_FREE = {"obs_status": "A", "conf_status": "F"}

# name of the check -> what breaks it
BREAKAGES_BESIDE: dict[str, list[CaseBreakage]] = {
    "drift.expect_moves_to_stay_within_tolerance_and_noise.total": [
        _before(put("by_country", (TOTAL_KEY,), estimate=1370.0)),
        _before(put("by_country", (TOTAL_KEY,), estimate=780.0)),
        _before(put("by_section", (TOTAL_KEY,), "revenue", estimate=14_000.0)),
        _before(put("by_system", (TOTAL_KEY, TOTAL_KEY), "requests_each", estimate=7.0)),
        _gaussian(_before(put("by_country", (TOTAL_KEY,), estimate=1480.0))),
    ],
    "drift.expect_moves_to_stay_within_tolerance_and_noise.group": [
        _before(put("by_country", ("DE",), estimate=640.0)),
        _before(put("by_system", ("US", "Linux"), estimate=120.0)),
        _before(put("by_system", US, "requests", estimate=1500.0)),
        _before(put("by_domain", ("mail.example",), estimate=1500.0)),
    ],
    "drift.expect_groups_to_come_and_go_near_the_threshold": [
        _before(put("by_country", ("DE",), **WITHHELD)),  # new, and large
        _now(put("by_country", ("DE",), **WITHHELD)),  # gone
        _before(put("by_country", ("GB",), **_LISTED, **_FREE)),  # gone, from what is public and was under it
        _before(put("by_system", ("US", "Linux"), **WITHHELD)),
        _before(put("by_domain", ("mail.example",), domain="post.example")),  # private keys
        _now(put("by_country", (TOTAL_KEY,), **WITHHELD)),
        _gaussian(_before(put("by_country", ("DE",), **WITHHELD))),
    ],
    "drift.expect_withheld_share_to_hold": [_listed(now=3, before=10), _listed(now=10, before=3)],
    "levels.expect_charge_to_be_what_was_reserved": [
        lambda made: dataclasses.replace(made, reserved=None),
        _now(with_level(_ALL, scale=1.9)),
        _now(with_level(_IN_SECTIONS, max_groups=2)),
        _now(with_level(_ALL, scale=0.0)),
        _now(with_level(_ALL, delta_selection="2e-07")),
        _now(lambda release: dataclasses.replace(
            release, header=release.header.model_copy(update={"levels": release.header.levels[:-1]})
        )),
        _reserved(counts={"0.5": 3, "0.25": 4}),
        _reserved(counts={"0.5": 2, "0.25": 6}),
        _reserved(pure={}),
        lambda _: _reserved(counts={"0.5": 1})(case(regions(3, "2026-W41"))),
        _reserved(delta=1.5e-6),
        _reserved(infinite=True),
        _reserved(gaussians={"10.0:1": 1}),
        _gaussian(_now(with_level(_ALL, scale=9.9))),
        _gaussian(_reserved(gaussians={})),
    ],
}  # fmt: skip
