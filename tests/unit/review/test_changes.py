from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.privacy.chain import Entry, EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.release.artefact import PrivateRelease
from pipeline.review.changes import changes, previous_key, previous_release, previous_when_checked
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import TOTAL_KEY
from tests.reviewing import draw, specification
from tests.unit.validation.breakages import US, WITHHELD, put
from tests.unit.validation.made_releases import LAPLACE, Made, Rows, good_release, header_of, of_period, people

NAME = "weekly_audience"
KEY = ReleaseKey(NAME, "2026-W41")


def _entries(*told: tuple[EntryKind, str, int], release: str = NAME) -> list[Entry]:
    return [
        Entry(number, "2026-11-01T00:00:00+00:00", kind, ReleaseKey(release, period, revision), {}, "", "")
        for number, (kind, period, revision) in enumerate(told, start=1)
    ]


def _published(*periods: str) -> list[Entry]:
    return _entries(*((EntryKind.PUBLISHED, period, 1) for period in periods))


def test_the_release_before_is_of_the_latest_earlier_period_that_was_published() -> None:
    entries = _published("2026-W39", "2026-W42", "2026-W38", "2026-W41")
    assert previous_key(entries, KEY) == ReleaseKey(NAME, "2026-W39")
    assert previous_key(entries, ReleaseKey(NAME, "2026-W41", 3)) == ReleaseKey(NAME, "2026-W39")
    assert previous_key(entries, ReleaseKey(NAME, "2026-W38")) is None


def test_weeks_are_ordered_over_the_turn_of_the_year() -> None:
    entries = _published("2025-W52", "2026-W01")
    assert previous_key(entries, ReleaseKey(NAME, "2026-W02")) == ReleaseKey(NAME, "2026-W01")
    assert previous_key(entries[:1], ReleaseKey(NAME, "2026-W01")) == ReleaseKey(NAME, "2025-W52")


def test_what_is_not_published_or_is_another_release_is_not_the_one_before() -> None:
    entries = _entries((EntryKind.DRAWN, "2026-W40", 1), (EntryKind.APPROVED, "2026-W40", 1))
    assert previous_key(entries, KEY) is None
    assert previous_key(_entries((EntryKind.PUBLISHED, "2026-W40", 1), release="monthly"), KEY) is None
    assert previous_key(_entries((EntryKind.PUBLISHED, "2026-09", 1)), KEY) is None  # another length


def test_of_a_period_the_newest_revision_that_was_published_counts() -> None:
    published = [(EntryKind.PUBLISHED, "2026-W40", revision) for revision in (1, 3, 2)]
    entries = _entries(*published, (EntryKind.DRAWN, "2026-W40", 4))
    assert previous_key(entries, KEY) == ReleaseKey(NAME, "2026-W40", 3)


def test_a_period_whose_newest_is_withdrawn_is_passed_over() -> None:
    entries = _entries(
        (EntryKind.PUBLISHED, "2026-W39", 1),
        (EntryKind.PUBLISHED, "2026-W40", 1),
        (EntryKind.PUBLISHED, "2026-W40", 2),
        (EntryKind.WITHDRAWN, "2026-W40", 2),
    )
    assert previous_key(entries, KEY) == ReleaseKey(NAME, "2026-W39")
    assert previous_key(entries[:3], KEY) == ReleaseKey(NAME, "2026-W40", 2)


def _publish(ledger: Ledger, period: str) -> ReleaseKey:
    key = _draw(ledger, period)
    ledger.record(EntryKind.PUBLISHED, key, {})
    return key


def _draw(ledger: Ledger, period: str) -> ReleaseKey:
    key = ReleaseKey(NAME, period)
    draw(ledger, key, specification(release=NAME), content=of_period(good_release(), period).to_bytes())
    return key


def test_the_release_before_is_read_from_the_ledger() -> None:
    ledger = Ledger.in_memory()
    key = _draw(ledger, "2026-W41")
    assert previous_release(ledger, key) is None
    before = _publish(ledger, "2026-W40")
    found = previous_release(ledger, key)
    assert found is not None
    assert found.key == before


def test_what_is_published_or_withdrawn_after_the_first_check_changes_nothing_about_it() -> None:
    ledger = Ledger.in_memory()
    first, key = _publish(ledger, "2026-W39"), _draw(ledger, "2026-W41")
    ledger.record_checks(key, b"[]", passed=True)
    _publish(ledger, "2026-W40")
    ledger.record(EntryKind.WITHDRAWN, first, {})
    ledger.record_checks(key, b"[1]", passed=True)
    for found, period in ((previous_when_checked, "2026-W39"), (previous_release, "2026-W40")):
        release = found(ledger, key)
        assert release is not None
        assert release.header.period == period


def test_of_what_was_never_checked_the_release_before_is_that_of_now() -> None:
    ledger = Ledger.in_memory()
    key = _draw(ledger, "2026-W41")
    _publish(ledger, "2026-W40")
    found = previous_when_checked(ledger, key)
    assert found is not None
    assert found.header.period == "2026-W40"


