"""Airflow connections become addresses of databases and options of file stores; real servers take them."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
import sqlalchemy as sa

from pipeline.filesystems.connections import find_connection
from pipeline.filesystems.options import storage_options
from pipeline.sources.connections import database_url
from pipeline.sources.databases import open_database
from tests.airflow_connections import PASSWORD, Connect, connecting, refusal


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    return connecting(monkeypatch)


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
        store.pipe("logs/access.log", b"a line\n")
        assert store.cat("logs/access.log") == b"a line\n"
    finally:
        server.stop()
