"""Which format a file is in, told by its first lines."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest

from pipeline.errors import ConfigurationError
from pipeline.site import LogSource
from pipeline.sources.formats import COLUMNS, open_format
from tests.made_logs import COOKIE, DETECTED, Request

UTC = ZoneInfo("UTC")
ANY = LogSource(paths=("access.log",))


def block(text: str) -> pa.Table:
    lines = text.splitlines(keepends=True)
    return pa.table({"line": lines, "number": pa.array(range(1, len(lines) + 1), pa.int64())})


def requests(text: str, source: LogSource = ANY, head: str = "") -> list[dict[str, Any]]:
    rows = []
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for part, select in open_format(source, UTC, block(head or text)).parts(block(text)):
            engine.register("lines", part)
            found = engine.sql(f"SELECT * REPLACE (moment::VARCHAR AS moment) FROM ({select})")
            assert tuple(found.columns) == COLUMNS
            rows += [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    return [row for row in rows if not row["directive"]]


@pytest.mark.parametrize("name", DETECTED)
def test_a_request_is_told_the_same_in_every_format_that_is_found_by_looking(name: str) -> None:
    made = Request(path="/docs/start", query="a=b")
    (row,) = requests(DETECTED[name]([made]))
    assert (row["address"], row["path"], row["query"], row["status"]) == (made.address, made.path, "?a=b", "200")
    assert row["moment"].startswith("2026-10-05 10:00:00")
    assert row["agent"] in (made.agent, None)
    assert row["origin"] in ("https://www.shop.example", None)


@pytest.mark.parametrize("name", DETECTED)
def test_no_cookie_comes_out_of_any_format(name: str) -> None:
    assert COOKIE not in str(requests(DETECTED[name]([Request()])))


@pytest.mark.parametrize("name", DETECTED)
def test_some_lines_of_rubbish_do_not_hide_the_format(name: str) -> None:
    text = DETECTED[name]([Request()] * 20)
    found = requests(text + "\x16\x03\x01\n{\n#\n" * 5)
    assert sum(row["address"] != "" for row in found) == 20


def test_a_file_of_no_known_format_is_read_as_combined_so_that_its_lines_are_counted() -> None:
    source = open_format(ANY, UTC, block("nonsense\n" * 9))
    assert source.name == "combined"
    assert [row["address"] for row in requests("nonsense\n" * 9)] == [""] * 9


def test_directives_alone_say_that_lines_are_to_follow() -> None:
    assert open_format(ANY, UTC, block("#Software: IIS\n#Version: 1.0\n#Date: 2026-10-05\n")).name == "W3C extended"


def test_a_declared_format_is_not_looked_for() -> None:
    declared = LogSource(paths=("access.log",), format="combined")
    assert [row["address"] for row in requests(DETECTED["common"]([Request()]), declared)] == [""]


def test_each_file_has_a_format_of_its_own_that_remembers_its_directives() -> None:
    first, second = (open_format(ANY, UTC, block("#Fields: c-ip\n")) for _ in range(2))
    assert first is not second


def test_a_cookie_cannot_be_declared_in_any_format() -> None:
    for kind, name in (("json", "request.headers.Cookie[0]"), ("w3c", "cs(Cookie)"), ("cloudfront", "cs(Cookie)")):
        source = LogSource.model_validate({"paths": ["x"], "format": kind, "fields": {"agent": name}})
        with pytest.raises(ConfigurationError, match="cookie"):
            open_format(source, UTC, block("x\n"))
