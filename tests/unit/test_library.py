import doctest
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from pipeline import library
from pipeline.errors import BudgetError, LedgerError, StagingError
from pipeline.library import own_offer, release
from pipeline.periods import Period, PeriodKind
from pipeline.privacy.ledger import Ledger
from pipeline.site import BudgetCap
from pipeline.spec import BoundSpecification, ReleaseSpecification, bind_to

MONTH = Period.parse("2026-10")
COUNTRIES = ("AT", "CH", "DE")


def told(table: str, by: str, ledger: Ledger | None = None, **given: Any) -> Any:
    """A table of a fresh release, by its keys."""
    drawn = release(given.pop("bound", bound()), MONTH, ledger or Ledger.in_memory(), **given)
    return drawn.tables[table].set_index(by)


def bound(**changes: Any) -> BoundSpecification:
    offer = own_offer(
        PeriodKind.MONTH,
        {"country": COUNTRIES, "product": ("book", "map"), "town": None},
        BudgetCap(epsilon=4, delta=1e-4),
        many=["product", "town"],
        quantities={"cents": "0.01 EUR"},
    )
    document: dict[str, Any] = {
        "release": "buyers",
        "title": "Buyers",
        "description": "Who bought in a month.",
        "owner": "Sales",
        "purpose": "aggregated demographics",
        "population": "customers",
        "period": "month",
        "privacy": {"epsilon": 2, "delta": 1e-5, "k": 20},
        "tables": [{"name": "by_country", "title": "By country", "dimensions": ["country"]}],
        "audiences": {"partner": ["by_country"]},
    }
    return bind_to(ReleaseSpecification.model_validate(document | changes), offer)


BY_PRODUCT = {
    "tables": [
        {
            "name": "by_product",
            "title": "By product",
            "dimensions": ["product"],
            "max_groups": 1,
            "measures": [{"kind": "sum", "name": "revenue", "title": "Revenue", "of": "cents", "max_per_group": 5000}],
        }
    ],
    "audiences": {"partner": ["by_product"]},
}


def people(number: int = 900) -> Any:
    return pd.DataFrame(
        {
            "person": [f"person {one}" for one in range(number)],
            "country": [COUNTRIES[one % 3] for one in range(number)],
            "name": "not read",
        }
    )


def orders(number: int = 900) -> Any:
    products = ["book" if one % 2 else "map" for one in range(number)]
    return pd.DataFrame({"person": range(number), "product": products, "cents": 1999})


def test_the_example_of_the_documentation_runs() -> None:
    found = doctest.testmod(library)
    assert found.attempted > 10
    assert not found.failed


def test_people_are_counted_once_each_near_the_truth() -> None:
    table = told("by_country", "country", people=people())
    assert abs(table.loc["all", "value"] - 900) < 100
    assert abs(table.loc["DE", "value"] - 300) < 100


