"""The sample's customers, as a shop's database has them, and their orders, as a payment service exports them."""

from __future__ import annotations

import sqlite3
import unicodedata
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from pipeline.sample.columns import Flags, Index, draw, join, spread, texts
from pipeline.sample.countries import COUNTRIES

_EPOCH = np.datetime64("1970-01-01")
_FIRST_SIGN_UP = int((np.datetime64("2019-01-01") - _EPOCH).astype(int))
_FIRST_ORDER = int((np.datetime64("2026-09-01") - _EPOCH).astype(int))
_END = int((np.datetime64("2026-11-01") - _EPOCH).astype(int))  # the first day after the last
_SECOND_POLICY = int((np.datetime64("2024-05-01") - _EPOCH).astype(int))
_ORDERS_EACH = 1.5
_NO_COUNTRY = 0.005
_GUESTS = 0.002  # share of orders that name no customer
# Shares of customers from before the second version of the policy.
_ACCEPTED_ANEW, _NOTIFIED, _NOTIFIED_LATE = 0.2, 0.65, 0.05
_NO_VERSION, _OPTED_OUT = 0.01, 0.015  # of all customers

KINDS = ("personal", "business", "education", "government")  # the site file does not name the last: it becomes other
_KIND_WEIGHTS = np.array([41.0, 46.0, 11.0, 2.0])
PRODUCTS = ("Studio", "Studio Pro", "Server", "Mobile", "Cloud", "Gift card")  # nor the last of these
VERSIONS = ("2019-01", "2024-05")  # of the policy
_PRODUCT_WEIGHTS = np.array([34.0, 20.0, 7.0, 16.0, 21.0, 2.0])
_PRICES = np.array([9_990, 24_990, 99_900, 4_900, 5_990, 5_000])  # cents, one seat
_LARGEST = 499_900  # what comes to more is sold by quotation, for this
_STATUSES = ("paid", "refunded", "failed")
_SIGNS = np.array([1, -1, 0])  # a refund is a row of its own; a payment that failed comes to nothing
# No digits: a run of them would look like the number of a card, which an export of orders must never hold.
_LETTERS = "bcdfghjkmnpqrstvwxz"

_GIVEN = (
    "Jane", "John", "Erika", "Max", "Ola", "Kari", "Juan", "María", "Taro", "Hanako", "Jan", "Anna", "Ivan", "Marie",
    "Zoë", "Noah", "Lina", "Émile", "Sofía", "Jürgen", "Priya", "Arjun", "Chloé", "Mateus", "Ana", "Yuki", "Olga",
    "Søren",
)  # fmt: skip
_FAMILY = (
    "Roe", "Doe", "Mustermann", "Normann", "Pérez", "Rossi", "Yamada", "Dupont", "Kowalska", "Novák", "Silva",
    "Example", "Sample", "Specimen", "Placeholder", "Testmann", "Jansen", "Svensson", "Hansen", "Varga", "Sharma",
    "Kim", "O'Nobody",
)  # fmt: skip


@dataclass(frozen=True)
class Customers:
    """One row a customer; indexes into the lists above, days since 1970."""

    country: Index
    kind: Index
    seats: Index
    signed_up: Index
    name: list[str]
    email: list[str]

    @property
    def numbers(self) -> list[str]:
        """What tells customers apart."""
        return [f"C{100_001 + row}" for row in range(len(self.kind))]


def draw_customers(rng: np.random.Generator, size: int) -> Customers:
    """Invent customers: more sign-ups every year, most businesses small."""
    kind = draw(rng, _KIND_WEIGHTS, size)
    many = np.minimum(1 + rng.lognormal(np.array([0.0, 1.4, 3.0, 2.4])[kind], 1.1), 5_000).astype(np.int64)
    span = _END - _FIRST_SIGN_UP
    given, family = (rng.integers(0, len(names), size).tolist() for names in (_GIVEN, _FAMILY))
    plain = [[_plain(name) for name in names] for names in (_GIVEN, _FAMILY)]
    return Customers(
        country=draw(rng, np.array([country.weight for country in COUNTRIES]), size),
        kind=kind,
        seats=np.where(kind == 0, 1, many),
        signed_up=_FIRST_SIGN_UP + (span * np.sqrt(rng.random(size))).astype(np.int64),
        name=[f"{_GIVEN[first]} {_FAMILY[last]}" for first, last in zip(given, family, strict=True)],
        email=[
            f"{plain[0][first]}.{plain[1][last]}.{row}@example.org"
            for row, (first, last) in enumerate(zip(given, family, strict=True))
        ],
    )


@dataclass(frozen=True)
class Acceptances:
    """What the shop knows of customers and its privacy policy, one row a customer; None where it knows nothing."""

    version: list[str | None]
    notified_version: list[str | None]
    notified_on: list[str | None]
    opted_out: list[str | None]


