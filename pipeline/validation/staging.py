"""Checks de-identified staging, and how it was read, before anything is counted from it.

Staging never leaves the engine: DuckDB finds the names of columns, the distinct values of each generalised column, and
facts that hold or do not; amounts never leave it at all. Of these, verdicts alone are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pandas as pd
import pyarrow as pa

from pipeline.deidentify.obeying import SOURCES
from pipeline.deidentify.pseudonyms import BUCKET_DIGITS, PSEUDONYM_DIGITS
from pipeline.deidentify.staging import CHECKS, MANIFEST, Staging
from pipeline.deidentify.tables import ALIASES, EVENTS, PERSONS, StagedTable
from pipeline.errors import StagingError
from pipeline.policy import held_policy
from pipeline.site import LARGEST_AMOUNT, POLICY_VERSIONS, SiteFile
from pipeline.sources.engine import quoted
from pipeline.validation.runs import Subject, run
from pipeline.validation.sources import check_sources
from pipeline.validation.suites import Parameters, load_suite
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import EVENTS as COUNTED
from pipeline.vocabulary import Dimension, Population
from pipeline.workspace import Workspace

_PERSON: Final = "person"
_STAGING: Final = "staging"  # subject of the verdicts
_VERSIONS: Final = f"persons.{POLICY_VERSIONS}"
_ALIAS_OF, _ALIAS = f"aliases.{_PERSON}", "aliases.alias"
# Of a closed dimension, more distinct values than this are not read: most of them are not on its list then.
_MOST_VALUES: Final = 10_000

_Dimensions = Mapping[str, Dimension]


def check_staging(workspace: Workspace, site: SiteFile, staging: Staging) -> Verdicts:
    """Run the suites on how a period was read and on its staging; nothing is drawn without the verdicts of both.

    Args:
        workspace: Holds Data Docs and the period's key.
        site: Declares the sources, and the dimensions with their closed lists.
        staging: One period of one population.

    Returns:
        One verdict a check of the suites ``sources`` and ``staging_visitors`` or ``staging_customers``, without values.
        Call ``require`` on it.

    Raises:
        StagingError: A file cannot be read.
        ConfigurationError: The site has no such population, or its policy breaks a rule.
    """
    read = check_sources(workspace, site, staging)
    return Verdicts((*read.checks, *check_files(workspace, site, staging).checks))


def check_files(workspace: Workspace, site: SiteFile, staging: Staging) -> Verdicts:
    """Run the suite of the population on its staging and add the run to Data Docs.

    Args:
        workspace: Holds Data Docs.
        site: Declares the dimensions and their closed lists.
        staging: One period of one population.

    Returns:
        One verdict a check, without values. Call ``require`` on it.

    Raises:
        StagingError: A file cannot be read.
        ConfigurationError: The site has no such population, or its policy breaks a rule.
    """
    dimensions = site.dimensions(staging.population)
    tables, has_aliases = _tables(staging.population, dimensions), _has_aliases(site, staging)
    # columns of events that hold a number
    amounts = [f"{EVENTS}.{name}" for name in site.quantities(staging.population) if name != COUNTED]
    with _engine(staging) as held:
        columns = _columns(held, [*tables, *[ALIASES] * has_aliases], amounts)
        values = _values(held, tables, columns["column"])
        facts = _facts(held, tables, amounts, columns["column"])
        if staging.population is Population.CUSTOMERS:
            facts |= _customer_facts(held, workspace, columns["column"], has_aliases=has_aliases)
    texts = [f"{table}.{name}" for table, names in tables.items() for name in (_PERSON, *names)]
    texts += [_VERSIONS] if staging.population is Population.CUSTOMERS else []
    texts += [_ALIAS_OF, _ALIAS] if has_aliases else []
    subjects = [
        Subject("columns", "columns", _STAGING, columns, {"columns": texts + amounts}),
        Subject("values", "values", _STAGING, values, _lists(dimensions)),
        Subject("facts", "facts", _STAGING, pd.DataFrame([facts]), {}),
    ]
    run_name = f"{staging.population}.{staging.period}"
    return run(workspace, load_suite(f"staging_{staging.population}"), str(staging.population), run_name, subjects)


def _tables(population: Population, dimensions: _Dimensions) -> Mapping[str, _Dimensions]:
    """Which tables there must be, and which dimensions each holds; the population's first."""
    if population is Population.VISITORS:
        return {EVENTS: dimensions}
    orders = {name: one for name, one in dimensions.items() if not one.per_person}
    people = {name: one for name, one in dimensions.items() if one.per_person}
    return {PERSONS: people} | ({EVENTS: orders} if orders else {})


