"""Orders to rows of de-identified staging: who bought what, and for how much in which currency."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from pipeline.deidentify.accounting import Accounting
from pipeline.deidentify.batches import USED, Reading, Stage, account, in_pieces
from pipeline.deidentify.columns import amount_of, band_of, instant_of
from pipeline.site import AmountColumn, OrderSource, OrderValueColumn
from pipeline.sources.rows import Span
from pipeline.vocabulary import OTHER, UNKNOWN

_COLUMNS: Final = "person VARCHAR, product VARCHAR, currency VARCHAR, outcome VARCHAR"


def read_orders(stage: Stage, orders: OrderSource) -> Accounting:
    """Make the table ``orders``: one row an order, de-identified while it is read, with its outcome.

    Needs a relation ``persons`` of those who are customers of the period.

    Raises:
        SourceError: The source is missing, unreadable, not as declared, or carries payment-instrument data; or more
            than the declared share of it cannot be used.
    """
    amount = orders.amount
    amounts = (amount.column, amount.currency_column) if amount else ()
    declared = (orders.person, orders.placed, orders.product, *(name for name in amounts if name))
    reading = Reading.open(stage, orders.source, declared, (), "orders")
    names = tuple(amount.names.values()) if amount else ()
    _make_tables(stage, orders, names)
    insert = _insert(reading, orders)
    span = Span(orders.placed, stage.start, stage.end) if orders.incremental else None
    for batch, _ in reading.batches(span=span):
        stage.connection.register("batch", in_pieces(batch))
        stage.connection.execute(insert)
        stage.connection.unregister("batch")
    # One look at who is a customer, not one a batch.
    stage.connection.execute(
        f"""
        CREATE TEMP TABLE orders AS
        SELECT order_rows.* REPLACE (CASE WHEN outcome = '{USED}' AND known.person IS NULL THEN 'no such customer'
            ELSE outcome END AS outcome)
        FROM order_rows LEFT JOIN (SELECT person FROM persons) AS known ON known.person = order_rows.person
        """
    )
    stage.connection.execute("DROP TABLE order_rows")
    accounting = account(stage.connection, "orders", reading.rejected)
    accounting.require_share("orders", orders.max_rejected_share)
    return accounting


def used_orders(amount: AmountColumn | None) -> str:
    """SQL: the rows of events, by pseudonym, in an order that says nothing about the source."""
    names = tuple(amount.names.values()) if amount else ()
    held = ", ".join(("person", "product", *names))
    return f"SELECT {held} FROM orders WHERE outcome = '{USED}' ORDER BY ALL"


def order_value_code(column: OrderValueColumn, amount: AmountColumn) -> str:
    """SQL: by ``person``, the place of what their orders came to among the column's keys, as ``code``."""
    currency = column.currency or amount.currency
    assert currency is not None
    units = [Decimal(str(edge)).scaleb(amount.decimals_of(currency)) for edge in column.edges]
    place = band_of(f"sum({amount.names[currency]})", units, len(units) + 1)
    return f"""
        SELECT person, ({place})::SMALLINT AS code FROM orders
        WHERE outcome = '{USED}' AND currency = '{currency}' GROUP BY person
    """


def _make_tables(stage: Stage, orders: OrderSource, names: Sequence[str]) -> None:
    amounts = "".join(f", {name} BIGINT" for name in names)
    stage.connection.execute(f"CREATE TEMP TABLE order_rows ({_COLUMNS}{amounts})")
    stage.connection.execute(
        "CREATE TEMP TABLE products AS SELECT unnest($names::VARCHAR[]) AS name", {"names": list(orders.products)}
    )
    stage.connection.execute("SET VARIABLE period_start = $start", {"start": stage.start})
    stage.connection.execute("SET VARIABLE period_end = $end", {"end": stage.end})


def _insert(reading: Reading, orders: OrderSource) -> str:
    """SQL: the rows of ``batch``, judged. Of several faults of a row the first one counts."""
    person, placed, product = map(reading.place, (orders.person, orders.placed, orders.product))
    currency, amounts = _amounts(reading, orders.amount)
    missing = " OR ".join(f"{name} IS NULL" for name in amounts) or "false"
    named = "".join(f", {sql} AS {name}" for name, sql in amounts.items())
    return f"""
        INSERT INTO order_rows
        WITH typed AS (
            SELECT trim({person}) AS key, {instant_of(placed)} AS placed, trim({product}) AS product,
                {currency} AS currency
                {named}
            FROM batch
        ), judged AS (
            SELECT *, CASE
                WHEN coalesce(key, '') = '' THEN 'no key'
                WHEN placed IS NULL THEN 'date'
                WHEN placed < getvariable('period_start') OR placed >= getvariable('period_end')
                    THEN 'outside the period'
                WHEN currency IS NULL THEN 'currency'
                WHEN {missing} THEN 'amount'
                ELSE '{USED}' END AS outcome
            FROM typed
        )
        SELECT CASE WHEN outcome = '{USED}' THEN pseudonym(key) END,
            CASE WHEN coalesce(product, '') = '' THEN '{UNKNOWN}'
                WHEN product IN (FROM products) THEN product ELSE '{OTHER}' END,
            currency, outcome{"".join(f", {name}" for name in amounts)}
        FROM judged
    """


def _amounts(reading: Reading, amount: AmountColumn | None) -> tuple[str, dict[str, str]]:
    """SQL: an order's currency, NULL where it is none that is declared; and by column of staging, its amount."""
    if amount is None:
        return "''", {}
    raw = reading.place(amount.column)
    if amount.currency_column is None:
        assert amount.currency is not None
        decimals = amount.decimals_of(amount.currency)
        return f"'{amount.currency}'", {amount.names[amount.currency]: amount_of(raw, decimals)}
    told = f"upper(trim({reading.place(amount.currency_column)}))"
    listed = ", ".join(f"'{currency}'" for currency in amount.currencies)
    return f"CASE WHEN {told} IN ({listed}) THEN {told} END", {
        name: f"CASE WHEN {told} = '{currency}' THEN {amount_of(raw, amount.decimals_of(currency))} ELSE 0 END"
        for currency, name in amount.names.items()
    }