def draw_acceptances(rng: np.random.Generator, customers: Customers) -> Acceptances:
    """Invent who accepted which version: the one of their sign-up or a later one; most others were told of that."""
    size, first = len(customers.kind), customers.signed_up < _SECOND_POLICY
    fate = rng.random(size)
    anew = first & (fate < _ACCEPTED_ANEW)
    late = first & (fate > 1 - _NOTIFIED_LATE)
    notified = late | (first & ~anew & (fate < _ACCEPTED_ANEW + _NOTIFIED))
    version = np.where(first & ~anew, *VERSIONS)
    # A month before it came into force and a month after; the late ones in October.
    told = np.where(late, _END - rng.integers(1, 28, size), _SECOND_POLICY + rng.integers(-30, 30, size))
    out = np.maximum(customers.signed_up, _END - rng.integers(1, 700, size))
    return Acceptances(
        _where(rng.random(size) >= _NO_VERSION, version),
        _where(notified, np.full(size, VERSIONS[1])),
        _where(notified, np.datetime_as_string(told.astype("datetime64[D]"))),
        _where(rng.random(size) < _OPTED_OUT, np.datetime_as_string(out.astype("datetime64[D]"))),
    )


def write_customers(rng: np.random.Generator, customers: Customers, acceptances: Acceptances, path: Path) -> None:
    """Write the SQLite database with its table ``customers``.

    Raises:
        OSError: The file cannot be written.
    """
    size = len(customers.kind)
    names = [country.name for country in COUNTRIES]
    unnamed = rng.random(size) < _NO_COUNTRY
    rows = zip(
        customers.numbers,
        customers.name,
        customers.email,
        [None if no else names[place] for place, no in zip(customers.country.tolist(), unnamed.tolist(), strict=True)],
        [KINDS[kind] for kind in customers.kind.tolist()],
        customers.seats.tolist(),
        [f"+1-202-555-01{last:02d}" for last in rng.integers(0, 100, size).tolist()],  # numbers that nobody has
        np.datetime_as_string(customers.signed_up.astype("datetime64[D]")).tolist(),
        (rng.random(size) < 0.4).astype(int).tolist(),
        acceptances.version,
        acceptances.notified_version,
        acceptances.notified_on,
        acceptances.opted_out,
        strict=True,
    )
    try:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(
                "CREATE TABLE customers (customer_id TEXT PRIMARY KEY, name TEXT, email TEXT, country TEXT, "
                "customer_kind TEXT, seats INTEGER, phone TEXT, signed_up TEXT, newsletter INTEGER, "
                "policy_version TEXT, notified_version TEXT, notified_on TEXT, opted_out TEXT)"
            )
            database.executemany("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    except sqlite3.Error as failure:
        raise OSError(f"SQLite: {type(failure).__name__}") from None


def write_orders(rng: np.random.Generator, customers: Customers, path: Path) -> int:
    """Write the export of two months' orders, ordered by time, and return how many there are.

    Three orders to two customers on average: most have none to two, a few have dozens.

    Raises:
        OSError: The file cannot be written.
    """
    size = len(customers.kind)
    orders = round(size * _ORDERS_EACH)
    # ``spread`` gives one at least; one less makes room for customers without orders.
    customer = np.repeat(np.arange(size), spread(rng, size + orders, size, 0.9) - 1)
    first = np.maximum(customers.signed_up[customer], _FIRST_ORDER) * 86_400
    placed = first + (rng.random(orders) * (_END * 86_400 - first)).astype(np.int64)
    order = np.argsort(placed, kind="stable")
    table = _order_table(rng, customers, customer[order], placed[order])
    csv.write_csv(table, path, csv.WriteOptions(quoting_style="needed"))
    return orders


def _order_table(rng: np.random.Generator, customers: Customers, customer: Index, placed: Index) -> pa.Table:
    size = len(customer)
    product = draw(rng, _PRODUCT_WEIGHTS, size)
    guest = pa.array(rng.random(size) < _GUESTS)
    letters = texts(_LETTERS)
    reference = (letters.take(pa.array(column)) for column in rng.integers(0, len(_LETTERS), (20, size)))
    status = draw(rng, np.array([94.0, 3.0, 3.0]), size)
    cents = _SIGNS[status] * np.minimum(_PRICES[product] * customers.seats[customer], _LARGEST)
    instants = pa.array(placed).cast(pa.timestamp("s"))
    return pa.table(
        {
            "order_id": pa.array([f"O{500_001 + row}" for row in range(size)]),
            "customer_id": pc.if_else(guest, None, pa.array(customers.numbers).take(pa.array(customer))),
            "customer_email": pa.array(customers.email).take(pa.array(customer)),
            "product": pa.array(PRODUCTS).take(pa.array(product)),
            "total": pc.multiply(pa.array(cents).cast(pa.decimal128(19, 0)), Decimal("0.01")),
            "currency": pa.array(["EUR"] * size),
            "status": pa.array(_STATUSES).take(pa.array(status)),
            "placed_at": pc.strftime(instants, format="%Y-%m-%dT%H:%M:%SZ"),
            "payment_reference": join(b"pay_", *reference).cast(pa.string()),
        }
    )


def _where(there: Flags, values: npt.NDArray[np.str_]) -> list[str | None]:
    return [value if is_there else None for value, is_there in zip(values.tolist(), there.tolist(), strict=True)]


def _plain(name: str) -> str:
    """As the local part of an e-mail address: ASCII letters, lower case."""
    letters = unicodedata.normalize("NFKD", name.replace("ø", "o")).encode("ascii", "ignore").decode()
    return "".join(letter for letter in letters.lower() if letter.isalpha())
