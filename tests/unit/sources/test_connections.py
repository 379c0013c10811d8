"""Airflow connections become addresses of databases and options of file stores; real servers take them."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import fsspec
import paramiko
import pytest
import sqlalchemy as sa

from pipeline.errors import SourceError
from pipeline.sources.connections import database_url, find_connection, storage_options
from pipeline.sources.databases import open_database
from pipeline.sources.known_hosts import KnownHostsFileSystem

PASSWORD = "p@ss/w:ord?$HOME#1"
LINE = b"a line of a log\n"

Connect = Callable[..., str]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Set the Airflow connection ``source``, as JSON of its parts or as a URI."""

    def put(uri: str = "", **parts: object) -> str:
        monkeypatch.setenv("AIRFLOW_CONN_SOURCE", uri or json.dumps(parts))
        return "source"

    return put


def refusal(call: Callable[[], object]) -> str:
    """The message of the error, after a look for credentials in it and in its traceback as logs have it."""
    with pytest.raises(SourceError) as caught:
        call()
    told = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in told
    assert "hunter2" not in told
    assert caught.value.exit_code == 4
    return str(caught.value)


# Looking up


def test_a_connection_is_found_as_a_uri_and_as_json(connect: Connect) -> None:
    connect("postgres://reader:p%40ss%2Fw%3Aord%3F%24HOME%231@db.example:6432/shop?sslmode=require")
    as_uri = find_connection("source")
    extra = {"sslmode": "require"}
    parts = {"conn_type": "postgresql", "host": "db.example", "port": 6432, "login": "reader", "password": PASSWORD}
    connect(**parts, schema="shop", extra=extra)
    assert find_connection("source") == as_uri
    assert as_uri.extra == extra


def test_a_connection_shows_no_more_than_its_name_and_type(connect: Connect) -> None:
    connect(conn_type="postgres", host="db.example", login="reader", password=PASSWORD, extra={"sslmode": "require"})
    found = find_connection("source")
    assert repr(found) == str(found) == "AirflowConnection(name='source', kind='postgres')"


@pytest.mark.parametrize(
    "stored",
    [
        "postgres://reader:hunter2@a://b://c",
        "postgres://reader:hunter2@host:no-port/shop",
        '{"conn_type": "postgres", "password": "hunter2", "port": "hunter2"}',
        '{"conn_type": "postgres", "password": "hunter2", "extra": "[\\"hunter2\\"]"}',
        '{"conn_type": "postgres", "password": "hunter2", "extra": "{hunter2"}',
        '{"conn_type": "postgres", "password": "hunter2"',
    ],
)
def test_a_malformed_connection_is_refused_and_not_shown(connect: Connect, stored: str) -> None:
    connect(stored)
    message = refusal(lambda: find_connection("source"))
    assert "readable and well-formed" in message
    assert "AIRFLOW_CONN_SOURCE" in message


def test_a_connection_that_is_not_there_is_refused_with_what_to_do() -> None:
    assert "AIRFLOW_CONN_ABSENT" in refusal(lambda: database_url("absent"))


@pytest.mark.parametrize("name", ["", "postgres://reader:hunter2@host/shop", "two words", "line\nfeed"])
def test_what_is_no_name_of_a_connection_is_refused_and_not_shown(name: str) -> None:
    assert "by its id" in refusal(lambda: find_connection(name))


# Databases


def test_a_postgresql_connection_becomes_an_address_for_psycopg(connect: Connect) -> None:
    extra = {"sslmode": "verify-full", "connect_timeout": 5, "keepalives": True, "cursor": "dictcursor"}
    parts = {"host": "db.example", "port": 6432, "login": "reader", "password": PASSWORD, "schema": "shop"}
    url = sa.make_url(database_url(connect(conn_type="postgres", **parts, extra=extra)))
    assert (url.drivername, url.host, url.port, url.database) == ("postgresql+psycopg", "db.example", 6432, "shop")
    assert (url.username, url.password) == ("reader", PASSWORD)
    assert dict(url.query) == {"sslmode": "verify-full", "connect_timeout": "5", "keepalives": "1"}


@pytest.mark.parametrize("extra", ["ssl_mode", "sslmod", "iam", "host", "password", "dbname"])
def test_an_extra_that_would_be_ignored_is_refused_by_name(connect: Connect, extra: str) -> None:
    name = connect(conn_type="postgres", host="db.example", password=PASSWORD, extra={extra: "hunter2"})
    assert extra in refusal(lambda: database_url(name))


def test_a_postgresql_server_is_reached_through_its_connection(connect: Connect, postgresql_server: sa.URL) -> None:
    server = postgresql_server
    host = server.query["host"]
    assert isinstance(host, str)
    extra = {"application_name": "demographics", "options": "-c statement_timeout=7000"}
    parts = {"host": host, "login": server.username, "password": PASSWORD, "schema": server.database}
    engine = sa.create_engine(database_url(connect(conn_type="postgres", **parts, extra=extra)))
    try:
        with engine.connect() as connection:
            asked = sa.text("SELECT current_setting('application_name'), current_setting('statement_timeout')")
            assert tuple(connection.execute(asked).one()) == ("demographics", "7s")
    finally:
        engine.dispose()


