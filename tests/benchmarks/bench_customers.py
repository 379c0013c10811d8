"""How fast customers in PostgreSQL become de-identified staging, beside a bare read of the same columns.

    python tests/benchmarks/bench_customers.py [ROWS]

The bare read is what the driver (ADBC) can do: the declared columns to an Arrow table, and nothing else. Both read from
a real server that runs for this measurement alone. Ends with 1 where staging takes more than twice as long.
"""

from __future__ import annotations

import importlib.util
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import adbc_driver_postgresql.dbapi  # type: ignore[import-untyped]
import psycopg
import sqlalchemy as sa

from pipeline.deidentify.customers import stage_customers
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.sources.columnar import libpq_address
from pipeline.workspace import Workspace

ROWS = 1_000_000
ROUNDS = 3
GOAL = 2.0
PERIOD = Period.parse("2026-10")
READ = ("number", "country", "kind", "income", "signed_up", "region")


def main() -> int:
    """Measure both in turns, print what came out, and fail above the goal."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with server_module().server() as url, tempfile.TemporaryDirectory() as folder:
        make_customers(url, rows)
        home, site = Path(folder), site_of(url)
        stage_customers(Workspace(home), site, PERIOD)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        # In turns, so that what else the machine does falls on both.
        times = [
            (seconds(lambda: bare_read(url)), seconds(lambda: stage_customers(Workspace(home), site, PERIOD)))
            for _ in range(ROUNDS)
        ]
    bare, staged = (min(column) for column in zip(*times, strict=True))
    print(f"{rows:,} customers, {len(READ)} columns")
    print(f"bare read to Arrow       {bare:6.2f} s  {rows / bare:10,.0f} rows/s")
    print(f"de-identified staging    {staged:6.2f} s  {rows / staged:10,.0f} rows/s  peak {peak} MB")
    print(f"ratio                    {staged / bare:6.2f}    (goal: at most {GOAL})")
    return 0 if staged / bare <= GOAL else 1


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def bare_read(url: sa.URL) -> int:
    """The declared columns as an Arrow table, and nothing else."""
    with adbc_driver_postgresql.dbapi.connect(libpq_address(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(READ)} FROM customers")
        return int(cursor.fetch_arrow_table().num_rows)


def site_of(url: sa.URL) -> SiteFile:
    """A site that reads six of the seven columns."""
    customers = {
        "source": {"kind": "database", "url": url.render_as_string(hide_password=False), "table": "customers"},
        "person": "number",
        "signed_up": "signed_up",
        "dimensions": {
            "country": {"kind": "country", "column": "country"},
            "customer_kind": {"kind": "category", "column": "kind", "title": "Kind", "values": ["private", "school"]},
            "income": {"kind": "band", "column": "income", "title": "Income", "edges": [20_000, 40_000, 60_000]},
            "since": {"kind": "month", "column": "signed_up", "title": "Since", "first": "2020-01", "last": "2026-10"},
            "region": {"kind": "region", "column": "region", "countries": ["DE", "FR", "US"]},
        },
    }
    budget = {"customers": {"epsilon": 1, "delta": 1e-6}}
    return SiteFile.model_validate({"site": "Benchmark", "customers": customers, "budget": budget})


def make_customers(url: sa.URL, rows: int) -> None:
    """A table of customers, spread evenly over what tells them apart."""
    with psycopg.connect(libpq_address(url) or "", autocommit=True) as connection:
        connection.execute(
            f"""
            CREATE TABLE customers AS
            SELECT 'C-' || lpad(i::text, 8, '0') AS number,
                (ARRAY['Germany', 'France', 'US', 'GB', 'Italy'])[1 + i * 7919 % 5] AS country,
                (ARRAY['private', 'business', 'school'])[1 + i * 104729 % 3] AS kind,
                (i * 7919 % 90000)::int AS income,
                TIMESTAMPTZ '2020-01-01' + i * 37 % 200000000 * INTERVAL '1 second' AS signed_up,
                (ARRAY['DE-BE', 'DE-BY', 'FR-IDF', 'US-CA'])[1 + i * 31 % 4] AS region,
                'customer' || i || '@example.org' AS email
            FROM generate_series(1::bigint, {rows}) AS i
            """
        )
        connection.execute("VACUUM ANALYZE customers")


def server_module() -> ModuleType:
    """The module of the tests that runs a server; a script has no package to find it in."""
    path = Path(__file__).parents[1] / "postgresql.py"
    specification = importlib.util.spec_from_file_location("postgresql_for_tests", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
