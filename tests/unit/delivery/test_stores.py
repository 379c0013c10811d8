"""Stores of three kinds: each file whole or not at all, and none in the place of another."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncssh
import pytest

from pipeline.delivery.stores.opening import CONNECTIONS_VARIABLE, connections, open_store
from pipeline.delivery.stores.store import OccupiedError, Store
from pipeline.errors import ConfigurationError, DeliveryError
from tests.sending import Place, folder_place, s3_place, sftp_place
from tests.stores import PASSWORD, s3_server, sftp_server, wire_to


@pytest.fixture(autouse=True)
def nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials but those of the connection."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(params=["file", "s3", "sftp"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    if request.param == "file":
        yield folder_place(tmp_path / "store")
    elif request.param == "s3":
        with s3_server() as port, wire_to(port) as wire:
            yield s3_place(port, wire, monkeypatch)
    else:
        with sftp_server(tmp_path) as server, wire_to(server.port) as wire:
            yield sftp_place(tmp_path, server, wire, monkeypatch)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with closing(open_store(place.address)) as opened:
        yield opened


def test_a_file_that_is_put_is_there_once_and_never_overwritten(store: Store, place: Place) -> None:
    assert (store.sizes("a/b"), store.read("a/b/x.csv")) == ({}, None)
    store.put("a/b/x.csv", b"one")
    store.put("a/b/x.csv", b"one")  # as after a lost answer
    with pytest.raises(OccupiedError, match=r"nothing in a store is overwritten.*x\.csv"):
        store.put("a/b/x.csv", b"two")
    assert (store.sizes("a/b"), store.read("a/b/x.csv")) == ({"x.csv": 3}, b"one")
    assert place.contents() == {"a/b/x.csv": b"one"}


def test_folders_are_listed_and_neither_files_nor_hidden_ones(store: Store, place: Place) -> None:
    for path in ("a/b/x.csv", "c/y.csv", "z.csv", ".d/x.csv"):
        place.write(path, b"one")
    assert (store.folders(""), store.folders("a"), store.folders("none")) == (["a", "c"], ["b"], [])


def test_a_file_that_changes_is_replaced_and_one_that_goes_is_gone(store: Store, place: Place) -> None:
    for content in (b"one", b"two, longer"):
        store.replace("latest.json", content)
        assert place.contents() == {"latest.json": content}
    store.remove("latest.json")
    store.remove("latest.json")
    assert place.contents() == {}


def test_what_a_cut_left_is_swept_and_nothing_else(store: Store, place: Place) -> None:
    for name in (".x.csv.0a0a0a0a.partial", ".hidden", "x.partial"):
        place.write(f"a/{name}", b"half")
    assert store.sweep("a") == {".hidden": 4, "x.partial": 4}
    assert set(place.contents()) == {"a/.hidden", "a/x.partial"}


def test_a_server_that_knows_no_rename_in_one_step_takes_changing_files_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Old(asyncssh.SFTPServer):
        def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
            raise asyncssh.SFTPOpUnsupported("unsupported")

    with sftp_server(tmp_path, Old) as server, wire_to(server.port) as wire:
        place = sftp_place(tmp_path, server, wire, monkeypatch)
        with closing(open_store(place.address)) as store:
            for content in (b"one", b"two"):
                store.replace("latest.json", content)
        assert place.contents() == {"latest.json": b"two"}


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path, place: Place) -> None:
    with pytest.raises(DeliveryError, match="must be there"):
        open_store(f"file://{tmp_path}/not-mounted")
    if place.address.startswith("sftp"):
        with pytest.raises(DeliveryError, match="must be there"):
            open_store(f"{place.address}/missing")


def test_a_server_that_is_not_known_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sftp_server(tmp_path) as server:
        monkeypatch.delenv(CONNECTIONS_VARIABLE, raising=False)
        with pytest.raises(DeliveryError, match="must be known"):
            open_store(f"sftp://sender@127.0.0.1:{server.port}/acme")


def test_what_is_lost_is_told_without_a_secret(place: Place) -> None:
    if place.wire is None:
        return
    with closing(open_store(place.address)) as store:
        place.wire.mend(left=0)
        place.wire.cut()
        with pytest.raises(DeliveryError, match="must be reachable and writable") as lost:
            store.put("x.csv", b"one")
    assert place.address in str(lost.value)
    assert PASSWORD not in str(lost.value)


def test_a_full_disk_is_told_as_such_and_leaves_nothing(tmp_path: Path) -> None:
    place = folder_place(tmp_path / "store")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with closing(open_store(place.address)) as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
        try:
            with pytest.raises(DeliveryError, match="a file may not be so large"):
                store.put("a/x.csv", b"x" * 2_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert place.contents() == {}


def test_connections_are_named_by_the_beginning_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONNECTIONS_VARIABLE, "s3://inbox=acme_s3  sftp://sftp.north.example:2222=north")
    assert connections() == {"s3://inbox": "acme_s3", "sftp://sftp.north.example:2222": "north"}


@pytest.mark.parametrize(
    "setting", ["inbox=acme", "s3://inbox", "sftp://sender:hunter2@host=north", "s3://in/box=acme"]
)
def test_a_setting_that_is_none_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv(CONNECTIONS_VARIABLE, setting)
    with pytest.raises(ConfigurationError, match=CONNECTIONS_VARIABLE) as refused:
        connections()
    assert setting not in str(refused.value)
