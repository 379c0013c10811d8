"""Rows of the customer table: who, what became of the row, and the codes of what is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.deidentify.batches import USED, Reading, Stage, in_pieces
from pipeline.deidentify.columns import CODE, Generaliser, instant_of
from pipeline.site import CsvSource, CustomerSource
from pipeline.sources.rows import Span


def code_name(dimension: str) -> str:
    """The column of ``customer_rows`` with the codes of a dimension, which no other column can be named as."""
    return f"code of {dimension}"


def generalisers_of(stage: Stage, customers: CustomerSource) -> dict[str, Generaliser]:
    """What makes codes of the columns of the customer table, by dimension."""
    return {name: Generaliser(column, stage.start.date()) for name, column in customers.read_columns.items()}


def open_customers(stage: Stage, customers: CustomerSource) -> Reading:
    """Open the source and check its header; no row is read.

    Raises:
        SourceError: It is missing, unreadable or not as declared, or a column is named as a payment instrument.
    """
    declared = [customers.person, *filter(None, [customers.signed_up])]
    declared += [column.column for column in customers.read_columns.values()]
    return Reading.open(stage, customers.source, declared, [*filter(None, [customers.changed])], "customers")


def read_rows(
    reading: Reading, customers: CustomerSource, generalisers: Mapping[str, Generaliser], span: Span | None
) -> None:
    """Make the table ``customer_rows``: one row a row of the source, with ``person``, ``outcome`` and codes.

    Args:
        reading: The source.
        customers: How it is declared.
        generalisers: By dimension.
        span: Rows to look for; None for all.

    Raises:
        SourceError: The source cannot be read to its end, or carries payment-instrument data.
    """
    connection = reading.stage.connection
    columns = "".join(f', "{code_name(name)}" SMALLINT' for name in generalisers)
    connection.execute(f"CREATE TEMP TABLE customer_rows (person VARCHAR, outcome VARCHAR, line BIGINT{columns})")
    connection.execute("SET VARIABLE period_end = $end", {"end": reading.stage.end})
    for batch, before in reading.batches(_typed(customers, generalisers), span):
        rows = {
            "key": batch.column(reading.place(customers.person)),
            "line": pa.array(np.arange(before, before + len(batch))),
        }
        if customers.signed_up:
            rows["signed_up"] = batch.column(reading.place(customers.signed_up))
        values, codes = [], []
        for name, generaliser in generalisers.items():
            raw, quoted = batch.column(reading.place(generaliser.name)), f'"{code_name(name)}"'
            is_taken = generaliser.takes(raw.type)
            rows[code_name(name)] = raw if is_taken else generaliser.codes(connection, raw)
            values.append(f"{generaliser.value_of(quoted) if is_taken else quoted} AS {quoted}")
            codes.append(generaliser.place_of(quoted) if is_taken else quoted)
        connection.register("batch", in_pieces(pa.RecordBatch.from_pydict(rows)))
        connection.execute(_insert(rows, values, codes))
        connection.unregister("batch")
    _judge_repeated(connection, generalisers, by_line=isinstance(customers.source, CsvSource))


def carry_over(
    connection: duckdb.DuckDBPyConnection, earlier: pa.Table, generalisers: Mapping[str, Generaliser]
) -> int:
    """Add to ``customer_rows`` who is in earlier staging and was not read again, whatever became of whom was.

    Args:
        connection: Holds ``customer_rows``.
        earlier: Columns ``person`` and the dimensions, as text.
        generalisers: By dimension.

    Returns:
        How many were added.
    """
    columns = {"person": earlier.column("person")}
    for name, generaliser in generalisers.items():
        places = pc.index_in(earlier.column(name).cast(pa.string()), pa.array(generaliser.keys))
        columns[code_name(name)] = places.cast(CODE)
    connection.register("earlier", pa.table(columns))
    ((added,),) = connection.execute(
        f"""
        INSERT INTO customer_rows
        SELECT person, '{USED}', 0{_codes(generalisers)}
        FROM earlier ANTI JOIN customer_rows ON customer_rows.person = earlier.person
        """
    ).fetchall()
    connection.unregister("earlier")
    return int(added)


def _typed(customers: CustomerSource, generalisers: Mapping[str, Generaliser]) -> frozenset[str]:
    """Columns that may come as numbers and times: those of which nothing is asked that needs their text."""
    as_text = {generaliser.name for generaliser in generalisers.values() if not generaliser.takes_types}
    as_text.add(customers.person)
    columns = {generaliser.name for generaliser in generalisers.values()} | {*filter(None, [customers.signed_up])}
    return frozenset(columns - as_text)


def _insert(rows: Mapping[str, pa.Array], values: Sequence[str], codes: Sequence[str]) -> str:
    """SQL: the rows of ``batch``, judged by themselves. Of several faults of a row the first one counts."""
    instant, dated = "NULL", ""
    if "signed_up" in rows:
        is_time = pa.types.is_temporal(rows["signed_up"].type)
        instant = "signed_up::TIMESTAMPTZ" if is_time else instant_of("signed_up::VARCHAR")
        dated = """
            WHEN signed_up IS NULL THEN 'date'
            WHEN signed_up >= getvariable('period_end') THEN 'signed up later'
        """
    return f"""
        INSERT INTO customer_rows
        SELECT CASE WHEN key <> '' THEN pseudonym(key) END,
            CASE WHEN coalesce(key, '') = '' THEN 'no key' {dated} ELSE '{USED}' END,
            {", ".join(("line", *codes))}
        FROM (SELECT {", ".join(("trim(key) AS key", f"{instant} AS signed_up", "line", *values))} FROM batch)
    """


def _judge_repeated(
    connection: duckdb.DuckDBPyConnection, generalisers: Mapping[str, Generaliser], *, by_line: bool
) -> None:
    """Of rows with one key the first is kept, whatever becomes of it."""
    ((repeated,),) = connection.execute("SELECT count(person) - count(DISTINCT person) FROM customer_rows").fetchall()
    if not repeated:
        return
    # A database has no first row: there the order of what the rows tell decides, the same at every reading.
    first = "line" if by_line else f"outcome{_codes(generalisers)}"
    connection.execute(
        f"""
        UPDATE customer_rows SET outcome = 'repeated key' WHERE rowid IN (
            SELECT place FROM (
                SELECT rowid AS place, row_number() OVER (PARTITION BY person ORDER BY {first}) AS rank
                FROM customer_rows
                WHERE person IN (FROM (SELECT person FROM customer_rows GROUP BY person HAVING count(*) > 1))
            ) WHERE rank > 1
        )
        """
    )


def _codes(generalisers: Mapping[str, Generaliser]) -> str:
    return "".join(f', "{code_name(name)}"' for name in generalisers)
