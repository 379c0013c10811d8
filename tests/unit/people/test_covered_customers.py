"""Of customers those count whom a version binds that covers the release, and of orders theirs alone."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.deidentify.places import Folder
from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import Staging
from pipeline.deidentify.tables import EVENTS, PERSONS
from pipeline.errors import StagingError
from pipeline.people import duckdb_staging
from pipeline.people.bounding import bounded_groups, require_dimensions
from pipeline.periods import Period
from pipeline.policy import NO_VERSION
from pipeline.site import SiteFile
from pipeline.spec import BoundSpecification, ReleaseSpecification, bind
from pipeline.vocabulary import Population
from tests.builders import StagingOf, pseudonym, specification_document
from tests.staged import folder_of, put_staging, put_table

OCTOBER = Period.parse("2026-10")
# Number of the customer, who has one plan each, so that counts tell who counted.
VERSIONS = {0: "", 1: "v1", 2: "v2", 3: "v1 v2", 4: "v10", 5: "v3"}
PLANS = [f"plan {number}" for number in VERSIONS]
SITE: dict[str, Any] = {
    "site": "Test shop",
    "customers": {
        "source": {"kind": "csv", "path": "customers.csv"},
        "person": "id",
        "dimensions": {"plan": {"kind": "category", "column": "plan", "title": "Plan", "values": PLANS}},
        "orders": {
            "source": {"kind": "csv", "path": "orders.csv"},
            "person": "customer",
            "placed": "date",
            "product": "item",
            "products": ["editor", "compiler"],
            "amount": {"column": "total", "currency": "EUR"},
        },
    },
    "budget": {"customers": {"epsilon": 10, "delta": 1e-6}},
}
REVENUE = {"kind": "sum", "name": "revenue", "title": "Revenue", "of": "revenue", "max_per_group": 1_000}


@pytest.fixture
def bound() -> BoundSpecification:
    document = specification_document(
        release="customers",
        population="customers",
        period="month",
        tables=[
            {"name": "by_plan", "title": "By plan", "dimensions": ["plan"], "measures": [REVENUE]},
            {"name": "by_product", "title": "By product", "dimensions": ["product"], "max_groups": 2},
        ],
        audiences={"partner": ["by_plan"]},
    )
    return bind(ReleaseSpecification.model_validate(document), SiteFile.model_validate(SITE))


@pytest.fixture
def staging(tmp_path: Path) -> Staging:
    """A customer for each of ``VERSIONS``; the amount of a customer's one order is 2 to the power of their number."""
    people = [pseudonym(number) for number in VERSIONS]
    persons = {"person": people, "policy_versions": [*VERSIONS.values()], "plan": PLANS}
    orders = {"person": people, "product": ["editor"] * 6, "revenue": [2**number for number in VERSIONS]}
    tables = {PERSONS: pa.table(persons), EVENTS: pa.table(orders)}
    return put_staging(Folder(str(tmp_path)), (Population.CUSTOMERS, OCTOBER), tables, {}, buckets=4)


def rewrite(staging: Staging, change: Callable[[pa.Table], pa.Table]) -> Staging:
    """Staging with other rows of persons."""
    assert staging.persons is not None
    persons = put_table(staging.place, PERSONS, change(staging.persons.read()), buckets=4)
    files = staging.manifest.files | {PERSONS: persons}
    return replace(staging, manifest=staging.manifest.model_copy(update={"files": files}))


@pytest.fixture(params=[duckdb_staging.MEMORY_A_ROW, 10**9], ids=["all at once", "each bucket alone"])
def buckets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_staging, "MEMORY_A_ROW", request.param)


def counted(bound: BoundSpecification, staging: Staging, secret: PeriodKey, covering: Collection[str]) -> set[int]:
    """Who counted, by all levels alike."""
    levels = bounded_groups(bound, staging, secret, folder_of(staging) / "spill", covering=covering).levels
    by_plan = [frame for key, frame in levels.items() if key.dimensions == ("plan",) and key.of_people]
    assert len(by_plan) == 1
    found = {PLANS.index(plan) for plan in by_plan[0]["plan"]}
    totals = {key: frame["contributions"].sum() for key, frame in levels.items()}
    for key, total in totals.items():
        assert total == (len(found) if key.of_people else sum(2**number for number in found))
    return found


@pytest.mark.parametrize(
    ("covering", "who"),
    [
        ({"v1"}, {1, 3}),
        ({"v2"}, {2, 3}),
        ({"v1", "v2"}, {1, 2, 3}),
        ({"v3"}, {5}),
        ({"v1", "v2", "v3", "v10"}, {1, 2, 3, 4, 5}),
        ({"v1", "v2", "v3", "v10", NO_VERSION}, {0, 1, 2, 3, 4, 5}),
        ({NO_VERSION}, {0}),
        ({"v1 v2"}, set()),  # no version is named so
    ],
)
@pytest.mark.usefixtures("buckets")
def test_those_count_whom_a_covering_version_binds(
    bound: BoundSpecification, staging: Staging, secret: PeriodKey, covering: set[str], who: set[int]
) -> None:
    assert counted(bound, staging, secret, covering) == who


@pytest.mark.usefixtures("engine")
def test_of_customers_nobody_counts_unless_it_is_said_who(
    bound: BoundSpecification, staging: Staging, secret: PeriodKey
) -> None:
    levels = bounded_groups(bound, staging, secret, folder_of(staging) / "spill").levels
    assert all(frame.empty for frame in levels.values())


@pytest.mark.usefixtures("engine")
def test_a_customer_of_a_missing_value_does_not_count(
    bound: BoundSpecification, staging: Staging, secret: PeriodKey
) -> None:
    def without_value(persons: pa.Table) -> pa.Table:
        told = [value or None for value in persons["policy_versions"].to_pylist()]
        return persons.set_column(1, "policy_versions", pa.array(told))

    assert counted(bound, rewrite(staging, without_value), secret, {"v1", NO_VERSION}) == {1, 3}


@pytest.fixture
def without_versions(staging: Staging) -> Staging:
    return rewrite(staging, lambda persons: persons.drop_columns(["policy_versions"]))


def test_staging_without_versions_is_refused_before_anything_is_spent(
    bound: BoundSpecification, without_versions: Staging
) -> None:
    with pytest.raises(StagingError, match=r"no policy_versions in customers of 2026-10\. Ingest the period again"):
        require_dimensions(bound, without_versions)


@pytest.mark.usefixtures("engine")
def test_nobody_is_counted_from_staging_without_versions(
    bound: BoundSpecification, without_versions: Staging, secret: PeriodKey
) -> None:
    with pytest.raises(StagingError, match="readable"):
        counted(bound, without_versions, secret, {"v1"})


def test_visitors_are_bound_by_no_version_of_their_own(
    site: SiteFile, staging_of: StagingOf, secret: PeriodKey, tmp_path: Path
) -> None:
    bound = bind(ReleaseSpecification.model_validate(specification_document()), site)
    levels = bounded_groups(bound, staging_of([{"person": 1}]), secret, tmp_path / "spill").levels
    assert not any(frame.empty for frame in levels.values())
