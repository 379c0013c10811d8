"""Identifiers are planted in every source; the DAGs run; neither they nor plain digests of them are left anywhere."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import pickle
import shutil
import sqlite3
import tempfile
import uuid
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from pipeline import flow_staging
from pipeline.deidentify.pseudonyms import PeriodKey, period_key
from pipeline.deidentify.staging import load_staging
from pipeline.local.run import run_site
from pipeline.observation.metrics import CATALOGUE
from pipeline.periods import Period
from pipeline.sample import write_sample
from pipeline.vocabulary import Audience, Population
from pipeline.workspace import HOME_VARIABLE, Workspace
from tests.end_to_end.lineage import require_lineage
from tests.end_to_end.observed import LEAKING, Observed
from tests.end_to_end.planting import (
    ADDRESS_V4,
    ADDRESS_V6,
    AGENT,
    COOKIE,
    CUSTOMER,
    EMAIL,
    FORWARDED,
    IBAN,
    LONG_AGENT,
    PLANTED,
    PROXY,
    SHAPED,
    leaks,
    plant,
    traces,
)
from tests.end_to_end.traces import DIGESTS, Removals
from tests.staged import rows_of

RELEASES = Path(__file__).parents[2] / "dags" / "releases"
WEEK, MONTH = Period.parse("2026-W41"), Period.parse("2026-10")
PERIODS = [(Population.VISITORS, WEEK), (Population.CUSTOMERS, MONTH)]
VISITOR = f"{ADDRESS_V4}\0{AGENT}"  # as ingestion tells visitors apart

ENCODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "bytes": bytes,
    "hexadecimal": lambda digest: digest.hex().encode(),
    "HEXADECIMAL": lambda digest: digest.hex().upper().encode(),
    "as long as a pseudonym": lambda digest: digest.hex()[:32].encode(),
    "the end of it": lambda digest: digest.hex()[-32:].encode(),
    "cut out": lambda digest: digest.hex()[3:26].encode(),
    "16 bytes": lambda digest: digest[:16],
    "base64": base64.b64encode,
    "base64 for addresses": base64.urlsafe_b64encode,
    "base64 without padding": lambda digest: base64.b64encode(digest).rstrip(b"="),
    "base64 of 16 bytes": lambda digest: base64.b64encode(digest[:16]),
    "base64 of more": lambda digest: base64.b64encode(b"more: " + digest + b" and more"),
    "base64 of yet more": lambda digest: base64.b64encode(b"even more: " + digest),
    "UUID": lambda digest: str(uuid.UUID(bytes=digest[:16])).encode(),
    "number": lambda digest: str(int.from_bytes(digest[:8], "big")).encode(),
    "signed number": lambda digest: str(int.from_bytes(digest[:8], "little", signed=True)).encode(),
    "whole number": lambda digest: str(int.from_bytes(digest, "big")).encode(),
    "printed": lambda digest: repr(digest).encode(),
    "printed by the engine": lambda digest: "".join(f"\\x{byte:02X}" for byte in digest).encode(),
}


# The search itself


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("algorithm", DIGESTS)
def test_a_plain_digest_is_found_in_every_encoding(algorithm: str, encoding: str) -> None:
    for text in (EMAIL, VISITOR):
        content = b"before " + ENCODINGS[encoding](DIGESTS[algorithm](text.encode())) + b" after"
        assert any(told.startswith(f"{algorithm} of {text!r}") for told in traces().found_in(content))


@pytest.mark.parametrize("text", PLANTED)
@pytest.mark.parametrize("change", [str, str.lower, str.upper, lambda text: f"{text}\n"])
def test_every_identifier_is_found_as_it_is_and_hashed(text: str, change: Callable[[str], str]) -> None:
    assert traces().found_in(f"visit of {change(text)} today".encode())
    assert traces().found_in(hashlib.sha1(change(text).encode(), usedforsecurity=False).hexdigest().encode())


@pytest.mark.parametrize(
    "text",
    [
        f"{ADDRESS_V6}|{AGENT}",
        f"{FORWARDED}\0{LONG_AGENT[:512]}",
        f"{ADDRESS_V4}{AGENT}".lower(),
        "DE02 1203 0000 0000 2020 51",
        EMAIL.partition("@")[0].lower(),
        "quagmire-holdings.example",
    ],
)
def test_digests_of_combinations_and_other_forms_are_found(text: str) -> None:
    assert traces().found_in(hashlib.sha256(text.encode()).hexdigest()[:32].encode())


def test_encoded_identifiers_are_found() -> None:
    for skipped in range(3):
        assert traces().found_in(base64.b64encode(b"." * skipped + EMAIL.encode() + b"..."))
    assert traces().found_in(EMAIL.encode("utf-16"))
    assert traces().found_in(b"email=Zebulon.Quagmire%40unmistakable.example")


def test_checksums_and_hashes_of_engines_are_found() -> None:
    (row,) = duckdb.execute("SELECT hash(?), md5_number(?)::VARCHAR", [EMAIL, EMAIL]).fetchall()
    for written in (row[0], row[1], zlib.crc32(IBAN.encode()), f"{zlib.crc32(IBAN.encode()):08x}"):
        assert traces().found_in(f"a {written} b".encode())


def _text(path: Path, digest: bytes) -> None:
    path.write_text(f'{{"person": "{digest.hex()[:32]}"}}', "utf-8")


def _name(path: Path, digest: bytes) -> None:
    path.with_name(digest.hex()).mkdir()


def _gzip(path: Path, digest: bytes) -> None:
    path.write_bytes(gzip.compress(digest.hex().encode() * 3))


def _zip(path: Path, digest: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.json", gzip.compress(digest.hex().encode()))


def _parquet(path: Path, digest: bytes) -> None:
    pq.write_table(pa.table({"a": ["x", digest.hex()[:32]]}), path, compression="zstd")


def _parquet_bytes(path: Path, digest: bytes) -> None:
    pq.write_table(pa.table({"a": pa.array([b"x", digest])}), path, compression="zstd")


def _parquet_number(path: Path, digest: bytes) -> None:
    number = int.from_bytes(digest[:8], "big")
    pq.write_table(pa.table({"a": pa.array([1, number], pa.uint64())}), path, compression="zstd")


def _parquet_nested(path: Path, digest: bytes) -> None:
    pq.write_table(pa.table({"a": [[{"b": digest.hex()}]]}), path, compression="zstd")


def _sqlite(path: Path, value: object) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (?)", [value])


def _sqlite_blob(path: Path, digest: bytes) -> None:
    _sqlite(path, digest)


def _sqlite_json(path: Path, digest: bytes) -> None:
    _sqlite(path, json.dumps({"key": digest.decode("latin-1").upper(), "hex": digest.hex()}))


def _sqlite_pickle(path: Path, digest: bytes) -> None:
    _sqlite(path, pickle.dumps({"a": (digest.hex(),)}))


def _sqlite_deflated(path: Path, digest: bytes) -> None:
    _sqlite(path, zlib.compress(json.dumps([digest.hex()] * 5).encode()))


@pytest.mark.parametrize(
    "hide",
    [
        _text,
        _name,
        _gzip,
        _zip,
        _parquet,
        _parquet_bytes,
        _parquet_number,
        _parquet_nested,
        _sqlite_blob,
        _sqlite_json,
        _sqlite_pickle,
        _sqlite_deflated,
    ],
)
def test_an_md5_of_an_address_is_found_in_every_kind_of_file(
    tmp_path: Path, hide: Callable[[Path, bytes], None]
) -> None:
    assert leaks(tmp_path) == []
    hide(tmp_path / "file", hashlib.md5(EMAIL.encode(), usedforsecurity=False).digest())
    assert any("md5 of" in told for told in leaks(tmp_path))


def test_sources_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "access.log").write_text(EMAIL, "utf-8")
    assert leaks(tmp_path) == []


def test_files_are_searched_before_they_are_removed(tmp_path: Path) -> None:
    def write(name: str, text: str = EMAIL) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    with Removals(traces(), tmp_path) as removals:
        write("removed").unlink()
        write("moved").replace(tmp_path / "target")
        write("folder/inside")
        shutil.rmtree(tmp_path / "folder")
        with tempfile.TemporaryDirectory(dir=tmp_path) as name:
            write(f"{name}/temporary")
        write("harmless", "nothing").unlink()
    write("afterwards").unlink()
    places = {Path(told.rpartition(" in ")[2]).name for told in removals.found}
    assert places == {"removed", "moved", "inside", "temporary"}
    assert removals.searched == 5


def test_a_keyed_pseudonym_is_no_plain_digest() -> None:
    key = PeriodKey(b"k" * 32)
    for text in (*PLANTED, VISITOR):
        assert traces().found_in(key.pseudonym(text).encode()) == set()


def test_nothing_is_found_where_nothing_is() -> None:
    noise = b"".join(hashlib.sha512(b"%d" % number).digest() for number in range(50_000))
    for content in (noise, noise.hex().encode(), base64.b64encode(noise), b"", b"1234567", b"12345678"):
        assert traces().found_in(content) == set()


# The pipeline


def _site(home: Path) -> Workspace:
    write_sample(home, lines=20_000, visitors=4_000, customers=3_000)
    plant(home)
    shutil.rmtree(home / "airflow", ignore_errors=True)
    return Workspace(home)


def _people(workspace: Workspace, population: Population, period: Period) -> set[str]:
    staging = load_staging(workspace, population, period)
    return {row["person"] for name in staging.manifest.files for row in rows_of(staging.table(name))}


def _require_planted_people(workspace: Workspace) -> None:
    """Who was planted is in staging under the period's key: what was searched for had been read."""
    key, people = period_key(workspace, *PERIODS[0]), _people(workspace, *PERIODS[0])
    for address, agent in (
        (ADDRESS_V4, AGENT),
        (ADDRESS_V6, AGENT),
        (ADDRESS_V4, LONG_AGENT[:512]),
        (FORWARDED, AGENT),
    ):
        assert key.pseudonym(f"{address}\0{agent}") in people
    assert key.pseudonym(f"{PROXY}\0{AGENT}") not in people
    assert period_key(workspace, *PERIODS[1]).pseudonym(CUSTOMER) in _people(workspace, *PERIODS[1])


