"""Checks de-identified staging, and how it was read, before anything is counted from it.

Staging never leaves the engine: DuckDB finds the names of columns, the distinct values of each generalised column, and
facts that hold or do not; amounts never leave it at all. Of these, verdicts alone are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
import pandas as pd

from pipeline.deidentify.pseudonyms import PSEUDONYM_DIGITS
from pipeline.deidentify.staging import ALIASES, CHECKS, EVENTS, MANIFEST, PERSONS, Staging
from pipeline.errors import StagingError
from pipeline.policy import held_policy
from pipeline.site import LARGEST_AMOUNT, POLICY_VERSIONS, SiteFile
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
    files, has_aliases = _files(staging, dimensions), _has_aliases(site, staging)
    # columns of events that hold a number
    amounts = [f"{staging.events.stem}.{name}" for name in site.quantities(staging.population) if name != COUNTED]
    with _engine() as engine:
        columns = _columns(engine, [*files, *[staging.aliases] * has_aliases], amounts)
        values = _values(engine, files, columns["column"])
        facts = _facts(engine, staging, files, amounts, columns["column"])
        if staging.population is Population.CUSTOMERS:
            facts |= _customer_facts(engine, workspace, staging, columns["column"], has_aliases=has_aliases)
    texts = [f"{path.stem}.{name}" for path, held in files.items() for name in (_PERSON, *held)]
    texts += [_VERSIONS] if staging.population is Population.CUSTOMERS else []
    texts += [_ALIAS_OF, _ALIAS] if has_aliases else []
    subjects = [
        Subject("columns", "columns", _STAGING, columns, {"columns": texts + amounts}),
        Subject("values", "values", _STAGING, values, _lists(dimensions)),
        Subject("facts", "facts", _STAGING, pd.DataFrame([facts]), {}),
    ]
    run_name = f"{staging.population}.{staging.period}"
    return run(workspace, load_suite(f"staging_{staging.population}"), str(staging.population), run_name, subjects)


def _files(staging: Staging, dimensions: _Dimensions) -> Mapping[Path, _Dimensions]:
    """Which files there must be, and which dimensions each holds; the population's first."""
    if staging.population is Population.VISITORS:
        return {staging.events: dimensions}
    orders = {name: one for name, one in dimensions.items() if not one.per_person}
    people = {name: one for name, one in dimensions.items() if one.per_person}
    return {staging.persons: people} | ({staging.events: orders} if orders else {})


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


