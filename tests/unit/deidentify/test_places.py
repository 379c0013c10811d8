"""Places that staging lies in: a folder, and a real S3 server."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.deidentify.places import Folder, ObjectStore, Place, staging_place
from pipeline.deidentify.tables import StagedTable, TableWriter, parquet_file
from pipeline.errors import ConfigurationError, StagingError
from pipeline.workspace import Workspace
from tests.builders import pseudonym
from tests.staging_stores import SECRET, s3_staging
from tests.stores import wire_to

ROWS = pa.table({"person": [pseudonym(number) for number in range(50)], "number": [*range(50)]})


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with s3_staging() as place:
        yield place


@pytest.fixture(params=["folder", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Folder(str(tmp_path / "staging"))
    made: ObjectStore = request.getfixturevalue("store")
    made.clear()
    return made


def test_files_are_written_listed_read_and_removed(place: Place) -> None:
    assert (place.names(), place.folders(), place.read("a.json"), place.modified("a.json")) == ([], [], None, None)
    place.replace("a.json", b"one")
    place.replace("a.json", b"two")
    with place.under("visitors", "2026-W41").writing("events/one.parquet") as file:
        file.write(b"rows")
    assert place.names() == ["a.json", "visitors/2026-W41/events/one.parquet"]
    assert place.folders() == ["visitors"]
    assert place.under("visitors").folders() == ["2026-W41"]
    assert place.read("a.json") == b"two"
    written = place.modified("a.json")
    assert written is not None
    assert abs(written - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    place.remove("a.json")
    place.remove("a.json")
    assert not place.has("a.json")
    place.clear()
    place.clear()
    assert (place.names(), place.folders()) == ([], [])


def test_the_folder_beside_is_another_place(place: Place) -> None:
    place.under("2026-W4").replace("a", b"a")
    place.under("2026-W41").replace("a", b"b")
    place.under("2026-W4").clear()
    assert place.names() == ["2026-W41/a"]
    assert place.under("2026-W41").names() == ["a"]


def test_a_file_whose_writing_fails_counts_for_nothing(place: Place) -> None:
    def fail() -> None:
        with parquet_file(place, "events/one.parquet") as file:
            file.write(ROWS)
            raise KeyError

    with pytest.raises((KeyError, StagingError)):
        fail()
    assert not isinstance(place, ObjectStore) or place.names() == []  # of a folder, the next run sweeps it


def test_rows_are_read_by_the_program_and_by_duckdb(place: Place) -> None:
    writer = TableWriter(place, "events", 4)
    with writer.in_order(ROWS.schema) as write:
        write(ROWS.sort_by("person"))
    table = StagedTable("events", place, 4, tuple(writer.files))
    assert table.read() == ROWS.sort_by("person")
    assert table.schema.names == ["person", "number"]
    with duckdb.connect() as engine:
        place.attach(engine)
        query = "SELECT count(*), sum(number), count(DISTINCT filename) FROM read_parquet(?, filename = true)"
        assert engine.execute(query, [table.paths()]).fetchone() == (50, 1_225, 4)
        assert engine.execute(query, [table.paths(1, 2)]).fetchone() == (
            table.files[1].rows,
            sum(pq.read_table(pa.BufferReader(content_of(place, table.path(table.files[1]))))["number"].to_pylist()),
            1,
        )


def content_of(place: Place, name: str) -> bytes:
    with place.reading(name) as file:
        content: bytes = file.read()
    return content


def test_a_file_larger_than_a_part_is_whole(store: ObjectStore) -> None:
    content = bytes(range(256)) * 100_000
    with store.writing("large") as file:
        for start in range(0, len(content), 1_000_000):
            file.write(content[start : start + 1_000_000])
    assert content_of(store, "large") == content


def test_a_bucket_that_is_not_there_and_a_server_that_does_not_answer_are_told_without_secrets(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = ObjectStore("s3://no-such-bucket/site", store.files)
    assert missing.read("manifest.json") is None
    with pytest.raises(StagingError, match=r"must be reachable.*on s3://no-such-bucket/site") as told:
        missing.replace("manifest.json", b"{}")
    assert SECRET not in str(told.value)
    monkeypatch.setenv("DEMOGRAPHICS_STAGING", "s3://bucket/site")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with wire_to(1) as wire:
        wire.left = 0
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{wire.port}")
        away = staging_place(Workspace(tmp_path))
        assert isinstance(away, ObjectStore)
        away.files.retries = 1
        with pytest.raises(StagingError, match="must be reachable") as told:
            away.read("manifest.json")
    assert SECRET not in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.parametrize(
    "address", ["/srv/staging", "gs://bucket/site", "s3://bucket", f"s3://key:{SECRET}@bucket/site", "s3:///site"]
)
def test_another_address_than_one_of_a_folder_in_a_bucket_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_STAGING", address)
    with pytest.raises(ConfigurationError, match="DEMOGRAPHICS_STAGING must be an address") as told:
        staging_place(Workspace(Path("/site")), "visitors")
    assert SECRET not in str(told.value)


def test_without_an_address_staging_lies_in_the_sites_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DEMOGRAPHICS_STAGING", raising=False)
    assert staging_place(Workspace(tmp_path), "visitors") == Folder(str(tmp_path / "staging" / "visitors"))


def test_credentials_come_from_an_airflow_connection_where_one_is_named(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extra = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"], "region_name": "eu-central-1"}
    connection = {"conn_type": "aws", "login": "k", "password": SECRET, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_STAGING_STORE", json.dumps(connection))
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DEMOGRAPHICS_STAGING", "s3://bucket/site")
    monkeypatch.setenv("DEMOGRAPHICS_STAGING_CONNECTION", "staging_store")
    place = staging_place(Workspace(tmp_path))
    place.replace("a.json", b"a")
    assert store.read("a.json") == b"a"
    assert SECRET not in repr(place)