def test_no_planted_identifier_is_left_by_ingestion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = _site(tmp_path)
    monkeypatch.setenv(HOME_VARIABLE, str(workspace.home))
    with Removals(traces(), workspace.home) as removals:
        for population, period in PERIODS:
            flow_staging.stage(population, str(period))
    assert removals.searched
    assert removals.found == []
    _require_planted_people(workspace)
    assert leaks(workspace.home) == []


def test_cookies_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same visitors come out whatever cookies were logged."""
    staged: list[set[str]] = []
    for cookie in (COOKIE, "-", "another=one"):
        home = tmp_path / str(len(staged))
        workspace = _site(home)
        log = home / "sources" / "logs" / "cookies.log"
        log.write_text(log.read_text("utf-8").replace(COOKIE, cookie), "utf-8")
        if staged:  # the key of the first, so that pseudonyms can be compared
            shutil.copytree(tmp_path / "0" / "keys", home / "keys")
        monkeypatch.setenv(HOME_VARIABLE, str(home))
        flow_staging.stage("visitors", str(WEEK))
        staged.append(_people(workspace, Population.VISITORS, WEEK))
    assert staged[0] == staged[1] == staged[2]


# The DAGs, watched


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """The DAGs have run over the planted sources, and one beside them has leaked all that it could."""
    from pipeline.local.board import Board

    found = Observed(_site(tmp_path_factory.mktemp("observed")))
    with found.watching(SHAPED, PLANTED):
        run_site(found.workspace, PERIODS, RELEASES, Board(Console(quiet=True)))
    return found


@pytest.mark.airflow
def test_no_planted_identifier_is_left_by_the_dags(observed: Observed) -> None:
    workspace = observed.workspace
    for expected in ("staging", "ledger.db", "airflow", "data_docs", "published", "reports", "lineage.jsonl"):
        assert (workspace.home / expected).exists(), f"the run left no {expected}, so nothing was searched there"
    _require_planted_people(workspace)
    assert leaks(workspace.home) == []


@pytest.mark.airflow
def test_the_log_of_a_task_has_fixed_words_where_libraries_told_identifiers(observed: Observed) -> None:
    log = observed.log_of_leaking()
    for words in ("read [e-mail]", "read [address]", "[user agent]", "[number]", "[account]", "[web address]"):
        assert words in log
    assert '"logger":"task.stdout"' in log
    assert log.count('"exc_value":"[withheld]"') == len(PLANTED) + 1
    # Airflow's scheduler writes the same into a log of its own.
    assert "read [e-mail]" in (observed.workspace.airflow / "logs" / "scheduler.log").read_text("utf-8")


@pytest.mark.airflow
def test_events_name_data_sets_and_nothing_else(observed: Observed) -> None:
    ended = {one["job"]["name"]: one for one in observed.events if one["eventType"] in ("COMPLETE", "FAIL")}
    told = {
        name: [[one["name"] for one in event[side]] for side in ("inputs", "outputs")] for name, event in ended.items()
    }
    assert told["ingest_visitors.finish"] == [["sources/visitor_logs"], ["staging/visitors"]]
    assert told["ingest_customers.stage"] == [["sources/customers", "sources/orders"], ["staging/customers"]]
    assert told["export_weekly_audience.draw"] == [["staging/visitors"], ["releases/weekly_audience"]]
    published = [f"published/{audience}/weekly_audience" for audience in Audience]
    assert told["export_weekly_audience.publish"] == [["releases/weekly_audience"], published]
    assert ended[f"{LEAKING}.leak"]["eventType"] == "FAIL"
    for event in observed.events:
        require_lineage(event)


@pytest.mark.airflow
def test_metrics_are_those_of_the_catalogue_and_name_nobody(observed: Observed) -> None:
    values = observed.heard.values
    ours = {one.name for one in values if one.name.startswith("airflow.demographics")}
    assert ours <= {f"airflow.{one.stat}" for one in CATALOGUE}
    manifest = load_staging(observed.workspace, *PERIODS[0]).manifest
    lines = observed.heard.value("lines_read_total", population="visitors", source="visitor_logs")
    assert lines == manifest.sources["visitor logs"].read
    rows = observed.heard.value("lines_read_total", population="customers", source="customers")
    assert rows % 100 == 0
    assert {one.labels["dag_id"] for one in values if one.name == "airflow.ti_failures"} == {LEAKING}
    assert traces().found_in(json.dumps([[one.name, dict(one.labels), one.value] for one in values]).encode()) == set()
