import datetime as dt
import random

import duckdb
import pyarrow as pa
import pytest

from pipeline.errors import PaymentDataError
from pipeline.sources.payment import PaymentWatch, names_payment, refuse_payment_names

# Published test numbers of the schemes; the IBANs are the examples of the registry.
CARDS = ["4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005", "6011111111111117", "3530111333300000"]
IBANS = ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "FR1420041010050500013M02606"]


def look(*columns: list[str]) -> PaymentWatch:
    names = [f"column_{place}" for place in range(len(columns))]
    watch = PaymentWatch(names, "orders")
    with duckdb.connect() as connection:
        listed = ", ".join(f"unnest($c{place}) AS c{place}" for place in range(len(columns)))
        connection.execute(f"CREATE TABLE batch AS SELECT {listed}", {f"c{i}": c for i, c in enumerate(columns)})
        watch.look(connection, "batch")
    return watch


@pytest.mark.parametrize(
    "name",
    ["card_number", "CardNumber", "cardnumber", "pan", "PAN", "cvv2", "CVC", "iban", "IBAN", "customer_iban", "cc",
     "card_expiry", "account_number", "AccountNo", "sort_code", "exp_month", "card last 4", "Credit Card",
     "Kontonummer"],
)  # fmt: skip
def test_a_column_named_as_a_payment_instrument_is_recognised(name: str) -> None:
    assert names_payment(name)


@pytest.mark.parametrize(
    "name",
    ["company", "expand", "Panel", "spanish", "discard", "account_id", "cid", "card_game", "payment_method",
     "CustomerKey", "order_date", "product", "expansion", "scvx", "country_code", "account_manager"],
)  # fmt: skip
def test_an_ordinary_column_is_not_taken_for_a_payment_instrument(name: str) -> None:
    assert not names_payment(name)


def test_a_refused_header_names_the_column() -> None:
    with pytest.raises(PaymentDataError, match=r"orders: .*column 'card_number'"):
        refuse_payment_names(("order_id", "card_number"), "orders")


def test_a_header_that_may_be_a_record_is_refused_by_place() -> None:
    with pytest.raises(PaymentDataError, match="column number 2") as caught:
        refuse_payment_names(("1", "iban DE89370400440532013000"), "orders")
    assert "DE89" not in str(caught.value)


@pytest.mark.parametrize("values", [CARDS, IBANS, ["411111******1111", "XXXX-XXXX-XXXX-4242"]])
def test_a_column_of_payment_instruments_is_refused_without_its_content(values: list[str]) -> None:
    watch = look(["1"] * len(values), values)
    with pytest.raises(PaymentDataError, match="column_1") as caught:
        watch.refuse()
    assert not any(value in str(caught.value) for value in values)


def test_a_few_card_numbers_among_other_values_are_enough() -> None:
    with pytest.raises(PaymentDataError):
        look([*CARDS, *(f"product {number}" for number in range(5_000))]).refuse()


def test_long_numbers_that_pass_by_chance_are_not_refused() -> None:
    numbers = random.Random(7)  # noqa: S311 - numbers to look at
    look([str(numbers.randrange(4 * 10**15, 6 * 10**15)) for _ in range(5_000)]).refuse()
    look([f"{4 * 10**15 + number}" for number in range(500)]).refuse()
    look([f"49151{number:08d}" for number in range(500)]).refuse()


def test_what_is_no_number_of_a_scheme_is_not_refused() -> None:
    look(["4111111111111112", "DE89370400440532013001", "1234567812345670", "4.5", "2026-10-05", ""]).refuse()


def test_amounts_with_a_point_are_no_card_numbers_whatever_their_digits() -> None:
    look(
        ["411111111111.1111", "5555.555555554444", "37828224631000.5", "-6011111111111.117", "3530111333.300000"]
    ).refuse()


def test_card_numbers_that_were_read_as_fractions_are_recognised() -> None:
    with pytest.raises(PaymentDataError):
        look([f"{card.replace(' ', '').replace('-', '')}.0" for card in CARDS]).refuse()


def test_card_numbers_in_groups_with_points_are_recognised() -> None:
    with pytest.raises(PaymentDataError):
        look([card.replace(" ", ".").replace("-", ".") for card in CARDS[:2]]).refuse()