def _has_aliases(site: SiteFile, staging: Staging) -> bool:
    """Whether the period's staging has a second name of people: the e-mail address is declared."""
    customers = site.customers if staging.population is Population.CUSTOMERS else None
    return customers is not None and customers.email is not None


def _lists(dimensions: _Dimensions) -> Parameters:
    """Parameters of the suite: all dimensions, those of closed lists, and those whose values are as they were found."""

    def listed(chosen: Iterable[Dimension]) -> list[Parameters]:
        return [{"column": one.name, "title": one.title, "keys": list(one.keys)} for one in chosen]

    return {
        "dimensions": listed(dimensions.values()),
        "closed_dimensions": listed(one for one in dimensions.values() if not one.is_open),
        "open_dimensions": listed(one for one in dimensions.values() if one.is_open),
    }


@dataclass(frozen=True)
class _Held:
    """A period's tables in an engine, each a view that is called as the table."""

    engine: duckdb.DuckDBPyConnection
    staging: Staging

    def fetched(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.engine.execute(query).fetchall()

    def is_so(self, question: str, table: str) -> bool:
        """The answer to a question of yes or no about all rows of a table."""
        return bool(self.fetched(f"SELECT {question} FROM {table}")[0][0])


@contextmanager
def _engine(staging: Staging) -> Iterator[_Held]:
    """An engine in memory that spills nothing; what it says about a file that it cannot read may quote the file."""
    with duckdb.connect(config={"temp_directory": "", "autoinstall_known_extensions": "false"}) as engine:
        staging.place.attach(engine)
        try:
            for name in staging.manifest.files:
                table = staging.table(name)
                assert table is not None
                engine.execute(f"CREATE TEMP VIEW {name} AS FROM read_parquet([{_listed(table)}])")
            yield _Held(engine, staging)
        except (duckdb.Error, OSError) as failure:
            raise StagingError(
                "staging must be readable Parquet", value=type(failure).__name__, remedy="Ingest the period again."
            ) from None


def _columns(held: _Held, tables: Iterable[str], amounts: Collection[str]) -> pd.DataFrame:
    # one row a column of a table: ``events.country``, its type as one of text or, of amounts, as one of a number
    described = [
        (f"{table}.{name}", kind) for table in tables for name, kind, *_ in held.fetched(f"DESCRIBE FROM {table}")
    ]
    rows = [(name, None, kind) if name in amounts else (name, kind, None) for name, kind in described]
    return pd.DataFrame(rows, columns=["column", "type", "amount_type"], dtype="string")


def _values(held: _Held, tables: Mapping[str, _Dimensions], present: Iterable[str]) -> pd.DataFrame:
    # one column a dimension: its distinct values, a missing one as '', then missing up to the longest column
    there = set(present)
    found = {
        name: _distinct(held, table, dimension) if f"{table}.{name}" in there else []
        for table, names in tables.items()
        for name, dimension in names.items()
    }
    return pd.DataFrame({name: pd.Series(values, dtype="string") for name, values in found.items()})


def _distinct(held: _Held, table: str, dimension: Dimension) -> list[str]:
    query = f"SELECT DISTINCT coalesce(\"{dimension.name}\"::VARCHAR, '') FROM {table}"
    if dimension.is_partial:
        query += f' WHERE "{dimension.name}" IS NOT NULL'
    # An open dimension may have any number of values that are as they should be.
    most = "" if dimension.is_open else f" LIMIT {_MOST_VALUES}"
    return [value for (value,) in held.fetched(query + most)]


def _facts(held: _Held, tables: Iterable[str], amounts: Iterable[str], present: Iterable[str]) -> dict[str, bool]:
    there, names, manifest = set(present), list(tables), held.staging.manifest
    used = {
        table: manifest.sources[source].used
        for table in names
        if (source := SOURCES[manifest.population, table]) in manifest.sources
    }
    named = all(f"{table}.{_PERSON}" in there for table in names)
    aliases = {ALIASES} if _ALIAS in there else set()
    facts = {
        "somebody_is_there": held.is_so("count(*) > 0", names[0]),
        "people_are_pseudonyms": named and all(held.is_so(_ALL_PSEUDONYMS, table) for table in names),
        "people_are_in_their_bucket": not named or all(_in_their_bucket(held, table) for table in manifest.files),
        "nothing_else_is_kept": set(manifest.files) <= {*names, *aliases}
        and set(held.staging.place.names()) <= manifest.names | {MANIFEST, CHECKS},
        "rows_are_the_lines_used": set(used) == set(names)
        and all(held.is_so(f"count(*) = {lines}", table) for table, lines in used.items()),
    }
    largest = LARGEST_AMOUNT if manifest.population is Population.CUSTOMERS else 1
    facts["amounts_are_as_declared"] = all(
        name in there and held.is_so(_all_in_bounds(name.rpartition(".")[2], largest), EVENTS) for name in amounts
    )
    return facts


def _customer_facts(held: _Held, workspace: Workspace, present: Iterable[str], *, has_aliases: bool) -> dict[str, bool]:
    there = set(present)
    once = f"{PERSONS}.{_PERSON}" in there and held.is_so(_STAND_ONCE, PERSONS)
    facts = {
        "people_stand_once": once,
        "versions_are_of_the_policy": False,
        "aliases_are_of_customers": not has_aliases,
    }
    if _VERSIONS in there:
        policy = held_policy(workspace.policy_file)
        known = set(policy.names if policy else ())
        query = f"SELECT DISTINCT coalesce({POLICY_VERSIONS}::VARCHAR, ' ') FROM {PERSONS} LIMIT {_MOST_VALUES}"
        told = [value for (value,) in held.fetched(query)]
        facts["versions_are_of_the_policy"] = all(not value or known.issuperset(value.split(" ")) for value in told)
    if once and {_ALIAS, _ALIAS_OF} <= there:
        ((others,),) = held.fetched(f"SELECT count(*) FROM {ALIASES} ANTI JOIN {PERSONS} USING (person)")
        are_pseudonyms = held.is_so(_ALL_PSEUDONYMS.replace(_PERSON, "alias"), ALIASES)
        facts["aliases_are_of_customers"] = not others and are_pseudonyms and held.is_so(_STAND_ONCE, ALIASES)
    return facts


_STAND_ONCE: Final = "count(*) = count(DISTINCT person)"
_ALL_PSEUDONYMS: Final = (
    f"coalesce(bool_and(coalesce(regexp_full_match(person::VARCHAR, '[0-9a-f]{{{PSEUDONYM_DIGITS}}}'), false)), true)"
)


def _all_in_bounds(column: str, largest: int) -> str:
    smallest = -largest if largest > 1 else 0  # refunds are negative; a visit begins or does not
    value = f'try_cast("{column}" AS BIGINT)'  # of another type it fails by its type
    return f"coalesce(bool_and(coalesce({value} BETWEEN {smallest} AND {largest}, false)), true)"


def _in_their_bucket(held: _Held, table: str) -> bool:
    """Whether every file holds people of its bucket: who is to be erased is looked for there alone."""
    staged = held.staging.table(table)
    assert staged is not None
    if staged.buckets == 1:
        return True
    buckets = pa.table(
        {"filename": staged.paths(), "bucket": pa.array([one.bucket for one in staged.files], pa.uint64())}
    )
    held.engine.register("buckets", buckets)
    digits = f"TRY_CAST('0x' || left({_PERSON}::VARCHAR, {BUCKET_DIGITS}) AS UBIGINT)"
    own = f"({digits} * {staged.buckets}) >> {4 * BUCKET_DIGITS} = bucket"
    ((so,),) = held.fetched(
        f"SELECT coalesce(bool_and(coalesce({own}, false)), true) "
        f"FROM read_parquet([{_listed(staged)}], filename = true) LEFT JOIN buckets USING (filename)"
    )
    return bool(so)


def _listed(table: StagedTable) -> str:
    return ", ".join(map(quoted, table.paths()))
