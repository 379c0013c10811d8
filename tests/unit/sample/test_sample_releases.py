"""The release specifications that the project brings fit the sample site."""

from pathlib import Path

import pytest

from pipeline.measures import Measured, Scope, Total
from pipeline.periods import PeriodKind
from pipeline.site import SiteFile, load_site
from pipeline.spec import BoundSpecification, bind, load_specifications
from pipeline.vocabulary import Audience, Population

RELEASES = Path(__file__).parents[3] / "dags" / "releases"


@pytest.fixture(scope="session")
def site(home: Path) -> SiteFile:
    return load_site(home / "site.yaml")


@pytest.fixture(scope="session")
def bound(site: SiteFile) -> dict[str, BoundSpecification]:
    return {loaded.release: bind(loaded, site) for loaded in load_specifications(RELEASES)}


def test_the_weekly_audience_fits_the_sample(bound: dict[str, BoundSpecification]) -> None:
    weekly = bound["weekly_audience"]
    assert weekly.specification.population is Population.VISITORS
    assert weekly.specification.period is PeriodKind.WEEK
    assert {table.name: table.max_groups for table in weekly.tables if not table.per_person} == {
        "visitors_by_section": 3,
        "visitors_by_referring_site": 2,
    }


def test_the_weekly_movements_fit_the_sample(bound: dict[str, BoundSpecification]) -> None:
    weekly = bound["weekly_movements"]
    assert weekly.specification.population is Population.VISITORS
    assert {table.name: table.max_groups for table in weekly.tables} == {
        "visitors_by_entry": 3,
        "visitors_by_exit": 3,
        "visitors_by_step": 4,
        "visitors_by_day": 4,
        "visitors_by_answer": 3,
    }


def test_the_monthly_customers_fit_the_sample(bound: dict[str, BoundSpecification]) -> None:
    monthly = bound["monthly_customers"]
    assert monthly.specification.population is Population.CUSTOMERS
    assert monthly.specification.period is PeriodKind.MONTH
    assert [table.name for table in monthly.tables if not table.per_person] == ["customers_by_product"]


def test_the_monthly_customers_tell_orders_and_revenue_of_products_within_bounds(
    bound: dict[str, BoundSpecification],
) -> None:
    measures = {table.name: table.measures for table in bound["monthly_customers"].tables}
    product = measures.pop("customers_by_product")
    assert [(measure.name, measure.unit) for measure in product] == [
        ("people", "customers"),
        ("orders", "orders"),
        ("revenue", "0.01 EUR"),
        ("revenue_per_order", "0.01 EUR per order"),
    ]
    drawn = {measure.name: measure.measured for measure in product if isinstance(measure, Total)}
    assert drawn["orders"] == Measured("events", 3, Scope.GROUP)
    assert drawn["revenue"] == Measured("revenue", 300_000, Scope.ALL)
    assert all([measure.name for measure in others] == ["people"] for others in measures.values())


@pytest.mark.parametrize("release", ["weekly_audience", "weekly_movements", "monthly_customers"])
def test_the_parameters_are_the_ones_that_were_agreed(release: str, bound: dict[str, BoundSpecification]) -> None:
    specification = bound[release]
    assert (specification.epsilon.value, specification.delta.value, specification.k.value) == (1.0, 1e-7, 50)


@pytest.mark.parametrize("release", ["weekly_audience", "weekly_movements", "monthly_customers"])
def test_every_audience_gets_something_and_the_partner_everything(
    release: str, bound: dict[str, BoundSpecification]
) -> None:
    audiences = bound[release].specification.audiences
    assert set(audiences) == set(Audience)
    assert set(audiences[Audience.PARTNER]) == {table.name for table in bound[release].tables}
    assert all(
        set(tables) < set(audiences[Audience.PARTNER]) for name, tables in audiences.items() if name != "partner"
    )
