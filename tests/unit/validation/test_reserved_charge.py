"""What a draw declares of its noise is what its reservation charges, whatever is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.library import own_offer, release
from pipeline.periods import Period, PeriodKind
from pipeline.privacy.accountant import Charge
from pipeline.privacy.ledger import Ledger
from pipeline.release.artefact import PrivateRelease
from pipeline.site import BudgetCap
from pipeline.spec import BoundSpecification, ReleaseKey, ReleaseSpecification, bind_to
from pipeline.validation.release import check_release
from pipeline.workspace import Workspace
from tests.unit.validation.made_releases import charge_of, gaussian_release, good_release

OCTOBER = Period.parse("2026-10")
COUNTRIES, PRODUCTS = ("AT", "CH", "DE"), ("atlas", "book", "map")
_REVENUE = {"kind": "sum", "name": "revenue", "title": "Revenue", "of": "cents", "max_in_all": 5000}
_ORDERS = {"kind": "events", "name": "orders", "title": "Orders", "max_per_group": 3}
_EACH = {"kind": "mean", "name": "each", "title": "Orders each", "of": "orders", "per": "people"}
TABLES: list[dict[str, Any]] = [
    {"name": "by_country", "title": "By country", "dimensions": ["country"], "measures": [_ORDERS, _EACH]},
    {"name": "by_plan", "title": "By plan", "dimensions": ["country", "plan"], "measures": [_REVENUE]},
    {"name": "by_product", "title": "By product", "dimensions": ["product"], "max_groups": 2, "measures": [_REVENUE]},
]


def _bound(noise: str) -> BoundSpecification:
    offer = own_offer(
        PeriodKind.MONTH,
        {"country": COUNTRIES, "plan": ("free", "paid"), "product": PRODUCTS},
        BudgetCap(epsilon=20, delta=1e-4),
        many=["product"],
        quantities={"cents": "0.01 EUR"},
    )
    document = {
        "release": "buyers",
        "title": "Buyers",
        "description": "Who bought in a month.",
        "owner": "Sales",
        "purpose": "aggregated demographics",
        "population": "customers",
        "period": "month",
        "privacy": {"epsilon": 3, "delta": 1e-5, "k": 20, "noise": noise},
        "tables": TABLES,
        "audiences": {"partner": ["by_country"]},
    }
    return bind_to(ReleaseSpecification.model_validate(document), offer)


def _drawn(noise: str) -> tuple[PrivateRelease, Charge]:
    people = pd.DataFrame({"person": range(3000), "country": COUNTRIES * 1000, "plan": ["free", "paid"] * 1500})
    orders = pd.DataFrame({"person": range(3000), "product": PRODUCTS * 1000, "cents": 1999})
    ledger = Ledger.in_memory()
    drawn = release(_bound(noise), OCTOBER, ledger, people=people, events=orders)
    reserved = {key: reservation.charge for key, reservation in ledger.reservations()}
    return drawn, reserved[ReleaseKey("buyers", "2026-10")]


@pytest.mark.parametrize("noise", ["discrete Laplace", "discrete Gaussian"])
@pytest.mark.usefixtures("without_docs")
def test_what_is_drawn_costs_what_was_reserved(noise: str, tmp_path: Path) -> None:
    (drawn, reserved), (before, _) = _drawn(noise), _drawn(noise)
    before = PrivateRelease(before.header.model_copy(update={"period": "2026-09"}), before.tables)
    verdicts = check_release(Workspace(tmp_path), drawn, before, reserved=reserved).require()
    assert not verdicts.warnings  # two draws of the same people
    cheaper = reserved.model_copy(update={"delta": reserved.delta / 2})
    unpaid = check_release(Workspace(tmp_path), drawn, before, reserved=cheaper)
    assert [check.check for check in unpaid.failed] == [
        "What the noise costs, and each rule, is what the ledger reserved for it before anything was drawn"
    ]


def test_the_charges_of_the_made_releases_are_those_counted_by_hand() -> None:
    laplace, gaussian = charge_of(good_release().header), charge_of(gaussian_release().header)
    assert (laplace.counts, laplace.pure) == ({"0.5": 3, "0.25": 5}, {"0.5": 4, "0.75": 1, "0.25": 2})
    assert laplace.delta == pytest.approx(1.4e-6)
    assert gaussian.gaussians == {
        "10.0:1": 3, "50.0:5": 3, "20.0:3": 1, "20.0:1": 3, "400.0:40": 2, "16.0:2": 1, "16.0:1": 2
    }  # fmt: skip
