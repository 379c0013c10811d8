"""Drafts of requests become staging, bucket by bucket of people."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.deidentify import drafts, tables
from pipeline.deidentify.drafts import draft_file, write_events
from pipeline.deidentify.error_lines import ERRORS
from pipeline.deidentify.places import Folder
from pipeline.deidentify.tables import StagedTable, bucket_of
from tests.builders import pseudonym

SECOND = 1_000_000
SECTIONS = ("home", "docs", "other")


def requests(people: int) -> pa.Table:
    """Everybody goes from home to docs, and comes back to home after an hour; the lines of all are mixed."""
    rows = [
        (pseudonym(person), section, seconds * SECOND + person, person * 3 + place)
        for place, (seconds, section) in enumerate(((0, 0), (60, 1), (3_700, 0)))
        for person in range(people)
    ]
    person, section, moment, number = zip(*rows, strict=True)
    return pa.table(
        {
            "person": person,
            "section": [SECTIONS[code] for code in section],
            "_moment": moment,
            "_number": pa.array(number, pa.int32()),
            "_section": pa.array(section, pa.int16()),
            "_viewed": [True] * len(rows),
            "_address": pa.array([7] * len(rows), pa.uint64()),
        }
    )


def written(folder: Path, *parts: pa.Table, errors: pa.Table | None = None, in_parts: bool = False) -> StagedTable:
    """Staging of drafts with these rows, one each."""
    place = Folder(str(folder))
    for number, rows in enumerate(parts):
        with draft_file(place.under("drafts"), f"{number}.parquet", in_parts=in_parts) as write:
            for start in range(0, len(rows), 11):
                write(rows.slice(start, 11))
    found = write_events(place.under("drafts"), place.under("drafts").names(), place, SECTIONS, errors)
    place.under("drafts").clear()
    return StagedTable("events", place, found.buckets, found.files)


def in_order(table: StagedTable) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.read().to_pylist()
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])


def test_every_first_request_and_every_one_after_an_hour_begins_a_visit(tmp_path: Path) -> None:
    whole = written(tmp_path, requests(40)).read()
    assert whole.column("visits").to_pylist() == [1] * 40 + [0] * 40 + [1] * 40
    assert whole.column("to_section").to_pylist() == [None] * 40 + ["docs"] * 40 + [None] * 40
    assert not [name for name in whole.schema.names if name.startswith("_")]


@pytest.mark.parametrize("in_parts", [False, True])
def test_visits_are_the_same_in_one_bucket_and_in_many_and_from_one_draft_and_from_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_parts: bool
) -> None:
    rows, errors = requests(40), pa.table([[7, 7], [61 * SECOND, 3_700 * SECOND], [3, 4], [0, 1]], schema=ERRORS)
    whole = in_order(written(tmp_path / "whole", rows, errors=errors))
    monkeypatch.setattr(tables, "ROWS_A_BUCKET", 9)
    monkeypatch.setattr(drafts, "ROWS_A_GROUP", 7)
    places = [*range(len(rows))]
    random.Random(7).shuffle(places)  # noqa: S311
    shuffled = [rows.take(places[start:end]) for start, end in pairwise((0, 50, 51, 120))]
    found = written(tmp_path / "parts", *shuffled, errors=errors, in_parts=in_parts)
    assert found.buckets == 16
    assert in_order(found) == whole
    for file in found.files:
        people = pq.read_table(found.place.at(found.path(file)), columns=["person"])["person"].to_pylist()
        assert {bucket_of(person, 16) for person in people} == {file.bucket}


def test_requests_of_one_moment_are_followed_by_their_number_whichever_draft_they_stand_in(tmp_path: Path) -> None:
    rows = requests(1).set_column(2, "_moment", pa.array([5, 5, 5])).set_column(3, "_number", pa.array([30, 10, 20]))
    for name, parts in (
        ("one", [rows]),
        ("two", [rows.slice(0, 2), rows.slice(2)]),
        ("three", [rows.slice(1), rows.slice(0, 1)]),
    ):
        found = written(tmp_path / name, *parts).read()
        assert sorted(
            zip(*found.select(["from_section", "to_section"]).to_pydict().values(), strict=True), key=str
        ) == [
            ("docs", "home"),
            (None, None),
            (None, None),
        ]


def test_who_reads_a_bucket_of_a_large_draft_reads_the_groups_of_its_part_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "ROWS_A_GROUP", 600)
    place = Folder(str(tmp_path))
    with draft_file(place, "one.parquet") as write:
        for rows in (requests(100), requests(180)):
            write(rows)
    found = drafts._Drafts.of(place, place.names())
    groups = found.files[0].metadata.num_row_groups
    assert groups == 2 * drafts.PARTS
    assert [len(found.files[0].groups(number, drafts.PARTS)) for number in range(drafts.PARTS)] == [2] * drafts.PARTS


def test_errors_have_columns_only_where_there_are_error_logs(tmp_path: Path) -> None:
    assert "error_level" not in written(tmp_path / "without", requests(1)).columns
    errors = pa.table([[7], [61 * SECOND], [3], [0]], schema=ERRORS)
    table = written(tmp_path / "with", requests(1), errors=errors).read()
    assert table.column("error_level").to_pylist() == [None, "error", None]
    assert table.column("error_kind").to_pylist() == [None, "not found", None]


def test_without_any_request_there_is_no_draft(tmp_path: Path) -> None:
    with draft_file(Folder(str(tmp_path)), "draft.parquet") as write:
        write(pa.table({"person": pa.array([], pa.string())}))
    assert list(tmp_path.iterdir()) == []
