"""Customers and their orders to de-identified staging.

Only declared columns are read, into the memory of an engine that reaches no file. What leaves memory is a pseudonym,
one of the e-mail address where that is declared, the keys of closed lists, the versions of the privacy policy that bind
somebody, the amounts of orders where these are declared, and counts by reason.
"""

from __future__ import annotations

import datetime as dt
import hmac
import itertools
import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final

import duckdb
import pyarrow as pa

from pipeline import __version__
from pipeline.deidentify.accounting import Accounting
from pipeline.deidentify.batches import USED, Stage, account
from pipeline.deidentify.columns import CODE, fetch_table
from pipeline.deidentify.consent import KIND
from pipeline.deidentify.customer_rows import RowRules, carry_over, code_name, open_customers, read_rows
from pipeline.deidentify.locks import held
from pipeline.deidentify.obeying import obey
from pipeline.deidentify.orders import order_value_code, read_orders, used_orders
from pipeline.deidentify.pseudonyms import PeriodKey, period_key
from pipeline.deidentify.staging import (
    NewStaging,
    SourceCounts,
    Staging,
    StagingManifest,
    load_staging,
    place_of,
    replace_staging,
)
from pipeline.deidentify.tables import ALIASES, EVENTS, PERSONS, TableWriter, buckets_for
from pipeline.deidentify.tombstones import Effects, Tombstones, standing
from pipeline.errors import StagingError
from pipeline.periods import Period
from pipeline.policy import Policy, held_policy
from pipeline.progress import Progress, silent
from pipeline.site import POLICY_VERSIONS, CustomerSource, SiteFile
from pipeline.sources.ahead import one_ahead
from pipeline.sources.engine import memory_engine
from pipeline.sources.rows import Span
from pipeline.vocabulary import Population, closed
from pipeline.workspace import Workspace

# What changed while the earlier reading went on, or by a clock that is late, is read again.
MARGIN: Final = dt.timedelta(hours=1)
# Parts that are sorted one after the other, while the one before is written: by the first digit of the pseudonym.
_PARTS: Final = ("0", "4", "8", "c", "g")
_ROWS_A_GROUP: Final = 122_880  # of Parquet: what the engine gives one thread
_ALIASES: Final = (
    f"SELECT person, alias FROM customer_rows WHERE outcome = '{USED}' AND alias IS NOT NULL ORDER BY person"
)


@dataclass(frozen=True)
class _Asked:
    """The period that is asked for, and what tells whether its earlier staging can be gone on from."""

    workspace: Workspace
    period: Period
    site: SiteFile
    key: PeriodKey
    policy: Policy | None
    stones: Tombstones

    @property
    def customers(self) -> CustomerSource:
        assert self.site.customers is not None
        return self.site.customers

    def declaration(self, place: str) -> str:
        """A digest of what staging is made by: of another one, all is read.

        Of the declaration, the source, the policy's versions, the program and the period's key.
        """
        declared = self.customers.model_dump_json(exclude={"orders", "max_rejected_share"})
        versions = self.policy and [
            self.policy.notice_days,
            *((v.version, str(v.effective)) for v in self.policy.versions),
        ]
        told = json.dumps([declared, place, self.site.time_zone, versions, __version__])
        return hmac.digest(self.key.derive("declaration"), told.encode(), "sha256").hex()

    def earlier(self, declaration: str) -> _Earlier | None:
        """Earlier staging by the same declaration, if there is any that can be read."""
        try:
            staging = load_staging(self.workspace, Population.CUSTOMERS, self.period)
            began, persons, aliases = staging.manifest.began, staging.persons, staging.aliases
            if began is None or persons is None or staging.manifest.declaration != declaration:
                return None
            if self.customers.email and aliases is None:
                return None
            return _Earlier(began, persons.read(), aliases.read() if self.customers.email and aliases else None)
        except StagingError:
            return None


@dataclass(frozen=True)
class _Earlier:
    """A period's earlier staging: when its reading began, its customers, and their aliases if any."""

    began: dt.datetime
    persons: pa.Table
    aliases: pa.Table | None


@dataclass(frozen=True)
class _Read:
    """What became of the customers' rows.

    Attributes:
        counts: Of those read, and those carried over.
        declaration: Digest of how they are declared; empty unless later readings may go on from here.
        rules: By which they were read.
    """

    counts: SourceCounts
    declaration: str
    rules: RowRules


