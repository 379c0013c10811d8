"""How fast customers in PostgreSQL become de-identified staging, beside a bare read of the same columns.

The bare read is what the driver (ADBC) can do: the declared columns to an Arrow table, and nothing else. Both read from
a real server that runs for this measurement alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import adbc_driver_postgresql.dbapi  # type: ignore[import-untyped]
import psycopg
import sqlalchemy as sa

from pipeline.deidentify.customers import stage_customers
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.sources.columnar import libpq_address
from pipeline.workspace import Workspace
from tests import postgresql
from tests.benchmarks.measuring import alone, in_turns
from tests.benchmarks.reporting import Amount, Figure, Ratio, at_most

ROWS: Final = 1_000_000
ROUNDS: Final = 3
GOAL: Final = 2.0
PERIOD: Final = Period.parse("2026-10")
READ: Final = ("number", "country", "kind", "income", "signed_up", "region")


def figures(small: bool) -> Iterator[Figure]:
    """Seconds of both."""
    rows, rounds = (1_000, 1) if small else (ROWS, ROUNDS)
    with postgresql.server() as url:
        make_customers(url, rows)
        address = url.render_as_string(hide_password=False)
        rivals = {"ours": lambda: alone(staged, address), "theirs": lambda: alone(bare_read, address)}
        found = in_turns(rivals, rounds, warm_up=0 if small else 1)
    ours, theirs = found["ours"], found["theirs"]
    yield Figure(
        f"{rows:,} customers in PostgreSQL, {len(READ)} columns, to de-identified staging",
        "the bare read to Arrow",
        Amount.of(ours),
        Amount.of(theirs),
        Ratio.LONGER,
        rounds=rounds,
        goals=(at_most(GOAL),),
    )


def staged(address: str) -> None:
    """The product's own stage."""
    with tempfile.TemporaryDirectory() as home:
        stage_customers(Workspace(Path(home)), site_of(address), PERIOD)


def bare_read(address: str) -> None:
    """The declared columns as an Arrow table, and nothing else."""
    url = libpq_address(sa.make_url(address))
    with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(READ)} FROM customers")
        cursor.fetch_arrow_table()


def site_of(address: str) -> SiteFile:
    """A site that reads six of the seven columns."""
    customers = {
        "source": {"kind": "database", "url": address, "table": "customers"},
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
