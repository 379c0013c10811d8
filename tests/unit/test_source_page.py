"""What docs/sources.md says of sources is what the program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
import yaml
from sqlalchemy import make_url

from pipeline.deidentify import accounting, batches, errors, key_store, requests
from pipeline.documents import Document
from pipeline.filesystems.options import storage_options
from pipeline.site import (
    AmountColumn,
    CsvSource,
    CustomerSource,
    DatabaseSource,
    ErrorLogSource,
    LogSource,
    OrderSource,
    RequestField,
    SiteFile,
    TrailingField,
    VisitorSource,
)
from pipeline.site.visitors import LogFormatName
from pipeline.sources.connections import database_url
from pipeline.sources.formats import open_format

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text("utf-8")
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
EXPORTS = dict(shlex.split(line)[1].split("=", 1) for line in re.findall(r"^export .*$", PAGE, re.MULTILINE))
SOURCES = (
    VisitorSource,
    LogSource,
    ErrorLogSource,
    CustomerSource,
    OrderSource,
    AmountColumn,
    DatabaseSource,
    CsvSource,
)
# What a block leaves out that a site file must have.
LEAST: dict[str, dict[str, Any]] = {
    "visitors": {"logs": ["access.log"]},
    "customers": {
        "source": {"kind": "database", "url": "sqlite:///x.db", "table": "people"},
        "person": "id",
        "dimensions": {"country": {"kind": "country", "column": "country"}},
    },
}


def site_of(block: dict[str, Any]) -> SiteFile:
    budget = {population: {"epsilon": 1, "delta": 1e-6} for population in block}
    whole = {name: LEAST[name] | section for name, section in block.items()}
    return SiteFile.model_validate({"site": "Test", "budget": budget, **whole})


def sources() -> list[LogSource]:
    sites = [site_of(block) for block in BLOCKS]
    return [source for site in sites if site.visitors for source in site.visitors.log_sources]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: "-".join(next(iter(block.values()))))
def test_every_piece_fits_into_a_site_file(block: dict[str, Any]) -> None:
    site = site_of(block)
    for name, section in block.items():
        assert set(section) <= set(type(getattr(site, name)).model_fields)


def test_there_are_pieces() -> None:
    assert len(BLOCKS) > 10
    assert {name for block in BLOCKS for name in block} == {"visitors", "customers"}


@pytest.mark.parametrize("model", SOURCES, ids=lambda model: model.__name__)
def test_every_key_of_a_source_is_on_the_page(model: type[Document]) -> None:
    for name in model.model_fields:
        assert re.search(rf"\b{name}\b", PAGE), name


def test_every_format_and_every_field_is_on_the_page() -> None:
    named = {*get_args(LogFormatName), *get_args(RequestField), *get_args(TrailingField)} - {"detected", "-"}
    for name in named:
        assert re.search(rf"`{name}`|: {name}\b|\b{name}:", PAGE), name


def test_every_reason_is_in_the_row_of_its_source() -> None:
    rows = {row.split("|")[1].strip(): row for row in PAGE.splitlines() if row.startswith("| ")}
    for source, stage in (("Visitor logs", requests), ("Error logs", errors)):
        for reason in stage.REJECTED:
            assert f"`{reason}`" in rows[source].split("|")[3], reason
    for reason in requests.LEFT_OUT:
        assert f"`{reason}`" in rows["Visitor logs"].split("|")[2], reason
    for reason in (batches.OPTED_OUT, accounting.AT_REQUEST):
        assert f"`{reason}`" in rows["Customers"].split("|")[2], reason
    for reason in (requests.OUTSIDE, errors.NO_CLIENT, errors.NO_REQUEST_BESIDE):
        assert f"`{reason}`" in rows["Error logs"].split("|")[2], reason


def test_every_store_of_keys_is_on_the_page() -> None:
    for store in (key_store.FILE, key_store.ENVIRONMENT, f"{key_store.AIRFLOW}NAME"):
        assert f"| `{store}`" in PAGE


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in EXPORTS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("exported")
def test_the_connections_that_the_page_exports_are_taken() -> None:
    stores = {
        path.partition("://")[0]: source.connection for source in sources() for path in source.paths if "://" in path
    }
    found = {protocol: sorted(storage_options(connection, protocol)) for protocol, connection in stores.items()}
    assert found == {"s3": ["client_kwargs", "key", "secret"], "sftp": ["host", "key_filename", "username"]}
    assert str(make_url(database_url("crm"))) == "postgresql+psycopg://exporter:***@db.example.com/crm"


# A line for each format that the page declares, by what tells the declaration.
LINES = {
    "%{Accept-Language}i": (
        '8.8.8.8 - - [05/Oct/2026:10:00:00 +0000] "GET /docs/a?b HTTP/1.1" 200 12 "https://example.org/" "Agent/1.0" '
        '"de-DE" 815'
    ),
    "$time_iso8601": (
        '8.8.8.8 [2026-10-05T10:00:00+00:00] "GET /docs/a?b HTTP/1.1" 200 0.004 "https://example.org/" "Agent/1.0"'
    ),
    "client.ip": (
        '{"client": {"ip": "8.8.8.8"}, "@timestamp": "2026-10-05T10:00:00Z", "http": {"method": "GET", "status": 200, '
        '"headers": {"Referer": "https://example.org/", "User-Agent": "Agent/1.0", "Cookie": "session=4711"}}, '
        '"url": {"path": "/docs/a", "query": "b"}}'
    ),
    "'forwarded', '-', 'accept_language'": (
        '8.8.8.8 - - [05/Oct/2026:10:00:00 +0000] "GET /docs/a?b HTTP/1.1" 200 12 "https://example.org/" "Agent/1.0" '
        '"192.0.2.7" "session=4711" "de-DE"'
    ),
}


@pytest.mark.parametrize("sign", LINES)
def test_what_the_page_declares_of_a_format_reads_its_lines(sign: str) -> None:
    (source,) = (source for source in sources() if sign in str(source.model_dump()))
    head = pa.table({"line": [f"{LINES[sign]}\n"], "number": pa.array([1], pa.int64())})
    ((lines, fields),) = open_format(source, ZoneInfo("UTC"), head).parts(head)
    with duckdb.connect() as connection:
        connection.register("lines", lines)
        read = "SELECT address, epoch(moment), status, path, query, origin, agent, directive"
        (row,) = connection.execute(f"{read} FROM ({fields})").fetchall()
    assert row == ("8.8.8.8", 1791194400.0, "200", "/docs/a", "?b", "https://example.org", "Agent/1.0", False)