def test_a_mysql_connection_becomes_an_address_for_pymysql(connect: Connect) -> None:
    extra = {"charset": "utf8mb4", "ssl": {"ca": "/etc/ca.pem", "check_hostname": True}}
    parts = {"host": "db.example", "login": "reader", "password": PASSWORD, "schema": "shop"}
    url = sa.make_url(database_url(connect(conn_type="mysql", **parts, extra=extra)))
    assert (url.drivername, url.host, url.port, url.password) == ("mysql+pymysql", "db.example", None, PASSWORD)
    assert dict(url.query) == {"charset": "utf8mb4", "ssl_ca": "/etc/ca.pem", "ssl_check_hostname": "1"}


@pytest.mark.parametrize("extra", [{"ssl_mode": "REQUIRED"}, {"ssl": {"mode": "x"}}, {"charset": ["utf8mb4"]}])
def test_mysql_extras_that_would_be_ignored_are_refused(connect: Connect, extra: dict[str, object]) -> None:
    refusal(lambda: database_url(connect(conn_type="mysql", host="db.example", password=PASSWORD, extra=extra)))


@pytest.mark.parametrize("form", ["host", "uri", "encoded uri"])
def test_a_sqlite_file_is_read_through_its_connection(connect: Connect, tmp_path: Path, form: str) -> None:
    path = tmp_path / "shop.db"
    with sa.create_engine(f"sqlite:///{path}").begin() as connection:
        connection.execute(sa.text("CREATE TABLE customers (id)"))
    forms = {"uri": f"sqlite:///{path}", "encoded uri": f"sqlite://{str(path).replace('/', '%2F')}"}
    name = connect(forms[form]) if form in forms else connect(conn_type="sqlite", host=str(path))
    assert database_url(name) == f"sqlite:///{path}"
    assert sa.inspect(open_database(database_url(name), Path("/nowhere"))).get_table_names() == ["customers"]


def test_a_sqlite_connection_without_a_file_is_refused(connect: Connect) -> None:
    assert "name its file" in refusal(lambda: database_url(connect(conn_type="sqlite")))


@pytest.mark.parametrize("kind", ["http", "generic"])
def test_a_connection_of_another_type_is_no_database(connect: Connect, kind: str) -> None:
    message = refusal(lambda: database_url(connect(conn_type=kind, host="x", password=PASSWORD)))
    assert "postgres or mysql or sqlite" in message
    assert "--conn-uri" in message


# S3


def test_without_a_connection_the_libraries_find_credentials_themselves() -> None:
    assert storage_options(None, "s3") == {}
    assert storage_options(None, "sftp") == {}
    assert storage_options(None, "file") == {}


def test_an_aws_connection_becomes_options_of_s3(connect: Connect) -> None:
    extra = {"aws_session_token": "hunter2", "region_name": "eu-central-1", "endpoint_url": "https://store.example"}
    options = storage_options(connect(conn_type="aws", login="AKIA", password=PASSWORD, extra=extra), "s3")
    client = {"region_name": "eu-central-1", "endpoint_url": "https://store.example"}
    assert options == {"key": "AKIA", "secret": PASSWORD, "token": "hunter2", "client_kwargs": client}
    assert repr(options) == str(options) == "Credentials(client_kwargs, key, secret, token)"


def test_a_generic_connection_is_taken_for_a_store(connect: Connect) -> None:
    # Airflow makes a connection generic whose provider is not installed.
    assert storage_options(connect(conn_type="generic", login="AKIA", password="x"), "s3") == {
        "key": "AKIA",
        "secret": "x",
    }
    options = storage_options(connect(conn_type="generic", host="h", login="reader"), "sftp")
    assert options == {"host": "h", "username": "reader"}


def test_keys_and_endpoint_may_stand_in_the_extra(connect: Connect) -> None:
    service = {"s3": {"endpoint_url": "https://store.example"}}
    extra = {"aws_access_key_id": "AKIA", "aws_secret_access_key": PASSWORD, "service_config": service}
    options = storage_options(connect(conn_type="aws", extra=extra), "s3")
    assert options == {"key": "AKIA", "secret": PASSWORD, "client_kwargs": {"endpoint_url": "https://store.example"}}


def test_an_aws_connection_that_would_act_as_somebody_else_is_refused(connect: Connect) -> None:
    name = connect(conn_type="aws", login="AKIA", password=PASSWORD, extra={"role_arn": "hunter2"})
    assert "role_arn" in refusal(lambda: storage_options(name, "s3"))
    name = connect(conn_type="aws", login="AKIA", password=PASSWORD, host="store.example")
    assert "endpoint_url" in refusal(lambda: storage_options(name, "s3"))


def test_a_connection_must_fit_its_store(connect: Connect) -> None:
    name = connect(conn_type="aws", login="AKIA", password=PASSWORD)
    assert "sftp or ssh" in refusal(lambda: storage_options(name, "sftp"))
    assert "S3 or SFTP" in refusal(lambda: storage_options(name, "file"))


def test_an_s3_server_is_read_through_its_connection(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.server import ThreadedMotoServer

    for variable in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        extra = {"endpoint_url": f"http://{host}:{port}", "region_name": "eu-central-1"}
        options = storage_options(connect(conn_type="aws", login="AKIA", password="secret", extra=extra), "s3")
        store = fsspec.filesystem("s3", **options, skip_instance_cache=True)
        store.call_s3("create_bucket", Bucket="logs", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        store.pipe("logs/access.log", LINE)
        assert store.cat("logs/access.log") == LINE
    finally:
        server.stop()


# SFTP


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
