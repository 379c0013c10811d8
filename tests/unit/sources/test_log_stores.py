"""Logs in object stores and on SFTP servers, which run here for real."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import threading
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import fsspec
import paramiko
import pytest
from moto.server import ThreadedMotoServer

from pipeline.errors import SourceError
from pipeline.site import LogSource
from pipeline.sources.blocks import cut, read_blocks
from pipeline.sources.logs import Intake, LogFile, find_logs, read_lines
from pipeline.sources.places import found_again
from pipeline.sources.stores import Stores
from tests.log_files import readers, written

PASSWORD = "hunter2-of-the-store"
KEY = "AKIA-of-the-store"
LARGE = b"".join(b"%d some line of a log that is a little longer\n" % number for number in range(250_000))


@pytest.fixture(autouse=True)
def nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials but those of the connection."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(variable, raising=False)


def logs(*paths: str) -> tuple[LogFile, ...]:
    return find_logs([LogSource(paths=paths, connection="store")], Path("/"))


def labels(*paths: str) -> list[str]:
    return [log.label for log in logs(*paths)]


def lines(*paths: str) -> list[str]:
    return [line for table in read_lines(logs(*paths)) for line in table.column("line").to_pylist()]


def refusal(call: Callable[[], object]) -> str:
    """The message of the error, after a look for credentials and lines in it and in its traceback as logs have it."""
    with pytest.raises(SourceError) as caught:
        call()
    told = "".join(traceback.format_exception(caught.value))
    for secret in (PASSWORD, KEY, "some line"):
        assert secret not in told
    assert readers() == []
    return str(caught.value)


# S3


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # All such servers of a process share one store.
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    yield f"http://{host}:{port}"
    server.stop()


def s3_connection(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    extra = {"endpoint_url": endpoint, "region_name": "eu-central-1", "config_kwargs": {"retries": {"max_attempts": 1}}}
    parts = {"conn_type": "aws", "login": KEY, "password": PASSWORD, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(parts))


def store_at(endpoint: str) -> Any:
    client = {"endpoint_url": endpoint, "region_name": "eu-central-1"}
    return fsspec.filesystem("s3", key=KEY, secret=PASSWORD, client_kwargs=client, skip_instance_cache=True)


@pytest.fixture(scope="module")
def store(s3_server: str) -> Any:
    return store_at(s3_server)


@pytest.fixture
def bucket(store: Any, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A store with a bucket ``logs``, which the connection ``store`` leads to."""
    s3_connection(monkeypatch, s3_server)
    store.mkdir("logs")
    yield store
    store.invalidate_cache()
    store.rm("logs", recursive=True)


def test_keys_and_globs_of_a_bucket_are_found_and_read(bucket: Any) -> None:
    bucket.pipe("logs/web/access.log", b"one\ntwo\n")
    bucket.pipe("logs/web/access.log.1.gz", gzip.compress(b"three\n"))
    bucket.pipe("logs/web/deep/access.log", b"four\n")
    bucket.touch("logs/web/")  # how a console writes an empty folder
    bucket.touch("logs/web/none/")
    assert labels("s3://logs/web/access.log") == ["s3://logs/web/access.log"]
    assert lines("s3://logs/web/access*") == ["one\n", "two\n", "three\n"]
    assert labels("s3://logs/web/*") == ["s3://logs/web/access.log", "s3://logs/web/access.log.1.gz"]
    assert len(labels("s3://logs/**/access*", "s3://logs/web/*", "s3://logs/**")) == 3


def again(*addresses: str) -> list[LogFile]:
    """Files that are found, as another process finds them."""
    return [found_again(log.address, log.source, Path("/"), Stores().at) for log in logs(*addresses)]


def test_a_file_is_found_again_whatever_its_name_and_read_from_the_middle(bucket: Any) -> None:
    bucket.pipe("logs/a[1]*.log", LARGE)
    bucket.pipe("logs/a1.log", b"other\n")
    (_, log) = again("s3://logs/*")
    assert (log.label, log.size) == ("s3://logs/a[1]*.log", len(LARGE))
    spans = cut(log, 3, lambda _: None)
    assert sum(block.lines.num_rows for span in spans for block in read_blocks(log, lambda _: None, span)) == 250_000


