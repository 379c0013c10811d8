"""Rows of the customer table: who, what became of the row, and the codes of what is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.deidentify.batches import OPTED_OUT, USED, Reading, Stage, in_pieces
from pipeline.deidentify.columns import CODE, Generaliser, instant_of
from pipeline.deidentify.consent import Consent
from pipeline.deidentify.tombstones import customer_handle_sql, email_handle_sql
from pipeline.policy import Policy
from pipeline.site import POLICY_VERSIONS, CsvSource, CustomerSource
from pipeline.sources.rows import Span


def code_name(dimension: str) -> str:
    """The column of ``customer_rows`` with the codes of a dimension, which no other column can be named as."""
    return f"code of {dimension}"


@dataclass(frozen=True)
class RowRules:
    """How rows of the customer table are read.

    Attributes:
        customers: As the site file declares them.
        generalisers: What makes codes of the columns, by dimension.
        consent: What tells the versions of the policy that bind a customer.
        seeks: Whether the engine holds tombstones, so that whoever they are of must be found.
    """

    customers: CustomerSource
    generalisers: Mapping[str, Generaliser]
    consent: Consent
    seeks: bool = False

    @classmethod
    def of(cls, stage: Stage, customers: CustomerSource, policy: Policy | None, *, seeks: bool) -> RowRules:
        """For one period of a site's customers."""
        start, end = stage.start.date(), stage.end.date()
        generalisers = {name: Generaliser(column, start) for name, column in customers.read_columns.items()}
        return cls(customers, generalisers, Consent.of(customers, policy, end), seeks)

    @property
    def raw_columns(self) -> dict[str, str]:
        """Columns of the source that the SQL here judges as they are read, by the name that it has for them."""
        declared = {"key": self.customers.person, "signed_up": self.customers.signed_up, "email": self.customers.email}
        return {name: column for name, column in declared.items() if column} | self.consent.read_columns

    @property
    def told(self) -> dict[str, str]:
        """Columns of ``customer_rows`` with what is told of a customer, quoted, each with its type."""
        codes = {f'"{code_name(name)}"': "SMALLINT" for name in self.generalisers}
        return {"versions": "INTEGER"} | ({"alias": "VARCHAR"} if self.customers.email else {}) | codes


def open_customers(stage: Stage, rules: RowRules) -> Reading:
    """Open the source and check its header; no row is read.

    Raises:
        SourceError: It is missing, unreadable or not as declared, or a column is named as a payment instrument.
    """
    customers = rules.customers
    declared = [*rules.raw_columns.values(), *(column.column for column in customers.read_columns.values())]
    return Reading.open(stage, customers.source, declared, [*filter(None, [customers.changed])], "customers")


def read_rows(reading: Reading, rules: RowRules, span: Span | None) -> None:
    """Make the table ``customer_rows``: one row a row of the source, with ``person``, ``outcome`` and what is told.

    Args:
        reading: The source.
        rules: How its rows are read.
        span: Rows to look for; None for all.

    Raises:
        SourceError: The source cannot be read to its end, or carries payment-instrument data.
    """
    connection = reading.stage.connection
    columns = "".join(f", {name} {kind}" for name, kind in rules.told.items())
    connection.execute(f"CREATE TEMP TABLE customer_rows (person VARCHAR, outcome VARCHAR, line BIGINT{columns})")
    connection.execute("SET VARIABLE period_end = $end", {"end": reading.stage.end})
    for batch, before in reading.batches(_typed(rules), span):
        rows = {name: batch.column(reading.place(column)) for name, column in rules.raw_columns.items()}
        rows["line"] = pa.array(np.arange(before, before + len(batch)))
        values, codes = [], []
        for name, generaliser in rules.generalisers.items():
            raw, quoted = batch.column(reading.place(generaliser.name)), f'"{code_name(name)}"'
            is_taken = generaliser.takes(raw.type)
            rows[code_name(name)] = raw if is_taken else generaliser.codes(connection, raw)
            values.append(f"{generaliser.value_of(quoted) if is_taken else quoted} AS {quoted}")
            codes.append(generaliser.place_of(quoted) if is_taken else quoted)
        connection.register("batch", in_pieces(pa.RecordBatch.from_pydict(rows)))
        connection.execute(_insert(rules, rows, values, codes))
        if rules.seeks:
            connection.execute(_seek(rules))
        connection.unregister("batch")
    _judge_repeated(connection, rules)


