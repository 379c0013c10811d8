"""Any bytes at all are read, and every line is accounted for; fields come out of a line as they went in."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.deidentify.visitors import stage_visitors
from pipeline.periods import Period
from pipeline.site import SiteFile
from pipeline.sources.formats.combined import request_fields
from pipeline.sources.logs import read_lines
from pipeline.workspace import Workspace
from tests.log_files import log_of
from tests.staged import file_of

GOOD = b'8.8.8.8 - - [05/Oct/2026:10:00:00 +0000] "GET /docs/a HTTP/1.1" 200 12 "-" "Mozilla/5.0 Firefox/120.0"\n'
SITE = SiteFile.model_validate(
    {
        "site": "Test",
        "visitors": {"logs": ["x.log"], "period": "day", "max_rejected_share": 1},
        "budget": {"visitors": {"epsilon": 1, "delta": 1e-6}},
    }
)

connection = duckdb.connect()
# What may stand inside quotes: anything but a bare quote or backslash, or an escape.
quoted = st.lists(
    st.one_of(st.characters(blacklist_characters='"\\\n', codec="utf-8"), st.sampled_from(['\\"', "\\\\", "\\x22"])),
    max_size=20,
).map("".join)
word = st.text(
    st.characters(codec="ascii", min_codepoint=33, max_codepoint=126, blacklist_characters='"[]'), min_size=1
)


def parsed(lines: Sequence[str], trailing: tuple[str, ...]) -> list[dict[str, Any]]:
    connection.register("lines", pa.table({"line": lines, "number": range(len(lines))}))
    relation = connection.sql(f"SELECT address, status, agent, accept_language FROM ({request_fields(trailing)})")
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


fields = st.fixed_dictionaries(
    {"address": word, "status": word, "request": quoted, "referrer": quoted, "agent": quoted, "language": quoted}
)


def line_of(field: dict[str, str]) -> str:
    return (
        f'{field["address"]} - - [05/Oct/2026:10:00:00 +0000] "{field["request"]}" {field["status"]} 12 '
        f'"{field["referrer"]}" "{field["agent"]}" "{field["language"]}"\n'
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(fields, min_size=1, max_size=8))
def test_fields_come_out_as_they_went_in(written: list[dict[str, str]]) -> None:
    lines = [line_of(field) for field in written]
    expected = [{name: field[name] for name in ("address", "status", "agent")} for field in written]
    assert parsed(lines, ()) == [{**field, "accept_language": ""} for field in expected]
    languages = [{"accept_language": field["language"]} for field in written]
    assert parsed(lines, ("accept_language",)) == [
        field | read for field, read in zip(expected, languages, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_line_by_line(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.log"
        path.write_bytes(GOOD + content)
        lines = [line for table in read_lines([log_of(path)]) for line in table.column("line").to_pylist()]
    assert len(lines) == 1 + content.rstrip(b"\r\n").count(b"\n") + bool(content.rstrip(b"\r\n"))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.one_of(st.just(GOOD), st.binary(max_size=60), st.integers(0, len(GOOD)).map(lambda n: GOOD[:n]))))
def test_every_line_of_any_file_is_accounted_for(pieces: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.log"
        path.write_bytes(GOOD + b"".join(pieces))
        staging = stage_visitors(Workspace(Path(folder)), SITE, Period.parse("2026-10-05"))
        rows = pq.read_metadata(file_of(staging.events)).num_rows
        lines = sum(table.num_rows for table in read_lines([log_of(path)]))
    counts = staging.manifest.sources["visitor logs"]
    assert counts.read == lines == counts.used + sum(counts.left_out.values()) + sum(counts.rejected.values())
    assert counts.used == rows