@contextmanager
def _engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine in memory that spills nothing; what it says about a file that it cannot read may quote the file."""
    with duckdb.connect(config={"temp_directory": "", "autoinstall_known_extensions": "false"}) as engine:
        try:
            yield engine
        except duckdb.Error as failure:
            raise StagingError(
                "staging must be readable Parquet", value=type(failure).__name__, remedy="Ingest the period again."
            ) from None


def _columns(engine: duckdb.DuckDBPyConnection, files: Iterable[Path], amounts: Collection[str]) -> pd.DataFrame:
    # one row a column of a file: ``events.country``, its type as one of text or, of amounts, as one of a number
    described = [
        (f"{path.stem}.{name}", kind)
        for path in files
        for name, kind, *_ in engine.execute("DESCRIBE FROM read_parquet(?)", [str(path)]).fetchall()
    ]
    rows = [(name, None, kind) if name in amounts else (name, kind, None) for name, kind in described]
    return pd.DataFrame(rows, columns=["column", "type", "amount_type"], dtype="string")


def _values(
    engine: duckdb.DuckDBPyConnection, files: Mapping[Path, _Dimensions], present: Iterable[str]
) -> pd.DataFrame:
    # one column a dimension: its distinct values, a missing one as '', then missing up to the longest column
    there = set(present)
    found = {
        name: _distinct(engine, path, dimension) if f"{path.stem}.{name}" in there else []
        for path, held in files.items()
        for name, dimension in held.items()
    }
    return pd.DataFrame({name: pd.Series(values, dtype="string") for name, values in found.items()})


def _distinct(engine: duckdb.DuckDBPyConnection, path: Path, dimension: Dimension) -> list[str]:
    query = f"SELECT DISTINCT coalesce(\"{dimension.name}\"::VARCHAR, '') FROM read_parquet(?)"
    if dimension.is_partial:
        query += f' WHERE "{dimension.name}" IS NOT NULL'
    # An open dimension may have any number of values that are as they should be.
    most = "" if dimension.is_open else f" LIMIT {_MOST_VALUES}"
    return [value for (value,) in engine.execute(query + most, [str(path)]).fetchall()]


def _facts(
    engine: duckdb.DuckDBPyConnection,
    staging: Staging,
    files: Iterable[Path],
    amounts: Iterable[str],
    present: Iterable[str],
) -> dict[str, bool]:
    there = set(present)
    sources = staging.manifest.sources
    used = {path: sources[name].used for path in files if (name := _SOURCES[staging.population, path.name]) in sources}
    named = all(f"{path.stem}.{_PERSON}" in there for path in files)
    facts = {
        "somebody_is_there": _ask(engine, "count(*) > 0", next(iter(files))),
        "people_are_pseudonyms": named and all(_ask(engine, _ALL_PSEUDONYMS, path) for path in files),
        "nothing_else_is_kept": {path.name for path in staging.folder.iterdir()}
        <= {path.name for path in files} | _KEPT | ({ALIASES} if _ALIAS in there else set()),
        "rows_are_the_lines_used": set(used) == set(files)
        and all(_ask(engine, f"count(*) = {lines}", path) for path, lines in used.items()),
    }
    largest = LARGEST_AMOUNT if staging.population is Population.CUSTOMERS else 1
    facts["amounts_are_as_declared"] = all(
        name in there and _ask(engine, _all_in_bounds(name.rpartition(".")[2], largest), staging.events)
        for name in amounts
    )
    return facts


def _customer_facts(
    engine: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    staging: Staging,
    present: Iterable[str],
    *,
    has_aliases: bool,
) -> dict[str, bool]:
    there = set(present)
    once = f"{staging.persons.stem}.{_PERSON}" in there and _stand_once(engine, staging.persons)
    facts = {
        "people_stand_once": once,
        "versions_are_of_the_policy": False,
        "aliases_are_of_customers": not has_aliases,
    }
    if _VERSIONS in there:
        policy = held_policy(workspace.policy_file)
        known = set(policy.names if policy else ())
        query = f"SELECT DISTINCT coalesce({POLICY_VERSIONS}::VARCHAR, ' ') FROM read_parquet(?) LIMIT {_MOST_VALUES}"
        told = [value for (value,) in engine.execute(query, [str(staging.persons)]).fetchall()]
        facts["versions_are_of_the_policy"] = all(not value or known.issuperset(value.split(" ")) for value in told)
    if once and {_ALIAS, _ALIAS_OF} <= there:
        strangers = "SELECT count(*) FROM read_parquet(?) ANTI JOIN read_parquet(?) USING (person)"
        ((others,),) = engine.execute(strangers, [str(staging.aliases), str(staging.persons)]).fetchall()
        are_pseudonyms = _ask(engine, _ALL_PSEUDONYMS.replace(_PERSON, "alias"), staging.aliases)
        facts["aliases_are_of_customers"] = not others and are_pseudonyms and _stand_once(engine, staging.aliases)
    return facts


# What each file was made of, by its name in the manifest.
_SOURCES: Final = {
    (Population.VISITORS, EVENTS): "visitor logs",
    (Population.CUSTOMERS, PERSONS): "customers",
    (Population.CUSTOMERS, EVENTS): "orders",
}
_KEPT: Final = {MANIFEST, CHECKS, f".{CHECKS}"}
_ALL_PSEUDONYMS: Final = (
    f"coalesce(bool_and(coalesce(regexp_full_match(person::VARCHAR, '[0-9a-f]{{{PSEUDONYM_DIGITS}}}'), false)), true)"
)


def _all_in_bounds(column: str, largest: int) -> str:
    smallest = -largest if largest > 1 else 0  # refunds are negative; a visit begins or does not
    value = f'try_cast("{column}" AS BIGINT)'  # of another type it fails by its type
    return f"coalesce(bool_and(coalesce({value} BETWEEN {smallest} AND {largest}, false)), true)"


def _stand_once(engine: duckdb.DuckDBPyConnection, path: Path) -> bool:
    return _ask(engine, "count(*) = count(DISTINCT person)", path)


def _ask(engine: duckdb.DuckDBPyConnection, question: str, path: Path) -> bool:
    answer = engine.execute(f"SELECT {question} FROM read_parquet(?)", [str(path)]).fetchone()
    assert answer is not None
    return bool(answer[0])