def test_days_in_an_address_are_expanded(bucket: Any) -> None:
    import datetime as dt

    for day in ("04", "05"):
        bucket.pipe(f"logs/2026/10/{day}/x.log.gz", gzip.compress(b"%b\n" % day.encode()))
    source = LogSource(paths=("s3://logs/{year}/{month}/{day}/*",), connection="store")
    found = find_logs([source], Path("/"), [dt.date(2026, 10, day) for day in (5, 6)])
    assert [log.label for log in found] == ["s3://logs/2026/10/05/x.log.gz"]


def test_a_large_object_is_read_whole_and_its_copy_once(bucket: Any) -> None:
    bucket.pipe("logs/a.log", LARGE)
    bucket.pipe("logs/b.gz", gzip.compress(LARGE, 1))
    intake = Intake(logs("s3://logs/*"))
    assert sum(table.num_rows for log in intake for table in log.blocks) == 250_000
    assert (intake.copies, intake.contents[0].bytes) == (1, len(LARGE))
    assert readers() == []


def test_a_key_with_signs_of_a_glob_in_it_is_itself(bucket: Any) -> None:
    bucket.pipe("logs/x[1]?.log", b"one\n")
    assert lines("s3://logs/x[1]?.log") == ["one\n"]


@pytest.mark.parametrize(
    "address", ["s3://logs/missing.log", "s3://logs/*.missing", "s3://no-such-bucket/x.log", "s3://no-such-bucket/*"]
)
def test_what_is_not_in_the_store_is_named(bucket: Any, address: str) -> None:
    message = refusal(lambda: logs(address))
    assert address in message
    assert "must match a file" in message or "must be readable" in message


def test_a_folder_of_a_bucket_is_no_log(bucket: Any) -> None:
    bucket.pipe("logs/web/x.log", b"one\n")
    assert "a folder for 's3://logs/web'" in refusal(lambda: logs("s3://logs/web"))


def test_an_object_that_is_gone_when_it_is_opened_is_a_clear_error(bucket: Any) -> None:
    bucket.pipe("logs/x.log", b"one\n")
    found = logs("s3://logs/x.log")
    bucket.rm("logs/x.log")
    assert "must be readable, got s3://logs/x.log (FileNotFoundError)" in refusal(lambda: list(read_lines(found)))


def test_an_object_that_was_replaced_is_not_taken_for_the_one_that_was_found(bucket: Any) -> None:
    bucket.pipe("logs/x.log", b"one\n")
    found = logs("s3://logs/*")
    bucket.pipe("logs/x.log", b"another\n")
    assert "s3://logs/x.log" in refusal(lambda: list(read_lines(found)))


