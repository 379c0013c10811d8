"""The SQL of every kind of table, in both dialects, is the one in ``snapshots``.

To change it on purpose, delete the file: it is written by the next run, which fails, and is looked at before the one
after.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from pipeline.people.dialect import DUCKDB, SPARK, Dialect
from pipeline.people.relations import Relations, added_up, tree_queries
from pipeline.people.trees import Counts
from pipeline.spec import BoundSpecification
from tests.kinds_of_tables import KINDS, table

SNAPSHOTS = Path(__file__).with_name("snapshots")
DIALECTS = {"duckdb": DUCKDB, "spark": SPARK}


@dataclass
class Written:
    """An engine that runs nothing."""

    dialect: Dialect
    kept: str = ""

    def keep(self, name: str, query: str) -> None:
        self.kept = f"-- {name}\n{query};\n\n"

    def fetched(self, query: str, secret: bytes | None) -> Counts:
        raise AssertionError(query, secret)


def written(bound: BoundSpecification, dialect: Dialect) -> str:
    parts = []
    for number, kind in enumerate(KINDS):
        engine = Written(dialect)
        tables = (table(number, kind), *([table(99, "people")] if kind.startswith("people by") else []))
        for tree, query in tree_queries(engine, replace(bound, tables=tables), Relations("events", None)):
            parts.append(f"-- {kind}\n{engine.kept}{added_up(tree, query, dialect)};\n")
    return "\n".join(parts)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_sql_is_that_of_the_snapshot(bound: BoundSpecification, name: str) -> None:
    path, sql = SNAPSHOTS / f"{name}.sql", written(bound, DIALECTS[name])
    if not path.exists():
        path.write_text(sql, "utf-8")
        pytest.fail(f"{path.name} was not there and is written: look at it")
    assert sql == path.read_text("utf-8")


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_name_cannot_end_its_quotes(dialect: Dialect) -> None:
    quote = dialect.quote
    assert dialect.quoted(f"a{quote} b") == f"{quote}a{quote}{quote} b{quote}"


def test_no_secret_stands_in_the_sql_of_spark(bound: BoundSpecification) -> None:
    assert ":" not in written(bound, SPARK)
    assert "$" not in written(bound, SPARK)