def _told(now: PrivateRelease, before: PrivateRelease, table: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """What is told of a table, by its keys and the measure."""
    found = {change.facts.name: change for change in changes(now, before).tables}[table]
    names = [*found.facts.dimensions, "measure"]
    records: list[dict[str, Any]] = found.rows.to_dict("records")  # type: ignore[assignment]  # names are texts
    return {tuple(record[name] for name in names): record for record in records}


def test_each_difference_stands_beside_its_noise() -> None:
    now = good_release()
    before = put("by_country", ("DE",), value=290, estimate=291.0)(of_period(now, "2026-W40"))
    told = changes(now, before)
    assert (told.now, told.before) == (KEY, ReleaseKey(NAME, "2026-W40"))
    row = _told(now, before, "by_country")["DE", "people"]
    sd = LAPLACE["people"].sd
    assert (row["value"], row["value_before"], row["difference"]) == (300, 290, 10)
    assert row["z"] == pytest.approx((300 - 291) / np.hypot(sd, sd))
    assert row["exceeds_noise"]
    assert not any(row["exceeds_noise"] for row in _told(now, now, "by_country").values())


def test_a_fall_exceeds_noise_as_a_rise_does() -> None:
    now = good_release()
    before = put("by_country", ("DE",), value=310, estimate=310.0)(now)
    row = _told(now, before, "by_country")["DE", "people"]
    assert (row["difference"], bool(row["exceeds_noise"])) == (-10, True)
    assert row["z"] < 0


def test_what_one_release_withholds_is_listed_without_a_difference() -> None:
    now, before = good_release(), good_release()
    for changed, gone in ((put("by_country", ("DE",), **WITHHELD)(now), True), (now, False)):
        then = before if gone else put("by_country", ("DE",), **WITHHELD)(before)
        row = _told(changed, then, "by_country")["DE", "people"]
        assert pd.isna(row["value"]) is gone
        assert pd.isna(row["value_before"]) is not gone
        assert pd.isna(row["difference"])
        assert np.isnan(row["z"])
        assert not row["exceeds_noise"]
    assert ("GB", "people") not in _told(now, before, "by_country")  # withheld in both


def test_rows_are_in_the_order_of_the_table_and_those_that_are_gone_come_last() -> None:
    now = put("by_country", (TOTAL_KEY,), **WITHHELD)(good_release())
    rows = _told(now, good_release(), "by_country")
    assert [key for key, _ in rows] == ["DE", "US", "all other", TOTAL_KEY]


def test_every_measure_is_told_with_its_mean() -> None:
    now = good_release()
    rows = _told(now, put("by_system", US, "requests_each", value=2.0, estimate=2.0)(now), "by_system")
    assert rows["US", TOTAL_KEY, "requests_each"]["exceeds_noise"]
    assert {measure for *_, measure in rows} == {"people", "requests", "requests_each"}


def test_the_withheld_shares_of_both_are_told() -> None:
    now = good_release()
    before = put("by_country", ("DE",), **WITHHELD)(now)
    change = changes(now, before).tables[0]
    assert (change.withheld, change.withheld_before) == (0.5, 0.75)


def test_without_noise_any_difference_exceeds_it() -> None:
    now = put("by_country", ("DE",), noise_sd=0.0)(good_release())
    assert not any(row["exceeds_noise"] for row in _told(now, now, "by_country").values())
    row = _told(now, put("by_country", ("DE",), estimate=299.0)(now), "by_country")["DE", "people"]
    assert row["z"] == np.inf
    assert row["exceeds_noise"]


def test_of_unchanged_groups_one_in_twenty_seems_to_have_changed() -> None:
    source, size, crowd = np.random.default_rng(20_261_005), 10_000, people(LAPLACE["people"])
    keys = tuple(f"key {number}" for number in range(size))
    releases = []
    for estimates in 5000 + source.laplace(scale=crowd.noise.scale, size=(2, size)):
        rows: Rows = {
            (key,): ("group", {"people": (round(one), one, 1)}) for key, one in zip(keys, estimates, strict=True)
        }
        made = Made("by_key", ("key",), (keys,), 1, (crowd,), rows)
        releases.append(PrivateRelease(header_of([made], audiences={"partner": ("by_key",)}), {"by_key": made.frame()}))
    rows_of_both = changes(*releases).tables[0].rows
    # the difference of two Laplace variables is beyond x deviations with probability (1 + x) exp(-2 x)
    assert rows_of_both["exceeds_noise"].mean() == pytest.approx((1 + 1.96) * np.exp(-2 * 1.96), abs=0.008)


def test_releases_of_something_else_have_no_table_in_common() -> None:
    now = good_release()
    other = PrivateRelease(now.header.model_copy(update={"release": "monthly"}), now.tables)
    assert changes(now, other).tables == ()


def test_changes_are_computed_without_great_expectations() -> None:
    code = "import sys, pipeline.review.changes; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
