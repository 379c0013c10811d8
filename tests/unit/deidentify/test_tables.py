"""Tables of staging are written and read in buckets of people."""

from __future__ import annotations

import secrets
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.deidentify import tables
from pipeline.deidentify.places import Folder
from pipeline.deidentify.pseudonyms import people_between
from pipeline.deidentify.tables import StagedTable, TableWriter, bucket_of, buckets_for, buckets_of, numbers_of
from pipeline.errors import StagingError

EDGES = ["0" * 32, "7fffffff" + "f" * 24, "8" + "0" * 31, "f" * 32]


@pytest.mark.parametrize(
    ("rows", "buckets"), [(0, 1), (1_000_000, 1), (1_000_001, 2), (2_000_001, 4), (10_000_000, 16), (10**12, 4096)]
)
def test_a_period_has_a_power_of_two_of_buckets_by_its_rows(rows: int, buckets: int) -> None:
    assert buckets_for(rows) == buckets


@pytest.mark.parametrize("buckets", [1, 2, 16, 4096])
def test_all_ways_to_tell_a_bucket_agree(buckets: int) -> None:
    people = sorted([*EDGES, *(secrets.token_hex(16) for _ in range(500))])
    told = [bucket_of(person, buckets) for person in people]
    assert buckets_of(pa.chunked_array([people[:7], people[7:]]), buckets).tolist() == told
    held = pa.table({"person": people, "bucket": told})
    with duckdb.connect() as engine:
        engine.register("held", held)
        for number in {told[0], told[200], told[-1]}:
            query = f"SELECT count(*), bool_and(bucket = {number}) FROM held WHERE {people_between(number, buckets)}"
            assert engine.execute(query).fetchone() == (told.count(number), True)


def test_who_is_no_pseudonym_is_in_no_bucket() -> None:
    for wrong in (["ada"], [None], ["f" * 31, "f" * 33], ["z" * 32]):
        with pytest.raises(ValueError):  # noqa: PT011 - of Python's own
            buckets_of(pa.chunked_array([pa.array(wrong, pa.string())]), 2)


def test_a_slice_and_a_dictionary_tell_the_same_people() -> None:
    people = pa.array(EDGES)
    expected = [int(person[:16], 16) for person in EDGES[1:3]]
    for column in (people, people.dictionary_encode()):
        assert numbers_of(pa.chunked_array([column.slice(1, 2)])).tolist() == expected


@pytest.fixture
def rows() -> pa.Table:
    people = sorted(secrets.token_hex(16) for _ in range(300))
    return pa.table({"person": people, "number": np.arange(300)})


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "2026-W41"))


def written(place: Folder, rows: pa.Table, buckets: int) -> StagedTable:
    writer = TableWriter(place, "events", buckets, compression="zstd")
    with writer.in_order(rows.schema) as write:
        for start in range(0, len(rows), 70):
            write(rows.slice(start, 70))
    return StagedTable("events", place, buckets, tuple(writer.files))


def test_rows_in_order_are_split_into_files_that_hold_people_of_their_bucket_only(
    place: Folder, rows: pa.Table
) -> None:
    table = written(place, rows, 8)
    assert [file.bucket for file in table.files] == list(range(8))
    assert (table.rows, table.columns, table.read()) == (300, ["person", "number"], rows)
    for number in range(8):
        (path,) = table.paths(number, number + 1)
        assert {bucket_of(person, 8) for person in pq.read_table(path)["person"].to_pylist()} == {number}
        assert Path(path).stat().st_size == table.files[number].bytes
    assert len(table.paths(2, 6)) == 4
    assert place.names() == sorted(table.path(file) for file in table.files)


def test_a_bucket_without_rows_has_no_file_and_a_table_without_any_has_an_empty_one(
    place: Folder, rows: pa.Table
) -> None:
    assert {file.bucket for file in written(place, rows.slice(0, 1), 4096).files} == {
        bucket_of(rows["person"][0].as_py(), 4096)
    }
    empty = written(place, rows.slice(0, 0), 4)
    assert (empty.rows, len(empty.files), empty.read()) == (0, 1, rows.slice(0, 0))


def test_what_fails_while_it_is_written_is_no_file_of_the_table(place: Folder, rows: pa.Table) -> None:
    writer = TableWriter(place, "events", 1)

    with pytest.raises(KeyError), writer.in_order(rows.schema) as write:  # noqa: PT012 - the second of two
        write(rows)
        write(rows.rename_columns(["someone", "number"]))
    assert writer.files == []


def test_a_file_that_is_gone_or_broken_is_told_without_its_content(place: Folder, rows: pa.Table) -> None:
    table = written(place, rows, 1)
    (path,) = map(Path, table.paths())
    path.write_bytes(b"PAR1" + EDGES[1].encode() * 9)
    with pytest.raises(StagingError, match="ArrowInvalid on events") as failure:
        table.read()
    assert EDGES[1] not in str(failure.value)
    path.unlink()
    with pytest.raises(StagingError, match="FileNotFoundError on events"):
        _ = table.schema


def test_rows_a_bucket_is_what_a_bucket_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROWS_A_BUCKET", 10)
    assert [buckets_for(rows) for rows in (10, 11, 20, 21, 80)] == [1, 2, 2, 4, 8]