def stage_customers(workspace: Workspace, site: SiteFile, period: Period, progress: Progress = silent) -> Staging:
    """Turn the customers of a period, and their orders if the site declares them, into de-identified staging.

    Where the site file declares when rows changed, and the period was staged before from the same source by the same
    declaration, policy and program, rows that changed since are read and the others carried over. Rows that were
    deleted from the source are not noticed by that.

    Who opted out is left out. So is who asked for it, as tombstones say; what people corrected is corrected. Where
    the site has no policy, no version of it is known to bind anybody.

    Args:
        workspace: Where staging, the policy and the period's key lie; relative sources are relative to its site file.
        site: Declares the sources.
        period: Of the kind the site file declares for customers.
        progress: Told how many rows were read.

    Returns:
        Staging with persons (person, ``policy_versions`` and the declared dimensions, all text); where orders are
        declared, events (person, product, and BIGINT ``revenue``, or one such column a currency, where the amount is
        declared); where e-mail addresses are declared, aliases (person, alias). Rows in the order of the pseudonyms.

    Raises:
        ConfigurationError: The site declares no customers, or another kind of period; or people asked to be left out,
            and the key by which they are known is missing.
        PolicyError: The policy breaks a rule.
        SourceError: A source is missing, unreadable, not as declared, or carries payment-instrument data; or more
            than the declared share of it cannot be used.
        StagingError: The period has no customers, or staging cannot be written. Earlier staging stays.
    """
    site.require_period(Population.CUSTOMERS, period)
    with held(workspace, Population.CUSTOMERS, period):
        stones = standing(workspace, Population.CUSTOMERS, period)
        policy, key = held_policy(workspace.policy_file), period_key(workspace, Population.CUSTOMERS, period)
        asked = _Asked(workspace, period, site, key, policy, stones)
        manifest = _staged(asked, progress)
        return Staging(Population.CUSTOMERS, period, place_of(workspace, Population.CUSTOMERS, period), manifest)


def _staged(asked: _Asked, progress: Progress) -> StagingManifest:
    """Read the sources and write staging; the period's lock is held."""
    began = dt.datetime.now(dt.UTC)
    with memory_engine("customers") as connection:
        connection.execute("SET TimeZone = ?", [asked.site.time_zone])
        asked.key.install(connection)
        if asked.stones:
            asked.stones.install(connection)
        base = asked.workspace.site_file.parent
        stage = Stage(connection, *asked.period.bounds(asked.site.zone), base, progress)
        found = _read_customers(stage, asked)
        if asked.stones:
            asked.stones.put_up_other_names(asked.workspace, connection)
        counts = {"customers": found.counts}
        if asked.customers.orders is not None:
            counts["orders"] = SourceCounts.of(read_orders(stage, asked.customers.orders))
        manifest = StagingManifest(
            population=Population.CUSTOMERS,
            period=str(asked.period),
            sources=counts,
            began=began if found.declaration else None,
            declaration=found.declaration,
        )
        return _write(asked, connection, found.rules, manifest)


def _read_customers(stage: Stage, asked: _Asked) -> _Read:
    """Make the view ``persons``: one row a customer of the period, person and codes of what is told."""
    customers, rules = asked.customers, RowRules.of(stage, asked.customers, asked.policy, seeks=bool(asked.stones))
    reading = open_customers(stage, rules)
    declaration = asked.declaration(reading.table.place) if customers.changed else ""
    earlier = asked.earlier(declaration) if declaration else None
    span = Span(customers.changed, earlier.began - MARGIN) if customers.changed and earlier else None
    read_rows(reading, rules, span)
    accounting = account(stage.connection, "customer_rows", reading.rejected)
    accounting.require_share("customers", customers.max_rejected_share)
    carried = carry_over(stage.connection, earlier.persons, earlier.aliases, rules) if earlier else 0
    _require_customers(accounting.used + carried, asked.period)
    names = "".join(f', "{code_name(name)}" AS "{name}"' for name in rules.generalisers)
    stage.connection.execute(
        f"CREATE TEMP VIEW persons AS SELECT person, versions AS {POLICY_VERSIONS}{names} "
        f"FROM customer_rows WHERE outcome = '{USED}'"
    )
    return _Read(_with_carried(accounting, carried), declaration, rules)


def _with_carried(accounting: Accounting, carried: int) -> SourceCounts:
    added = replace(accounting, read=accounting.read + carried, used=accounting.used + carried)
    return SourceCounts.of(added).model_copy(update={"carried": carried})


def _require_customers(count: int, period: Period) -> None:
    if not count:
        raise StagingError(
            "a period must have customers to be counted",
            value=f"the period has no customers: {period}",
            remedy="Check the source, the sign-up column and the period.",
        )


