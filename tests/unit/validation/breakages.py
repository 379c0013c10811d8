"""Faults planted in the small release, by the name of the check that is meant to find each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pandas as pd

from pipeline.measures import Scope
from pipeline.privacy.budget import Epsilon
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.release.artefact import PrivateRelease
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY
from tests.unit.validation.made_releases import K, gaussian_release

Breakage = Callable[[PrivateRelease], PrivateRelease]
Which = tuple[str, tuple[str, ...], str]


def _with_table(release: PrivateRelease, name: str, table: pd.DataFrame) -> PrivateRelease:
    return dataclasses.replace(release, tables={**release.tables, name: table})


def put(table: str, group: tuple[str, ...], of: str = "", /, **values: Any) -> Breakage:
    """Write values into the row of one group: that of a measure, people where none is named."""

    def breaks(release: PrivateRelease) -> PrivateRelease:
        copy = release.tables[table].copy()
        told = of or next(facts.measure for facts in release.header.tables if facts.name == table)
        row = (copy.iloc[:, : len(group)] == list(group)).all(axis=1) & copy["measure"].eq(told)
        assert row.sum() == 1
        for column, value in values.items():
            copy.loc[row, column] = value
        return _with_table(release, table, copy)

    return breaks


def _without_row(table: str, group: tuple[str, ...], measure: str) -> Breakage:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        row = (frame.iloc[:, : len(group)] == list(group)).all(axis=1) & frame["measure"].eq(measure)
        assert row.sum() == 1
        return frame[~row]

    return _reshape(table, change)


def _reshape(table: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Breakage:
    return lambda release: _with_table(release, table, change(release.tables[table].copy()))


def with_header(**changes: Any) -> Breakage:
    return lambda release: dataclasses.replace(release, header=release.header.model_copy(update=changes))


def with_level(which: Which, **changes: Any) -> Breakage:
    """Change what is declared of one level: of a table or "", by dimensions, of a quantity."""

    def breaks(release: PrivateRelease) -> PrivateRelease:
        levels = [
            level.model_copy(update=changes) if (level.table, level.dimensions, level.quantity) == which else level
            for level in release.header.levels
        ]
        assert levels != list(release.header.levels)
        return with_header(levels=tuple(levels))(release)

    return breaks


def _declare_key(key: str) -> Breakage:
    """Someone wrote this key into the site file, so that it is on the public list."""

    def breaks(release: PrivateRelease) -> PrivateRelease:
        facts = list(release.header.tables)
        facts[0] = facts[0].model_copy(update={"keys": ((*facts[0].keys[0], key),)})
        return put("by_country", ("GB",), country=key)(with_header(tables=tuple(facts))(release))

    return breaks


def _threshold_less(which: Which, by: int) -> Breakage:
    def breaks(release: PrivateRelease) -> PrivateRelease:
        found = [level for level in release.header.levels if (level.table, level.dimensions, level.quantity) == which]
        return with_level(which, threshold=found[0].threshold - by)(release)

    return breaks


def _gaussian(breakage: Breakage) -> Breakage:
    """The same fault in a release with Gaussian noise."""
    return lambda _: breakage(gaussian_release())


def _mean_of_half(release: PrivateRelease) -> PrivateRelease:
    """A mean that agrees with nothing beside it, all of its numbers changed alike."""
    frame = release.tables["by_system"].copy()
    row = frame["measure"].eq("requests_each") & frame["kind"].eq("total")
    for name in ("value", "value_lo", "value_hi", "estimate"):
        frame.loc[row, name] = frame.loc[row, name] / 2
    return _with_table(release, "by_system", frame)


def _last_remainder(values: dict[str, Any]) -> Breakage:
    return put("by_system", (REMAINDER_KEY,), "requests", **values)


_ALL: Which = ("", (), "people")
_REQUESTS: Which = ("", ("country",), "events")
_IN_SECTIONS: Which = ("by_section", (), "people")
_BY_SECTION: Which = ("by_section", ("section",), "people")
_REVENUE: Which = ("by_section", ("section",), "revenue")
US = ("US", TOTAL_KEY)
_NEAR = ("news.example",)
WITHHELD = {
    **dict.fromkeys(("value", "value_lo", "value_hi", "estimate", "noise_sd"), pd.NA),
    "obs_status": "Q",
    "conf_status": "C",
}

# name of the check -> releases that break it
BREAKAGES: dict[str, list[Breakage]] = {
    "table.expect_columns_to_be_declared": [
        _reshape("by_country", lambda table: table.assign(person="x")),
        _reshape("by_country", lambda table: table.drop(columns="noise_sd")),
        _reshape("by_country", lambda table: table.drop(columns="measure")),
        _reshape("by_country", lambda table: table[["measure", *(name for name in table if name != "measure")]]),
    ],
    "table.expect_column_values_to_be_in_set": [put("by_country", ("GB",), country="XX")],
    "table.expect_column_values_to_match_regex": [put("by_domain", _NEAR, domain="news\nexample")],
    "table.expect_column_value_lengths_to_be_between": [
        put("by_domain", _NEAR, domain=""),
        put("by_domain", _NEAR, domain="n" * 61),
    ],
    "table.expect_private_keys_to_be_released": [put("by_domain", ("shop.example",), conf_status="C")],
    "table.expect_column_values_to_hold_no_personal_data": [
        _declare_key("jane.doe@example.org"),
        _declare_key("198.51.100.7"),
        put("by_country", ("GB",), conf_status="4111 1111 1111 1111"),
        put("by_domain", _NEAR, domain="jane.doe@example.org"),
    ],
    "table.expect_keys_to_fit_the_kind_of_row": [
        put("by_country", ("US",), kind="remainder"),
        put("by_country", ("US",), kind="total"),
        put("by_country", (TOTAL_KEY,), kind="group"),
        put("by_country", ("GB",), country=TOTAL_KEY, kind="total"),
        put("by_system", ("DE", "Linux"), country=TOTAL_KEY),
        put("by_system", ("DE", "Linux"), country=REMAINDER_KEY),
        put("by_country", ("US",), kind="median"),
        put("by_system", US, "requests", kind="total"),
    ],
    "table.expect_each_group_to_stand_once": [
        put("by_country", ("GB",), country="FR"),
        put("by_system", US, "requests", measure="people"),
    ],
    "table.expect_every_measure_of_listed_groups": [
        _without_row("by_system", US, "requests"),
        _without_row("by_system", US, "requests_each"),
        _without_row("by_system", US, "people"),
        put("by_system", US, "requests", measure="wealth"),
        put("by_system", ("GB", TOTAL_KEY), measure="requests"),
        put("by_system", US, **WITHHELD),
        _reshape("by_section", lambda table: table.iloc[::-1]),
    ],
    "table.expect_status_to_agree_with_values": [
        put("by_country", ("GB",), noise_sd=2.8),
        put("by_country", ("US",), obs_status="Q"),
        put("by_country", ("US",), conf_status="C"),
        put("by_country", ("GB",), obs_status="A", conf_status="F"),
        put("by_country", ("US",), value_hi=pd.NA),
        put("by_country", ("US",), obs_status="E"),
        put("by_country", ("GB",), obs_status="U"),
        put("by_system", US, "requests", **WITHHELD),
    ],
    "table.expect_doubt_to_follow_people": [
        put("by_system", US, "requests", obs_status="U"),
        put("by_system", US, "requests_each", obs_status="U"),
        put("by_system", US, obs_status="U"),  # so that its mean should be, too
        put("by_domain", (REMAINDER_KEY,), obs_status="A"),
        put("by_country", (REMAINDER_KEY,), obs_status="U"),
    ],
    "table.expect_rows_near_the_threshold_to_be_marked": [
        put("by_domain", _NEAR, obs_status="A"),
        put("by_country", ("DE",), obs_status="U"),
        _gaussian(put("by_domain", _NEAR, obs_status="A")),
    ],
    "table.expect_numbers_of_their_measure": [
        _reshape("by_country", lambda table: table.astype({"value_hi": "float64"})),
        _reshape("by_system", lambda table: table[table["measure"].ne("requests_each")].astype({"value": "Int64"})),
        put("by_country", ("US",), value_lo=-3),
        put("by_section", ("blog",), "revenue", value=-60),
        put("by_system", US, "requests", value=2400.5),
    ],
    "table.expect_people_to_reach_the_minimum": [put("by_country", (REMAINDER_KEY,), value=K - 1)],
    "table.expect_estimates_to_reach_their_threshold": [
        put("by_country", ("DE",), estimate=float(K + 3)),
        put("by_section", (TOTAL_KEY,), estimate=float(K + 3)),
        put("by_country", ("US",), estimate=-1000.0),  # farther down than least squares can have moved it
    ],
    "table.expect_parts_to_add_up_to_their_parent": [
        put("by_country", (REMAINDER_KEY,), value=198),
        put("by_system", ("US", "Linux"), value=200),
        put("by_section", ("docs",), value=1501),
        put("by_section", ("docs",), "revenue", value=9001),
        put("by_system", ("US", "Linux"), "requests", value=999),
        put("by_system", US, "requests", value=2401),
    ],
    "table.expect_estimates_to_add_up": [
        put("by_country", (REMAINDER_KEY,), estimate=199.0),
        put("by_system", ("US", "Linux"), estimate=203.0),  # as it was drawn
        _last_remainder({"estimate": 90.0}),
    ],
    "table.expect_nothing_under_a_withheld_parent": [
        put("by_system", US, **WITHHELD),
        put("by_system", US, "requests", **WITHHELD),
        _reshape("by_system", lambda table: table[table["country"].ne("US") | table["operating_system"].ne(TOTAL_KEY)]),
    ],
    "table.expect_means_to_be_quotients": [
        put("by_system", US, "requests_each", value=4.0),
        put("by_system", US, value=601),
        _mean_of_half,
    ],
    "table.expect_means_to_be_as_sure_as_their_totals": [
        put("by_system", US, "requests_each", noise_sd=0.001),
        put("by_system", US, "requests_each", estimate=4.0),
        put("by_system", US, "requests_each", value_lo=4.78),
        put("by_system", US, "requests_each", value_hi=4.8),
    ],
    "table.expect_intervals_to_hold_their_value": [
        put("by_country", ("US",), value_lo=502),
        put("by_country", ("US",), value_hi=499),
        put("by_system", US, "requests_each", value_lo=5.0),
        put("by_system", US, "requests", value_hi=2399),
    ],
    "table.expect_intervals_to_be_as_wide_as_the_noise": [
        put("by_country", ("DE",), value_lo=299),
        put("by_country", ("DE",), value_lo=293),
        put("by_country", ("US",), value_lo=501),
        put("by_country", ("US",), value_hi=600),
        put("by_country", (REMAINDER_KEY,), value_hi=201),
        put("by_section", ("docs",), "revenue", value_hi=9100),
        _gaussian(put("by_country", ("DE",), value_lo=281)),
        _gaussian(put("by_section", ("docs",), "revenue", value_hi=9800)),
    ],
    "table.expect_noise_to_stay_within_that_of_the_level": [
        put("by_country", ("US",), noise_sd=3.0),
        put("by_country", ("US",), noise_sd=0.0),
        put("by_country", ("DE",), noise_sd=-1.0),
        put("by_country", (REMAINDER_KEY,), noise_sd=3 * DiscreteLaplace(Epsilon.of("0.5"), 1).sd),
        put("by_section", ("docs",), "revenue", noise_sd=230.0),
        _gaussian(put("by_country", ("DE",), noise_sd=10.1)),
    ],
    "groups.expect_column_distinct_values_to_equal_set.table": [
        lambda release: dataclasses.replace(release, tables={"by_country": release.tables["by_country"]}),
        lambda release: _with_table(release, "by_person", release.tables["by_country"]),
    ],
    "groups.expect_shared_groups_to_read_the_same": [
        put("by_system", US, value_hi=511),
        put("by_system", ("FR", TOTAL_KEY), conf_status="C"),
        put("by_system", (REMAINDER_KEY, TOTAL_KEY), estimate=201.0),
        put("by_system", ("DE", TOTAL_KEY), obs_status="U"),
    ],
    "levels.expect_column_distinct_values_to_contain_set.level": [
        lambda release: with_header(levels=release.header.levels[:-1])(release),
        lambda release: with_header(
            levels=tuple(level for level in release.header.levels if level.quantity != "revenue" or level.dimensions)
        )(release),
        with_level(_REVENUE, limit=41),
        with_level(_REVENUE, scope=Scope.GROUP),
    ],
    "levels.expect_column_values_to_be_between.k": [with_header(k=1)],
    "levels.expect_column_values_to_be_in_set.mechanism": [with_header(noise="discrete Gaussian")],
    "levels.expect_composed_noise_to_stay_within_epsilon": [
        with_header(epsilon="5.9"),
        with_level(_ALL, scale=1.0),
        with_level(_REVENUE, scale=40.0),
        _gaussian(with_header(epsilon="1.5")),
        _gaussian(with_header(delta_noise="1e-08")),
        _gaussian(with_header(delta_noise="0")),
        _gaussian(with_level(_ALL, scale=5.0)),
    ],
    "levels.expect_shares_to_stay_within_the_budget.delta": [
        with_header(delta="1.3e-06"),
        with_level(_ALL, delta_remainder="2e-07"),
        with_header(delta_noise="1e-07"),
        with_header(delta_noise="-1e-07"),
    ],
    "levels.expect_noise_unless_epsilon_is_infinite": [
        with_level(_ALL, mechanism="none"),
        with_level(_ALL, scale=0.0),
        with_level(_ALL, epsilon="inf"),
        _gaussian(with_level(_ALL, scale=0.0)),
    ],
    "levels.expect_scale_to_follow_epsilon": [
        with_level(_ALL, scale=1.0),
        with_level(_IN_SECTIONS, max_groups=1),
        with_level(_REQUESTS, limit=50),
        with_level(_REVENUE, scope=Scope.GROUP),
        with_level(_ALL, epsilon=""),
        _gaussian(with_level(_ALL, epsilon="0.5")),
    ],
    "levels.expect_sensitivity_to_follow_bounds": [
        with_level(_REQUESTS, largest=1),
        with_level(_IN_SECTIONS, largest=1),
        with_level(_BY_SECTION, cells=1),
        with_level(_REVENUE, cells=3),
        with_level(_ALL, limit=2, largest=2),
        with_level(_BY_SECTION, scope=Scope.ALL, cells=1),
    ],
    "levels.expect_deviation_to_follow_scale": [
        with_level(_ALL, noise_sd=1.0),
        with_level(_REVENUE, noise_sd=1.0),
        _gaussian(with_level(_REVENUE, noise_sd=401.0)),
    ],
    "levels.expect_people_alone_to_select": [
        with_level(_ALL, threshold=K - 1),
        with_level(_REVENUE, threshold=1),
        with_level(_REVENUE, delta_selection="1e-09"),
    ],
    "levels.expect_threshold_to_keep_delta": [
        _threshold_less(_ALL, 1),
        _threshold_less(_IN_SECTIONS, 1),
        _threshold_less(_BY_SECTION, 1),
        _gaussian(_threshold_less(_ALL, 1)),
        _gaussian(_threshold_less(_BY_SECTION, 1)),
    ],
    "entitlements.expect_column_values_to_be_in_set.audience": [with_header(audiences={"everybody": ("by_country",)})],
    "entitlements.expect_column_values_to_be_in_set.table": [with_header(audiences={"partner": ("by_person",)})],
}