def test_a_store_that_refuses_is_a_clear_error(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.pipe("logs/x.log", b"one\n")
    policy = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::logs/*"}
    statement = {"Version": "2012-10-17", "Statement": [policy]}
    bucket.call_s3("put_bucket_policy", Bucket="logs", Policy=json.dumps(statement))
    try:
        message = refusal(lambda: list(read_lines(logs("s3://logs/x.log"))))
    finally:
        bucket.call_s3("delete_bucket_policy", Bucket="logs")
    assert "s3://logs/x.log (PermissionError)" in message


def test_a_store_that_is_lost_in_mid_read_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    s3_connection(monkeypatch, f"http://{host}:{port}")
    store = store_at(f"http://{host}:{port}")
    store.mkdir("lost")
    store.pipe("lost/x.log", LARGE)
    (found,) = logs("s3://lost/x.log")
    with found.open(100_000) as stored:
        assert stored.read(4) == LARGE[:4]
        server.stop()
        message = refusal(lambda: stored.read(1_000_000))
    assert "must be readable, got s3://lost/x.log" in message


def test_a_store_that_does_not_answer_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    s3_connection(monkeypatch, "http://127.0.0.1:9")
    assert "must be readable, got s3://logs/x.log" in refusal(lambda: logs("s3://logs/x.log"))


@pytest.mark.parametrize("address", [f"s3://{KEY}:{PASSWORD}@logs/x", f"sftp://reader:{PASSWORD}@host/x"])
def test_credentials_in_an_address_are_refused_and_not_shown(address: str) -> None:
    assert "must hold no credentials" in refusal(lambda: logs(address))


@pytest.mark.parametrize("address", ["s3://bucket", "s3:///key", "s3://bucket/", "sftp://host:port/x"])
def test_a_malformed_address_is_refused(address: str) -> None:
    assert "must have the form" in refusal(lambda: logs(address))


# SFTP


@dataclass
class SftpServer:
    folder: Path
    port: int
    host_key: str
    connections: list[asyncssh.SSHServerConnection]
    loop: asyncio.AbstractEventLoop
    read: int = 0
    lost_after: int | None = None  # bytes

    def lose_connections(self) -> None:
        for connection in self.connections:
            self.loop.call_soon_threadsafe(connection.abort)


def counting(server: SftpServer) -> type[asyncssh.SFTPServer]:
    class Files(asyncssh.SFTPServer):
        def read(self, file_obj: object, offset: int, size: int) -> bytes:
            server.read += size
            if server.lost_after is not None and server.read > server.lost_after:
                server.lose_connections()
            found = super().read(file_obj, offset, size)
            assert isinstance(found, bytes)
            return found

    return Files


class _Passwords(asyncssh.SSHServer):
    known: SftpServer

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.known.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("reader", PASSWORD)


@pytest.fixture
def sftp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SftpServer]:
    """A server whose files the connection ``store`` leads to."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    folder = tmp_path / "served"
    folder.mkdir()
    server = SftpServer(folder, 0, key.export_public_key().decode().strip(), [], loop)
    files = counting(server)
    known = type("Passwords", (_Passwords,), {"known": server})

    async def start() -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            known,
            "127.0.0.1",
            0,
            server_host_keys=[key],
            sftp_factory=lambda channel: files(channel, chroot=bytes(folder)),
        )

    acceptor = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    server.port = acceptor.get_port()
    extra = {"host_key": server.host_key}
    parts = {"conn_type": "sftp", "host": "127.0.0.1", "port": server.port, "login": "reader", "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(parts | {"extra": extra}))
    yield server

    async def stop() -> None:
        acceptor.close()
        await acceptor.wait_closed()
        server.lose_connections()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


def test_files_of_a_server_are_found_and_read(sftp: SftpServer) -> None:
    written(sftp.folder / "web/access.log", b"one\ntwo\n")
    written(sftp.folder / "web/access.log.1.gz", gzip.compress(b"three\n"))
    written(sftp.folder / "web/deep/access.log", b"four\n")
    written(sftp.folder / "web/empty.log", b"")
    (sftp.folder / "web/current.log").symlink_to("access.log")
    root = f"sftp://127.0.0.1:{sftp.port}"
    assert lines("sftp:///web/access*") == ["one\n", "two\n", "three\n"]
    assert labels(f"{root}/web/access.log") == [f"{root}/web/access.log"]
    assert labels(f"sftp://reader@127.0.0.1:{sftp.port}/web/access.log") == [f"{root}/web/access.log"]
    assert sorted(lines("sftp:///web/*")) == ["one\n", "three\n", "two\n"]
    assert sorted(lines("sftp:///**/*.log", "sftp:///web/access.log.1.gz"))[0] == "four\n"


def test_a_large_file_is_read_whole(sftp: SftpServer) -> None:
    written(sftp.folder / "a.log", LARGE)
    written(sftp.folder / "b.gz", gzip.compress(LARGE, 1))
    intake = Intake(logs("sftp:///a.log", "sftp:///b.gz"))
    assert sum(table.num_rows for log in intake for table in log.blocks) == 250_000
    assert (intake.copies, intake.contents[0].bytes) == (1, len(LARGE))


def test_a_file_of_a_server_is_found_again_and_read_from_the_middle(sftp: SftpServer) -> None:
    written(sftp.folder / "a b.log", LARGE)
    for root in ("sftp://", f"sftp://127.0.0.1:{sftp.port}", f"sftp://reader@127.0.0.1:{sftp.port}"):
        (log,) = again(f"{root}/a*.log")
        (_, second) = cut(log, 2, lambda _: None)
        (block,) = read_blocks(log, lambda _: None, second)
        assert block.lines.num_rows == 250_000 - second.first + 1


def test_a_pipe_on_the_server_is_not_waited_for(sftp: SftpServer) -> None:
    written(sftp.folder / "a.log", b"one\n")
    os.mkfifo(sftp.folder / "b.log")
    assert lines("sftp:///*.log") == ["one\n"]


def test_what_is_not_on_the_server_is_named(sftp: SftpServer) -> None:
    (sftp.folder / "web").mkdir()
    assert "none for 'sftp:///missing.log'" in refusal(lambda: logs("sftp:///missing.log"))
    assert "none for 'sftp:///*.log'" in refusal(lambda: logs("sftp:///*.log"))
    assert "a folder for" in refusal(lambda: logs("sftp:///web"))


def test_links_on_the_server_are_followed(sftp: SftpServer) -> None:
    written(sftp.folder / "elsewhere/a.log", b"one\n")
    (sftp.folder / "web").mkdir()
    (sftp.folder / "web/a.log").symlink_to("../elsewhere/a.log")
    (sftp.folder / "web/b.log").symlink_to("../elsewhere")  # a folder
    assert lines("sftp:///web/*.log") == ["one\n"]


def test_a_file_of_the_server_that_is_cut_while_it_is_read_is_an_error(sftp: SftpServer) -> None:
    path = written(sftp.folder / "a.log", LARGE)
    (found,) = logs("sftp:///a.log")
    with found.open(100_000) as stored:
        assert stored.read(4) == LARGE[:4]
        os.truncate(path, 200_000)
        message = refusal(lambda: list(iter(lambda: stored.read(100_000), b"")))
    assert "must be readable, got sftp:///a.log" in message


def test_a_file_of_the_server_that_was_cut_is_an_error(sftp: SftpServer) -> None:
    path = written(sftp.folder / "a.log", b"one\ntwo\n")
    found = logs("sftp:///a.log")
    path.write_bytes(b"one\n")
    assert "must not be rotated or cut" in refusal(lambda: list(read_lines(found)))
    path.unlink()
    assert "a.log (FileNotFoundError)" in refusal(lambda: list(read_lines(found)))


@pytest.mark.parametrize("packed", [False, True])
def test_a_server_that_is_lost_in_mid_read_is_a_clear_error(sftp: SftpServer, packed: bool) -> None:
    written(sftp.folder / "a.log", gzip.compress(os.urandom(12_000_000)) if packed else LARGE)
    found = logs("sftp:///a.log")
    sftp.lost_after = 6_000_000
    started = time.monotonic()
    assert "must be readable, got sftp:///a.log" in refusal(lambda: list(read_lines(found)))
    assert time.monotonic() - started < 20


def test_a_server_that_refuses_is_a_clear_error(sftp: SftpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"sftp://nobody@127.0.0.1:{sftp.port}/a.log"
    assert "must let the pipeline in" in refusal(lambda: logs(address))


def test_credentials_go_to_no_other_host_than_that_of_their_connection(sftp: SftpServer) -> None:
    assert "that of its connection" in refusal(lambda: logs("sftp://localhost/a.log"))


def test_a_connection_is_closed_with_its_last_file(sftp: SftpServer) -> None:
    written(sftp.folder / "a.log", b"one\n")
    before = set(threading.enumerate())
    found = logs("sftp:///a.log")
    assert len(list(read_lines(found))) == 1
    (transport,) = (thread for thread in set(threading.enumerate()) - before if isinstance(thread, paramiko.Transport))
    assert transport.is_active()
    del found
    transport.join(10)
    assert not transport.is_alive()