def _write(
    asked: _Asked, connection: duckdb.DuckDBPyConnection, rules: RowRules, manifest: StagingManifest
) -> StagingManifest:
    """Put staging in place, as people's requests would have it; returns the manifest of what is there then."""
    effects = asked.stones.effects(connection) if asked.stones else Effects()
    try:
        with replace_staging(asked.workspace, Population.CUSTOMERS, asked.period) as new:
            manifest = _write_tables(asked.customers, connection, rules, manifest, new)
            new.manifest = manifest = obey(new.place, manifest, effects) if effects else manifest
    except OSError as failure:
        raise StagingError(
            "staging must be writable",
            value=f"{asked.workspace.home} ({type(failure).__name__})",
            remedy="Check the folder's permissions and the free space.",
        ) from None
    return manifest


def _write_tables(
    customers: CustomerSource,
    connection: duckdb.DuckDBPyConnection,
    rules: RowRules,
    manifest: StagingManifest,
    new: NewStaging,
) -> StagingManifest:
    """Write the files of all tables; returns the manifest with them."""
    buckets = buckets_for(max(counts.used for counts in manifest.sources.values()))
    written = [_write_persons(connection, rules, TableWriter(new.place, PERSONS, buckets, **_options(rules)))]
    if customers.email is not None:
        written.append(_copy(connection, _ALIASES, TableWriter(new.place, ALIASES, buckets, compression="zstd")))
    if customers.orders is not None:
        # Amounts stay as they are, under the pseudonym: who has seen an order may find it again by its amount.
        # That is why staging is kept for the period's retention only, and nothing but sums of many leaves it.
        events = TableWriter(new.place, EVENTS, buckets, compression="zstd")
        written.append(_copy(connection, used_orders(customers.orders.amount), events))
    files = {table.name: tuple(table.files) for table in written}
    return manifest.model_copy(update={"buckets": buckets, "files": files})


def _options(rules: RowRules) -> dict[str, Any]:
    """Of the writer of persons: readers see text, not the codes that it was written from."""
    names = [POLICY_VERSIONS, *rules.customers.dimensions]
    return {"compression": "zstd", "use_dictionary": names, "write_statistics": False, "store_schema": False}


def _write_persons(connection: duckdb.DuckDBPyConnection, rules: RowRules, table: TableWriter) -> TableWriter:
    """Write who and what is told of them, sorted: to who has seen the source, its order would say who is who."""
    kinds = {POLICY_VERSIONS: KIND, **dict.fromkeys(rules.customers.dimensions, CODE)}
    schema = pa.schema(
        [("person", pa.string()), *((name, pa.dictionary(kind, pa.string())) for name, kind in kinds.items())]
    )
    with closing(one_ahead(_persons(connection, rules))) as parts, table.in_order(schema, _ROWS_A_GROUP) as write:
        for part in parts:
            write(part.cast(schema))
    return table


def _persons(connection: duckdb.DuckDBPyConnection, rules: RowRules) -> Generator[pa.Table, None, None]:
    """The rows of persons in parts, each sorted: person, and codes with their keys beside."""
    chosen, joins = _order_values(connection, rules.customers)
    for low, high in itertools.pairwise(_PARTS):
        coded = fetch_table(
            connection,
            f"SELECT {chosen} FROM persons {joins} WHERE person >= '{low}' AND person < '{high}' ORDER BY person",
        )
        columns = {
            "person": coded.column("person"),
            POLICY_VERSIONS: rules.consent.texts(coded.column(POLICY_VERSIONS)),
        }
        for name, dimension in rules.customers.dimensions.items():
            keys, codes = pa.array(closed(dimension.keys())), coded.column(name).cast(CODE).chunks
            columns[name] = pa.chunked_array(
                [pa.DictionaryArray.from_arrays(chunk, keys) for chunk in codes], pa.dictionary(CODE, pa.string())
            )
        yield pa.table(columns)


def _order_values(connection: duckdb.DuckDBPyConnection, customers: CustomerSource) -> tuple[str, str]:
    """SQL: what is chosen of ``persons``, and the joins with what comes from their orders."""
    chosen, joins = "persons.*", ""
    for name, column in customers.order_values.items():
        assert customers.orders is not None
        assert customers.orders.amount is not None
        nothing, table = len(column.keys()) - 1, f'"value of {name}"'
        connection.execute(f"CREATE TEMP TABLE {table} AS {order_value_code(column, customers.orders.amount)}")
        chosen += f', coalesce({table}.code, {nothing}) AS "{name}"'
        joins += f" LEFT JOIN {table} USING (person)"
    return chosen, joins


def _copy(connection: duckdb.DuckDBPyConnection, query: str, table: TableWriter) -> TableWriter:
    """Write de-identified rows; the engine itself, which has seen raw ones, reaches no file."""
    relation = connection.sql(query)
    assert relation is not None
    rows = relation.to_arrow_reader(100_000)
    with table.in_order(rows.schema) as write:
        for batch in rows:
            write(pa.table(batch))
    return table