def carry_over(
    connection: duckdb.DuckDBPyConnection, persons: pa.Table, aliases: pa.Table | None, rules: RowRules
) -> int:
    """Add to ``customer_rows`` who is in earlier staging and was not read again, whatever became of whom was.

    Args:
        connection: Holds ``customer_rows``.
        persons: Columns ``person``, the versions of the policy, and the dimensions, as text.
        aliases: Columns ``person`` and ``alias``, where e-mail addresses are declared.
        rules: By which they were read.

    Returns:
        How many were added.
    """
    columns = {
        "person": persons.column("person"),
        "versions": rules.consent.codes(persons.column(POLICY_VERSIONS)),
    }
    for name, generaliser in rules.generalisers.items():
        places = pc.index_in(persons.column(name).cast(pa.string()), pa.array(generaliser.keys))
        columns[code_name(name)] = places.cast(CODE)
    connection.register("earlier", pa.table(columns))
    joined = ""
    if aliases is not None:
        connection.register("earlier_aliases", aliases)
        joined = " LEFT JOIN earlier_aliases USING (person)"
    ((added,),) = connection.execute(
        f"""
        INSERT INTO customer_rows
        SELECT earlier.person, '{USED}', 0, {", ".join(rules.told)}
        FROM earlier{joined} ANTI JOIN customer_rows ON customer_rows.person = earlier.person
        """
    ).fetchall()
    connection.unregister("earlier")
    connection.unregister("earlier_aliases")
    return int(added)


def _typed(rules: RowRules) -> frozenset[str]:
    """Columns that may come as numbers and times: those of which nothing is asked that needs their text."""
    as_text = {generaliser.name for generaliser in rules.generalisers.values() if not generaliser.takes_types}
    as_text |= {column for name, column in rules.raw_columns.items() if name != "signed_up"}
    columns = {generaliser.name for generaliser in rules.generalisers.values()}
    return frozenset((columns | {*filter(None, [rules.customers.signed_up])}) - as_text)


def _insert(rules: RowRules, rows: Mapping[str, pa.Array], values: Sequence[str], codes: Sequence[str]) -> str:
    """SQL: the rows of ``batch``, judged by themselves. Of several faults of a row the first one counts."""
    dated, read = "", ["trim(key) AS key", "line", *rules.consent.read_columns, *values]
    if "signed_up" in rows:
        is_time = pa.types.is_temporal(rows["signed_up"].type)
        read.append(f"{'signed_up::TIMESTAMPTZ' if is_time else instant_of('signed_up::VARCHAR')} AS signed_up")
        dated = """
            WHEN signed_up IS NULL THEN 'date'
            WHEN signed_up >= getvariable('period_end') THEN 'signed up later'
        """
    told = ["line", rules.consent.code()]
    if rules.customers.email:
        read.append("email")
        told.append(f"CASE WHEN key <> '' AND trim(email) <> '' THEN pseudonym({email_handle_sql('email')}) END")
    return f"""
        INSERT INTO customer_rows
        SELECT CASE WHEN key <> '' THEN pseudonym(key) END,
            CASE WHEN coalesce(key, '') = '' THEN 'no key'
                WHEN {rules.consent.is_out()} THEN '{OPTED_OUT}' {dated} ELSE '{USED}' END,
            {", ".join((*told, *codes))}
        FROM (SELECT {", ".join(read)} FROM batch)
    """


def _seek(rules: RowRules) -> str:
    """SQL: who of ``batch`` is one whom a tombstone is of, by any of the names that it may know them by."""
    by_key = f"tombstone({customer_handle_sql('key')})"
    named, same = [f"SELECT trim(key) AS key, {by_key} AS digest FROM batch"], ""
    if rules.customers.email:
        by_email = f"tombstone({email_handle_sql('email')})"
        found = f"FROM batch WHERE trim(email) <> '' AND {by_email} IN (SELECT digest FROM tombstones)"
        named.append(f"SELECT trim(key) AS key, {by_email} AS digest {found}")
        # An address may change, and must not bring back who was left out under the earlier one.
        same = f"; INSERT INTO same SELECT {by_email}, {by_key} {found} AND trim(key) <> ''"
    return f"""
        INSERT INTO asked
        SELECT pseudonym(key), digest FROM ({" UNION ALL ".join(named)}) SEMI JOIN tombstones USING (digest)
        WHERE key <> ''{same}
    """


def _judge_repeated(connection: duckdb.DuckDBPyConnection, rules: RowRules) -> None:
    """Of rows with one key the first is kept, whatever becomes of it; whoever opted out in any of them is out."""
    ((repeated,),) = connection.execute("SELECT count(person) - count(DISTINCT person) FROM customer_rows").fetchall()
    if not repeated:
        return
    # A database has no first row: there the order of what the rows tell decides, the same at every reading.
    by_line = isinstance(rules.customers.source, CsvSource)
    first = "line" if by_line else ", ".join(("outcome", *rules.told))
    connection.execute(
        f"""
        UPDATE customer_rows SET outcome = 'repeated key' WHERE rowid IN (
            SELECT place FROM (
                SELECT rowid AS place,
                    row_number() OVER (PARTITION BY person ORDER BY outcome <> '{OPTED_OUT}', {first}) AS rank
                FROM customer_rows
                WHERE person IN (FROM (SELECT person FROM customer_rows GROUP BY person HAVING count(*) > 1))
            ) WHERE rank > 1
        )
        """
    )
