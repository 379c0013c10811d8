"""Shares, indices and changes: worked out from published numbers, with their intervals."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.periods import Period
from pipeline.publication.cuts import Cut
from pipeline.publication.derived.across import changes, previous, year_before
from pipeline.publication.derived.history import history, history_csv
from pipeline.publication.derived.ratios import Noisy, difference, double_quotient, quotient
from pipeline.publication.derived.within import within
from pipeline.publication.reading import ReadBundle, read_bundle
from pipeline.publication.views import view
from pipeline.vocabulary import Audience
from tests.delivering import DeliveredSite, sample

PRODUCT = "weekly_audience"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    made = DeliveredSite(tmp_path_factory.mktemp("site"))
    ana = made.reviewer()
    made.deliver(sample(PRODUCT), "2026-W41", ana, people=30_000)
    made.deliver(sample(PRODUCT), "2026-W42", ana, people=33_000)
    made.deliver(sample("monthly_customers"), "2026-10", ana, people=30_000)
    return made


def bundle(site: DeliveredSite, product: str = PRODUCT, period: str = "2026-W41") -> ReadBundle:
    return read_bundle(site.workspace.bundle("partner", product, period, 1))


def derived(found: ReadBundle) -> pd.DataFrame:
    return within(found.manifest.tables, found.tables)


def noisy(value: float, half: float) -> Noisy:
    return Noisy(np.array([value], float), np.array([half], float))


def numbers(interval: Any) -> tuple[float, float, float]:
    return float(interval.value[0]), float(interval.low[0]), float(interval.high[0])


def test_a_quotient_of_sure_numbers_is_sure() -> None:
    assert numbers(quotient(noisy(30, 0), noisy(120, 0))) == (0.25, 0.25, 0.25)


def test_a_quotient_holds_what_is_not_farther_from_zero_than_its_noise() -> None:
    value, low, high = numbers(quotient(noisy(300, 30), noisy(1000, 40)))
    assert value == 0.3
    for end in (low, high):
        assert abs(300 - end * 1000) == pytest.approx(math.hypot(30, end * 40))
    assert low < value < high


def test_a_quotient_by_what_may_be_zero_is_not_told() -> None:
    assert all(map(math.isnan, numbers(quotient(noisy(30, 1), noisy(40, 40)))))


def test_an_index_of_equal_frequencies_is_100() -> None:
    found = double_quotient((noisy(50, 1), noisy(1000, 5)), (noisy(100, 2), noisy(500, 3)), 100)
    value, low, high = numbers(found)
    assert value == 100
    assert math.log(high / value) == pytest.approx(math.sqrt(0.02**2 + 0.005**2 + 0.02**2 + 0.006**2))
    assert low * high == pytest.approx(value**2)


def test_noise_of_a_difference_adds_up_as_squares() -> None:
    assert numbers(difference(noisy(130, 3), noisy(100, 4))) == (30, 25, 35)


def test_shares_of_a_table_over_people_add_up_to_one(site: DeliveredSite) -> None:
    found = derived(bundle(site))
    shares = found[(found["table"] == "visitors_by_browser") & (found["statistic"] == "share of all")]
    assert shares["value"].sum() == pytest.approx(1, abs=1e-5)
    assert (shares["value_lo"] <= shares["value"]).all()
    assert (shares["value"] <= shares["value_hi"]).all()


def test_shares_of_a_parent_add_up_to_one_within_each(site: DeliveredSite) -> None:
    found = derived(bundle(site))
    of_parent = found[(found["table"] == "visitors_by_country_and_system") & (found["statistic"] == "share of parent")]
    sums = of_parent.groupby("country")["value"].sum()
    assert len(sums) > 3
    assert sums.to_numpy(float) == pytest.approx(np.ones(len(sums)), abs=1e-4)


def test_an_index_compares_a_part_with_everybody(site: DeliveredSite) -> None:
    read = bundle(site)
    found = derived(read)
    one = found[(found["table"] == "visitors_by_country_and_system") & (found["statistic"] == "index")].iloc[0]
    tables = {name: frame.set_index([*frame.columns[2:-12]])["value"] for name, frame in read.tables.items()}
    country, system = one["country"], one["operating_system"]
    part, parent = (tables["visitors_by_country_and_system"][country, key] for key in (system, "all"))
    all_of_it, everybody = (tables["visitors_by_system"][key] for key in (system, "all"))
    assert one["value"] == pytest.approx(100 * (part / parent) / (all_of_it / everybody), abs=0.01)


def test_sums_and_means_have_an_index_against_everybody(site: DeliveredSite) -> None:
    found = derived(bundle(site, "monthly_customers", "2026-10"))
    indices = found[(found["table"] == "customers_by_product") & (found["statistic"] == "index")]
    assert {"orders", "revenue", "revenue_per_order"} <= set(indices["measure"])
    assert indices["value"].between(10, 1000).all()


def test_where_totals_are_cut_away_nothing_is_told_and_nothing_fails(site: DeliveredSite) -> None:
    release = site.release(site.ledger.standing(PRODUCT, "2026-W41"))
    for cut in (
        Cut(Audience.RESELLER, rows={"country": ("DE", "FR")}),
        Cut(Audience.RESELLER, tables=("visitors_by_country",), columns={"visitors_by_country": ("country",)}),
    ):
        shown = view(release, Audience.RESELLER, cut)
        found = within(shown.header.tables, shown.tables)
        assert list(found.columns)[:3] == ["period_start", "period_end", "table"]
        assert found.empty or "index" in set(found["statistic"]) or "share of all" in set(found["statistic"])
        if cut.rows:
            assert "share of all" not in set(found["statistic"])


@pytest.mark.parametrize(
    ("period", "before", "year"),
    [
        ("2026-W41", "2026-W40", "2025-W41"),
        ("2027-W01", "2026-W53", "2026-W01"),
        ("2026-W53", "2026-W52", None),
        ("2026-01", "2025-12", "2025-01"),
        ("2028-02-29", "2028-02-28", None),
        ("2026-03-01", "2026-02-28", "2025-03-01"),
    ],
)
def test_periods_before(period: str, before: str, year: str | None) -> None:
    assert str(previous(Period.parse(period))) == before
    found = year_before(Period.parse(period))
    assert (str(found) if found else None) == year


def test_a_change_beyond_the_noise_rises_and_one_within_it_does_not(site: DeliveredSite) -> None:
    found = changes(bundle(site, period="2026-W42"), bundle(site), "visitors_by_browser").set_index("browser")
    total = found.loc["all"]
    assert total["verdict"] == "rises"
    assert total["percent"] == pytest.approx(10, abs=1)
    assert total["change"] == total["value"] - total["before"]
    same = changes(bundle(site), bundle(site), "visitors_by_browser")
    assert set(same["verdict"]) <= {"within the noise", "not comparable"}
    back = changes(bundle(site), bundle(site, period="2026-W42"), "visitors_by_browser").set_index("browser")
    assert back.loc["all"]["verdict"] == "falls"


def test_what_cannot_be_compared_says_why(site: DeliveredSite) -> None:
    now, before = bundle(site, period="2026-W42"), bundle(site)
    found = changes(now, before, "visitors_by_country")
    withheld = found[found["value"].isna()]
    assert set(withheld["verdict"]) == {"not comparable"}
    assert withheld["change"].isna().all()
    facts = [one.model_copy(update={"max_groups": 9}) for one in before.manifest.tables]
    other = replace(before, manifest=before.manifest.model_copy(update={"tables": tuple(facts)}))
    bounded = changes(now, other, "visitors_by_country")
    assert set(bounded["note"]) == {"it was counted within other bounds"}
    assert set(bounded["verdict"]) == {"not comparable"}
    gone = replace(before, manifest=before.manifest.model_copy(update={"tables": ()}))
    assert set(changes(now, gone, "visitors_by_country")["note"]) == {"the table was another one"}


def test_a_history_holds_all_rows_of_all_periods(site: DeliveredSite) -> None:
    bundles = [bundle(site, period="2026-W42"), bundle(site)]
    found = history(bundles)
    assert len(found) == sum(len(frame) for one in bundles for frame in one.tables.values())
    assert list(dict.fromkeys(found["period"])) == ["2026-W41", "2026-W42"]
    text = history_csv(history(bundles, "visitors_by_browser"))
    assert text.startswith(b"\xef\xbb\xbfperiod,period_start,period_end,table,browser,measure,")
    assert b"\r\n" in text
    assert dt.date.fromisoformat(str(found["period_start"].iloc[0])) == dt.date(2026, 10, 5)
