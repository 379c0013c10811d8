"""Customers and their orders to de-identified staging.

Only declared columns are read, into the memory of an engine that reaches no file. What leaves memory is a pseudonym,
the keys of closed lists, the amounts of orders where these are declared, and counts by reason.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.deidentify.accounting import Accounting
from pipeline.deidentify.columns import amount_of, instant_of, map_keys
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.staging import (
    EVENTS,
    PERSONS,
    SourceCounts,
    Staging,
    StagingManifest,
    replace_staging,
    write_manifest,
)
from pipeline.errors import StagingError
from pipeline.periods import Period
from pipeline.progress import Progress, silent
from pipeline.site import REVENUE, CsvSource, CustomerSource, DatabaseSource, OrderSource, SiteFile
from pipeline.sources.engine import memory_engine
from pipeline.sources.payment import PaymentWatch, refuse_payment_names
from pipeline.sources.tables import open_table, require_columns
from pipeline.vocabulary import OTHER, UNKNOWN, Population
from pipeline.workspace import Workspace

USED: Final = "used"
_LEFT_OUT: Final = frozenset({"signed up later", "outside the period", "no such customer"})


@dataclass(frozen=True)
class _Stage:
    """What both sources are read with: a connection in memory, the period, and where paths begin."""

    connection: duckdb.DuckDBPyConnection
    start: dt.datetime
    end: dt.datetime
    base: Path
    progress: Progress


def stage_customers(workspace: Workspace, site: SiteFile, period: Period, progress: Progress = silent) -> Staging:
    """Turn the customers of a period, and their orders if the site declares them, into de-identified staging.

    Args:
        workspace: Where staging and the period's key lie; relative sources are relative to its site file.
        site: Declares the sources.
        period: Of the kind the site file declares for customers.
        progress: Told how many rows were read.

    Returns:
        Staging with ``persons.parquet`` (person and the declared dimensions, all text) and, where orders are
        declared, ``events.parquet`` (person, product, and ``revenue``, BIGINT, where the amount is declared); rows in
        the order of the pseudonyms.

    Raises:
        ConfigurationError: The site declares no customers, or another kind of period.
        SourceError: A source is missing, unreadable, not as declared, or carries payment-instrument data; or more
            than the declared share of it cannot be used.
        StagingError: The period has no customers, or staging cannot be written. Earlier staging stays.
    """
    customers = _customers_of(site, period)
    with memory_engine("customers") as connection:
        connection.execute("SET preserve_insertion_order = true")  # of rows with one key the first is kept
        connection.execute("SET TimeZone = ?", [site.time_zone])
        period_key(workspace, Population.CUSTOMERS, period).install(connection)
        stage = _Stage(connection, *period.bounds(site.zone), workspace.site_file.parent, progress)
        counts = {"customers": _read_customers(stage, customers)}
        if not counts["customers"].used:
            raise StagingError(
                "a period must have customers to be counted",
                value=f"the period has no customers: {period}",
                remedy="Check the source, the sign-up column and the period.",
            )
        if customers.orders is not None:
            counts["orders"] = _read_orders(stage, customers.orders)
        manifest = StagingManifest(
            population=Population.CUSTOMERS,
            period=str(period),
            sources={name: SourceCounts.of(accounting) for name, accounting in counts.items()},
        )
        _write(workspace, period, connection, manifest, customers.orders)
    return Staging(Population.CUSTOMERS, period, workspace.staging(Population.CUSTOMERS, period), manifest)


def _customers_of(site: SiteFile, period: Period) -> CustomerSource:
    site.require_period(Population.CUSTOMERS, period)
    assert site.customers is not None
    return site.customers


def _read_customers(stage: _Stage, customers: CustomerSource) -> Accounting:
    """Make the table ``persons``: one row a customer of the period, person and dimensions."""
    source_columns = {name: column.column for name, column in customers.dimensions.items()}
    declared = [customers.person, *filter(None, [customers.signed_up]), *source_columns.values()]
    columns = list(dict.fromkeys(declared))
    place = {name: f"c{index}" for index, name in enumerate(columns)}
    typed = ", ".join(f"{raw} VARCHAR" for raw in place.values())
    stage.connection.execute(f"CREATE TEMP TABLE customer_rows (line BIGINT, person VARCHAR, {typed})")
    insert = f"""
        INSERT INTO customer_rows SELECT $line + row_number() OVER (),
            CASE WHEN trim({place[customers.person]}) <> '' THEN pseudonym(trim({place[customers.person]})) END,
            {", ".join(place.values())}
        FROM batch
    """
    rejected = _read(stage, customers.source, columns, "customers", insert)
    _judge_customers(stage, customers, place, by_line=isinstance(customers.source, CsvSource))
    accounting = _account(stage.connection, "judged_customers", rejected)
    accounting.require_share("customers", customers.max_rejected_share)
    _generalise(stage.connection, customers, place)
    return accounting


def _judge_customers(stage: _Stage, customers: CustomerSource, place: dict[str, str], *, by_line: bool) -> None:
    """Make ``judged_customers``: the rows with their outcome. Of rows with one key the first is kept."""
    # A database has no first row: there the order of what the rows hold decides, the same at every reading.
    first = "line" if by_line else f"{', '.join(place.values())}, line"
    signed_up = instant_of(place[customers.signed_up]) if customers.signed_up else "NULL"
    dated = "true" if customers.signed_up else "false"
    stage.connection.execute(
        f"""
        CREATE TEMP TABLE judged_customers AS
        WITH ranked AS (
            SELECT *, row_number() OVER (PARTITION BY person ORDER BY {first}) AS rank, {signed_up} AS signed_up
            FROM customer_rows
        )
        SELECT * EXCLUDE (rank, signed_up, line), CASE
            WHEN person IS NULL THEN 'no key'
            WHEN rank > 1 THEN 'repeated key'
            WHEN {dated} AND signed_up IS NULL THEN 'date'
            WHEN {dated} AND signed_up >= $end THEN 'signed up later'
            ELSE '{USED}' END AS outcome
        FROM ranked
        """,
        {"end": stage.end},
    )
    stage.connection.execute("DROP TABLE customer_rows")


def _generalise(connection: duckdb.DuckDBPyConnection, customers: CustomerSource, place: dict[str, str]) -> None:
    """Make ``persons`` out of the judged rows: person, and one key a dimension."""
    connection.execute(f"CREATE TEMP VIEW used_customers AS FROM judged_customers WHERE outcome = '{USED}'")
    chosen, joins = [], []
    for index, (name, column) in enumerate(customers.dimensions.items()):
        raw = place[column.column]
        map_keys(connection, f"keys_{index}", column, "used_customers", raw)
        chosen.append(f'keys_{index}.key AS "{name}"')
        joins.append(f"JOIN keys_{index} ON keys_{index}.raw = coalesce(used_customers.{raw}, '')")
    connection.execute(
        f"CREATE TEMP TABLE persons AS SELECT person, {', '.join(chosen)} FROM used_customers {' '.join(joins)}"
    )
    connection.execute("DROP VIEW used_customers; DROP TABLE judged_customers")


def _read_orders(stage: _Stage, orders: OrderSource) -> Accounting:
    """Make the table ``order_rows``: one row an order, de-identified while it is read, with its outcome."""
    declared = (orders.person, orders.placed, orders.product, *([orders.amount.column] if orders.amount else []))
    columns = list(dict.fromkeys(declared))
    person, placed, product, *amount = (f"c{columns.index(name)}" for name in declared)
    revenue = amount_of(amount[0], orders.amount.decimals) if orders.amount else "0"
    stage.connection.execute(
        "CREATE TEMP TABLE order_rows (person VARCHAR, product VARCHAR, revenue BIGINT, outcome VARCHAR)"
    )
    stage.connection.execute(
        "CREATE TEMP TABLE products AS SELECT unnest($names::VARCHAR[]) AS name", {"names": list(orders.products)}
    )
    stage.connection.execute("SET VARIABLE period_start = $start", {"start": stage.start})
    stage.connection.execute("SET VARIABLE period_end = $end", {"end": stage.end})
    insert = f"""
        INSERT INTO order_rows
        WITH typed AS (
            SELECT trim({person}) AS key, {instant_of(placed)} AS placed, trim({product}) AS product,
                {revenue} AS revenue
            FROM batch
        ), timely AS (
            SELECT *, CASE
                WHEN coalesce(key, '') = '' THEN 'no key'
                WHEN placed IS NULL THEN 'date'
                WHEN placed < getvariable('period_start') OR placed >= getvariable('period_end')
                    THEN 'outside the period'
                WHEN revenue IS NULL THEN 'amount'
                ELSE '{USED}' END AS outcome,
                CASE WHEN outcome = '{USED}' THEN pseudonym(key) END AS person
            FROM typed
        )
        SELECT persons.person,
            CASE WHEN coalesce(product, '') = '' THEN '{UNKNOWN}'
                WHEN product IN (FROM products) THEN product ELSE '{OTHER}' END,
            revenue,
            CASE WHEN outcome = '{USED}' AND persons.person IS NULL THEN 'no such customer' ELSE outcome END
        FROM timely LEFT JOIN persons ON persons.person = timely.person
    """
    rejected = _read(stage, orders.source, columns, "orders", insert)
    accounting = _account(stage.connection, "order_rows", rejected)
    accounting.require_share("orders", orders.max_rejected_share)
    return accounting


def _read(
    stage: _Stage, source: DatabaseSource | CsvSource, columns: Sequence[str], label: str, insert: str
) -> Counter[str]:
    """Run ``insert`` over each batch, and refuse payment-instrument data.

    Returns:
        Rows that could not be read, by reason.
    """
    table = open_table(source, stage.base)
    refuse_payment_names(table.columns, label)
    require_columns(table, columns, label)
    watch, read = PaymentWatch(columns, label), 0
    for batch in table.batches(columns):
        stage.connection.register("batch", pa.Table.from_batches([batch]))
        watch.look(stage.connection, "batch")
        stage.connection.execute(insert, {"line": read} if "$line" in insert else None)
        stage.connection.unregister("batch")
        read += len(batch)
        stage.progress(f"reading {label}", read, None)
    watch.refuse()
    return table.rejected


def _account(connection: duckdb.DuckDBPyConnection, table: str, rejected: Counter[str]) -> Accounting:
    outcomes = dict(connection.execute(f"SELECT outcome, count(*) FROM {table} GROUP BY outcome").fetchall())
    used = outcomes.pop(USED, 0)
    left_out = {reason: count for reason, count in sorted(outcomes.items()) if reason in _LEFT_OUT}
    refused = Counter({reason: count for reason, count in outcomes.items() if reason not in _LEFT_OUT}) + rejected
    read = used + sum(left_out.values()) + sum(refused.values())
    return Accounting(read, used, left_out, dict(sorted(refused.items())))


def _write(
    workspace: Workspace,
    period: Period,
    connection: duckdb.DuckDBPyConnection,
    manifest: StagingManifest,
    orders: OrderSource | None,
) -> None:
    try:
        with replace_staging(workspace, Population.CUSTOMERS, period) as folder:
            # Sorted by pseudonym: the source's order would say who is who to somebody who has seen it.
            _copy(connection, "FROM persons ORDER BY person", folder / PERSONS)
            if orders is not None:
                # Amounts stay as they are, under the pseudonym: who has seen an order may find it again by its amount.
                # That is why staging is kept for the period's retention only, and nothing but sums of many leaves it.
                held = f"person, product, {REVENUE}" if orders.amount else "person, product"
                events = f"SELECT {held} FROM order_rows WHERE outcome = '{USED}' ORDER BY ALL"
                _copy(connection, events, folder / EVENTS)
            write_manifest(folder, manifest)
    except OSError as failure:
        raise StagingError(
            "staging must be writable",
            value=f"{workspace.home} ({type(failure).__name__})",
            remedy="Check the folder's permissions and the free space.",
        ) from None


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write de-identified rows; the engine itself, which has seen raw ones, reaches no file."""
    relation = connection.sql(query)
    assert relation is not None
    rows = relation.to_arrow_reader(100_000)
    with pq.ParquetWriter(path, rows.schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)