def test_batches_are_counted_together() -> None:
    watch = PaymentWatch(["number"], "orders")
    with duckdb.connect() as connection:
        for card in CARDS:
            connection.execute("CREATE OR REPLACE TABLE batch AS SELECT ? AS c0", [card])
            watch.look(connection, "batch")
        connection.execute("CREATE OR REPLACE TABLE batch AS SELECT range::VARCHAR AS c0 FROM range(10000)")
        watch.look(connection, "batch")
    with pytest.raises(PaymentDataError):
        watch.refuse()


def months(first: int, count: int, form: str) -> list[str]:
    """Months from so many after this one on: ``%m/%y``."""
    today = dt.datetime.now(dt.UTC)
    this = today.year * 12 + today.month - 1 + first
    return [dt.date(month // 12, month % 12 + 1, 1).strftime(form) for month in range(this, this + count)]


@pytest.mark.parametrize("form", ["%m/%y", "%m/%Y", "%m-%y", "%m-%Y", "%m / %y"])
def test_a_column_of_card_expiries_is_refused_without_its_content(form: str) -> None:
    values = [*months(-20, 20, form), *months(0, 40, form), "", "n/a", ""]
    with pytest.raises(PaymentDataError, match="column_1") as caught:
        look(["1"] * len(values), values).refuse()
    assert months(3, 1, form)[0] not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        months(-60, 60, "%m/%y"),  # when people signed up
        months(-60, 60, "%m/%Y"),
        months(0, 4, "%m/%y"),  # too few to tell
        [*months(-60, 60, "%m/%y"), *months(0, 12, "%m/%y")],  # contracts, most of which have ended
        months(0, 40, "%Y-%m"),
        [f"{month}-15" for month in months(0, 40, "%Y-%m")],
        [f"15/{month}" for month in months(0, 40, "%m/%Y")],
        [f"{month}/2027" for month in months(0, 40, "%m/%d")],
        [*months(0, 40, "%m/%y"), *["as agreed"] * 10],
        ["01-10", "11-50", "10-49", "10-25", "05-99"] * 5,  # so many employees
        [f"{number}/60" for number in range(10, 60)],
    ],
)
def test_other_months_dates_and_ranges_are_no_card_expiries(values: list[str]) -> None:
    look(values).refuse()


def test_columns_of_arrow_are_looked_at_as_they_are() -> None:
    cards = [card.replace(" ", "").replace("-", "") for card in CARDS]
    held = {
        "text": pa.array(cards),
        "dictionary": pa.array(cards * 3).dictionary_encode(),
        "number": pa.array([int(card) for card in cards]),
        "negative": pa.array([-int(card) for card in cards]),
        "expiries": pa.array(months(0, 12, "%m/%y")).dictionary_encode(),
    }
    with duckdb.connect() as connection:
        for name, column in held.items():
            watch = PaymentWatch([name], "orders")
            watch.look_at(connection, pa.record_batch({"c0": column}))
            with pytest.raises(PaymentDataError, match=name):
                watch.refuse()


def test_ordinary_columns_of_arrow_are_not_refused() -> None:
    moment = dt.datetime(2026, 10, 5, tzinfo=dt.UTC)
    held = [
        pa.array([4111, 10**12 + 1, None]),
        pa.array([2**63 - 1, -(2**63), 0]),
        pa.array([4111, -32768, None], pa.int16()),
        pa.array([moment] * 3),
        pa.array([moment.date()] * 3),
        pa.array([True, False, None]),
        pa.array(["", None, "x"]),
        pa.array([None] * 3, pa.string()),
        pa.array(["a"] * 3).dictionary_encode(),
        pa.array([None] * 3, pa.string()).dictionary_encode(),
    ]
    names = [f"c{place}" for place in range(len(held))]
    watch = PaymentWatch(names, "orders")
    with duckdb.connect() as connection:
        for rows in (3, 0):
            watch.look_at(connection, pa.RecordBatch.from_arrays([one.slice(0, rows) for one in held], names=names))
    watch.refuse()


def test_the_share_of_cards_is_of_the_rows_and_not_of_the_distinct_values() -> None:
    held = pa.array(["4111111111111111", *["none"] * 98, ""]).dictionary_encode()
    rare = pa.array(["4111111111111111", *["none"] * 150]).dictionary_encode()
    with duckdb.connect() as connection:
        watch = PaymentWatch(["rare"], "orders")
        watch.look_at(connection, pa.record_batch({"c0": rare}))
        watch.refuse()
        watch = PaymentWatch(["often"], "orders")
        watch.look_at(connection, pa.record_batch({"c0": held}))
        with pytest.raises(PaymentDataError):
            watch.refuse()
