"""SFTP servers are reached through Airflow connections, and only where they are known."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import fsspec
import paramiko
import pytest

from pipeline.filesystems.known_hosts import KnownHostsFileSystem
from pipeline.filesystems.options import storage_options
from tests.airflow_connections import PASSWORD, Connect, connecting, refusal

LINE = b"a line of a log\n"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    return connecting(monkeypatch)


@dataclass(frozen=True)
class SftpServer:
    port: int
    host_key: str


class _Passwords(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("reader", PASSWORD)


@pytest.fixture(scope="module")
def client_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(scope="module")
def sftp_server(tmp_path_factory: pytest.TempPathFactory, client_key: asyncssh.SSHKey) -> Iterator[SftpServer]:
    """A server with keys of two kinds, as real ones have, of which a client may know only the second."""
    folder = tmp_path_factory.mktemp("sftp")
    (folder / "access.log").write_bytes(LINE)
    keys = [asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ecdsa-sha2-nistp256")]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            _Passwords,
            "127.0.0.1",
            0,
            server_host_keys=keys,
            authorized_client_keys=asyncssh.import_authorized_keys(client_key.export_public_key().decode()),
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=bytes(folder)),
        )

    acceptor = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    yield SftpServer(acceptor.get_port(), keys[1].export_public_key().decode().strip())
    loop.call_soon_threadsafe(acceptor.close)
    asyncio.run_coroutine_threadsafe(acceptor.wait_closed(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


@pytest.fixture
def ssh_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without keys and without known servers."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    return tmp_path / ".ssh"


def read(name: str) -> bytes:
    """What the log on the server holds; each time over a connection of its own."""
    store = fsspec.filesystem("sftp", **storage_options(name, "sftp"), skip_instance_cache=True)
    try:
        content: bytes = store.cat("/access.log")
    finally:
        store.client.close()
    return content


def sftp(server: SftpServer, **extra: object) -> dict[str, object]:
    parts = {"conn_type": "sftp", "host": "127.0.0.1", "port": server.port, "login": "reader", "password": PASSWORD}
    return parts | {"extra": extra}


def test_a_server_in_known_hosts_is_read(connect: Connect, sftp_server: SftpServer, ssh_home: Path) -> None:
    (ssh_home / "known_hosts").write_text(f"[127.0.0.1]:{sftp_server.port} {sftp_server.host_key}\n", "ascii")
    assert read(connect(**sftp(sftp_server))) == LINE


def test_a_server_that_nobody_knows_is_refused(connect: Connect, sftp_server: SftpServer, ssh_home: Path) -> None:
    name = connect(**sftp(sftp_server))
    assert "must be known" in refusal(lambda: read(name))
    assert not (ssh_home / "known_hosts").exists()


def test_a_server_nobody_knows_is_refused_without_a_connection_too(sftp_server: SftpServer, ssh_home: Path) -> None:
    options = storage_options(None, "sftp")
    address = f"sftp://reader:hunter2@127.0.0.1:{sftp_server.port}/access.log"
    assert "must be known" in refusal(lambda: fsspec.open(address, skip_instance_cache=True, **options))


def test_a_server_with_another_key_is_refused(connect: Connect, sftp_server: SftpServer, ssh_home: Path) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    (ssh_home / "known_hosts").write_text(f"[127.0.0.1]:{sftp_server.port} {other}", "ascii")
    name = connect(**sftp(sftp_server))
    assert "by which it is known" in refusal(lambda: read(name))


def test_the_host_key_of_the_connection_is_enough(connect: Connect, sftp_server: SftpServer, ssh_home: Path) -> None:
    assert read(connect(**sftp(sftp_server, host_key=sftp_server.host_key))) == LINE


def test_another_host_key_than_that_of_the_connection_is_refused(
    connect: Connect, sftp_server: SftpServer, ssh_home: Path
) -> None:
    (ssh_home / "known_hosts").write_text(f"[127.0.0.1]:{sftp_server.port} {sftp_server.host_key}\n", "ascii")
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    name = connect(**sftp(sftp_server, host_key=other))
    assert "by which it is known" in refusal(lambda: read(name))
    name = connect(**sftp(sftp_server, host_key="ssh-ed25519 nonsense"))
    assert "must be a public key" in refusal(lambda: read(name))


@pytest.mark.parametrize("said", [True, "true"])
def test_only_the_connection_switches_the_check_off(
    connect: Connect, sftp_server: SftpServer, ssh_home: Path, said: object
) -> None:
    assert read(connect(**sftp(sftp_server, no_host_key_check=said))) == LINE


@pytest.mark.parametrize("said", ["hunter2", 7])
def test_a_switch_that_is_neither_on_nor_off_is_refused(
    connect: Connect, sftp_server: SftpServer, said: object
) -> None:
    name = connect(**sftp(sftp_server, no_host_key_check=said))
    assert "true or false" in refusal(lambda: read(name))


@pytest.mark.parametrize("passphrase", [None, "hunter2"])
def test_a_private_key_of_the_connection_lets_the_pipeline_in(
    connect: Connect, sftp_server: SftpServer, ssh_home: Path, client_key: asyncssh.SSHKey, passphrase: str | None
) -> None:
    exported = client_key.export_private_key("openssh", passphrase).decode()
    extra = {"private_key": exported, "host_key": sftp_server.host_key, "private_key_passphrase": passphrase}
    parts = sftp(sftp_server, **{name: value for name, value in extra.items() if value}) | {"password": None}
    assert read(connect(**parts)) == LINE


def test_a_key_file_of_the_connection_lets_the_pipeline_in(
    connect: Connect, sftp_server: SftpServer, ssh_home: Path, client_key: asyncssh.SSHKey
) -> None:
    path = ssh_home / "of_the_pipeline"
    path.write_bytes(client_key.export_private_key("openssh"))
    parts = sftp(sftp_server, key_file=str(path), host_key=sftp_server.host_key) | {"password": None}
    assert read(connect(**parts)) == LINE


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("ssh-rsa", "openssh"),
        ("ssh-rsa", "pkcs1-pem"),
        ("ecdsa-sha2-nistp384", "pkcs1-pem"),
        ("ssh-ed25519", "openssh"),
    ],
)
def test_private_keys_of_all_common_kinds_are_read(connect: Connect, kind: str, form: str) -> None:
    exported = asyncssh.generate_private_key(kind).export_private_key(form).decode()
    options = storage_options(connect(conn_type="ssh", host="h", extra={"private_key": exported}), "sftp")
    key = options["pkey"]
    assert isinstance(key, paramiko.PKey)
    assert key.get_name() == kind


def test_a_broken_private_key_is_refused_and_not_shown(connect: Connect, client_key: asyncssh.SSHKey) -> None:
    exported = client_key.export_private_key("openssh", "hunter2").decode()
    for text in ("hunter2", exported, exported.replace("\n", " ")):
        name = connect(conn_type="sftp", host="h", extra={"private_key": text, "private_key_passphrase": "wrong"})
        assert "opens with its passphrase" in refusal(lambda: storage_options(name, "sftp"))  # noqa: B023


def test_a_wrong_password_is_refused(connect: Connect, sftp_server: SftpServer, ssh_home: Path) -> None:
    name = connect(**sftp(sftp_server, host_key=sftp_server.host_key) | {"password": "hunter2"})
    assert "let the pipeline in" in refusal(lambda: read(name))


def test_a_server_that_does_not_answer_is_a_clear_error(connect: Connect, ssh_home: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        parts = sftp(SftpServer(closed.getsockname()[1], ""), conn_timeout=5)
        name = connect(**parts)
        assert "must answer" in refusal(lambda: read(name))


def test_an_extra_of_sftp_that_would_be_ignored_is_refused(connect: Connect, sftp_server: SftpServer) -> None:
    for extra in ("ciphers", "host_proxy_cmd", "no_host_key_chek"):
        name = connect(**sftp(sftp_server, **{extra: "hunter2"}))
        assert extra in refusal(lambda: storage_options(name, "sftp"))  # noqa: B023
    name = connect(**sftp(sftp_server, allow_host_key_change=True))
    assert "allow_host_key_change" in refusal(lambda: storage_options(name, "sftp"))


def test_fsspec_opens_no_sftp_address_unchecked_once_options_were_asked_for() -> None:
    storage_options(None, "sftp")
    assert fsspec.get_filesystem_class("sftp") is KnownHostsFileSystem
    assert fsspec.get_filesystem_class("ssh") is KnownHostsFileSystem