def test_a_file_gives_what_a_frame_gives(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    people().to_parquet(path)
    for records in (people(), pa.Table.from_pandas(people()), path, people().astype({"country": "category"})):
        table = told("by_country", "country", people=records)
        assert abs(table.loc["all", "value"] - 900) < 100


def test_without_a_column_of_persons_each_row_is_one(tmp_path: Path) -> None:
    path, frame = tmp_path / "people.parquet", people().drop(columns="person")
    frame.to_parquet(path)
    for records in (frame, path):
        table = told("by_country", "country", people=records)
        assert abs(table.loc["all", "value"] - 900) < 100


def test_events_alone_are_folded_to_people() -> None:
    events = pd.concat([people(), people(), people().assign(country="AT")])
    table = told("by_country", "country", events=events)
    assert abs(table.loc["all", "value"] - 900) < 100
    assert abs(table.loc["DE", "value"] - 300) < 100


def test_events_are_bounded_and_summed() -> None:
    events = pd.concat([orders()] * 4)
    rows = told("by_product", "measure", bound=bound(**BY_PRODUCT), events=events)
    revenue = rows[rows["product"] == "all"].loc["revenue", "value"]
    assert abs(revenue / 100 - 900 * 50) < 10_000  # 4 x 19.99 is cut to 50


def test_the_same_release_again_is_the_recorded_one_whatever_is_passed() -> None:
    ledger = Ledger.in_memory()
    first = release(bound(), MONTH, ledger, people=people())
    again = release(bound(), MONTH, ledger, people=people(100))
    assert again.to_bytes() == first.to_bytes()
    assert len(ledger.reservations()) == 1


def test_two_draws_are_not_alike() -> None:
    drawn = {release(bound(), MONTH, Ledger.in_memory(), people=people()).to_bytes() for _ in range(20)}
    assert len(drawn) > 5  # noise of a unit or two makes some of them equal


def test_the_cap_holds_and_nothing_is_drawn_beyond_it() -> None:
    ledger, period = Ledger.in_memory(), MONTH
    release(bound(), period, ledger, people=people())
    with pytest.raises(BudgetError):  # noqa: PT012  it is refused once the year is full
        for _ in range(12):
            period = period.next
            release(bound(), period, ledger, people=people())
    assert ledger.artefact(ledger.standing("buyers", str(period))) is None


def test_another_specification_does_not_pass_for_the_drawn_one() -> None:
    ledger = Ledger.in_memory()
    release(bound(), MONTH, ledger, people=people())
    with pytest.raises(LedgerError, match="keeps its parameters"):
        release(bound(privacy={"epsilon": 1, "delta": 1e-5, "k": 20}), MONTH, ledger, people=people())


def test_the_same_secret_chooses_the_same_groups() -> None:
    both = pd.concat([orders(), orders().assign(product="book"), orders().assign(product="map")])
    exact = bound(**BY_PRODUCT, privacy={"epsilon": 3.9, "delta": 9e-5, "k": 20})
    drawn = [told("by_product", "measure", bound=exact, events=both, secret=b"s" * 32) for _ in range(2)]
    assert abs(drawn[0]["estimate"].iloc[2] - drawn[1]["estimate"].iloc[2]) < 30


@pytest.mark.parametrize("open_town", ["", "all", "all other"])
def test_a_key_that_stands_for_totals_is_refused(open_town: str) -> None:
    table = {"name": "by_town", "title": "By town", "dimensions": ["town"], "max_groups": 1}
    events = pd.DataFrame({"person": range(200), "town": ["Graz", open_town or "Wien"] * 100})
    by_town = bound(tables=[table], audiences={"partner": ["by_town"]})
    if open_town:
        with pytest.raises(StagingError, match="town may not be"):
            release(by_town, MONTH, Ledger.in_memory(), events=events)
    else:
        drawn = told("by_town", "kind", bound=by_town, events=events)
        assert set(drawn["town"]) <= {"all", "Graz", "Wien", "all other"}


def refused(match: str, **given: Any) -> None:
    specification, ledger = given.pop("bound", bound()), Ledger.in_memory()
    with pytest.raises(StagingError, match=match) as refusal:
        release(specification, MONTH, ledger, **given)
    assert "Secretville" not in str(refusal.value)
    assert not ledger.reservations()


def test_a_missing_column_is_refused() -> None:
    refused("every column", people=people().drop(columns="country"))


def test_a_missing_person_is_refused() -> None:
    refused("name its person", people=people().assign(person=[None, *range(899)]).astype({"person": "Int64"}))


def test_a_person_that_is_a_fraction_is_refused() -> None:
    refused("name its person", people=people().assign(person=0.5))


def test_a_person_twice_among_people_is_refused() -> None:
    refused("one row a person", people=people().assign(person="Secretville"))


def test_a_key_outside_the_public_list_is_refused_without_naming_it() -> None:
    refused("on its public list", people=people().assign(country="Secretville"))


def test_a_missing_key_is_refused() -> None:
    refused("a text in every row", people=people().assign(country=None))


def test_keys_that_are_numbers_are_refused() -> None:
    refused("a text in every row", people=people().assign(country=1))


@pytest.mark.parametrize("cents", [19.99, None, "19.99", True])
def test_a_quantity_that_is_no_whole_number_is_refused(cents: object) -> None:
    refused("whole number of 64 bits", bound=bound(**BY_PRODUCT), events=orders().assign(cents=cents))


def test_a_column_of_several_types_is_refused() -> None:
    refused("one type a column", people=people().assign(country=["AT", 1, b"Secretville"] * 300))


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    path.write_text("Secretville")
    refused("readable Parquet file", people=path)


def test_nothing_given_is_refused() -> None:
    refused("come from events")
    refused("come from events", bound=bound(**BY_PRODUCT), people=people())


def test_a_period_of_another_length_is_refused() -> None:
    with pytest.raises(StagingError, match="by the month"):
        release(bound(), Period.parse("2026-W41"), Ledger.in_memory(), people=people())


def test_nobody_at_all_gives_a_release_in_which_everything_is_withheld() -> None:
    table = told("by_country", "country", people=people(0))
    assert list(table["conf_status"]) == ["C"] * 4
    assert table["value"].isna().all()
