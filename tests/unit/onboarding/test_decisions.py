import math

import pytest

from pipeline.onboarding.decisions import round_edges
from pipeline.onboarding.wording import key_rank, reason_by_name, slug, table_rank


@pytest.mark.parametrize(
    ("low", "high", "edges"),
    [
        (10_000, 130_000, (20_000, 40_000, 60_000, 80_000, 100_000, 120_000)),
        (18, 75, (20, 40, 60)),
        (0, 7, (1, 2, 3, 4, 5, 6, 7)),
        (0, 1.5, ()),
        (math.nan, math.nan, ()),
    ],
)
def test_edges_are_round_whatever_the_numbers(low: float, high: float, edges: tuple[int, ...]) -> None:
    assert round_edges(low, high) == edges


def test_edges_do_not_move_with_a_few_people() -> None:
    assert round_edges(10_000, 128_000) == round_edges(10_400, 131_234) == round_edges(12_000, 139_999)


@pytest.mark.parametrize(
    "name",
    ["FirstName", "last_name", "EmailAddress", "e-mail", "Phone", "mobile_no", "BirthDate", "dob", "PostalCode", "zip",
     "City", "State", "Company", "ip", "password_hash", "notes", "Fax", "religion", "Prefix", "full name", "Surname"],
)  # fmt: skip
def test_a_name_that_points_at_people_is_a_reason(name: str) -> None:
    assert reason_by_name(name)


@pytest.mark.parametrize("name", ["Country", "plan_name", "Gender", "AnnualIncome", "signed_up", "Occupation", "seats"])
def test_an_ordinary_name_is_none(name: str) -> None:
    assert reason_by_name(name) is None


def test_the_customers_own_key_is_preferred() -> None:
    ranks = [key_rank(name) for name in ("CustomerKey", "customerid", "SupportRepId", "serial_no", "paid", "monkey")]
    assert ranks == [4, 4, 2, 1, 0, 0]


def test_tables_of_other_things_do_not_look_like_customers() -> None:
    columns = ("id", "email", "country")
    assert table_rank("Customers", columns) > table_rank("users", columns) > 0
    assert (
        table_rank("customer_orders", columns) == table_rank("employees", columns) == table_rank("genre", ("id",)) == 0
    )


def test_a_dimension_has_a_plain_name() -> None:
    assert [slug(name, 3) for name in ("MaritalStatus", "Tarif (neu)", "Größe", "2nd", "国")] == [
        "marital_status", "tarif_neu", "gro_e", "column_3", "column_3",
    ]  # fmt: skip
