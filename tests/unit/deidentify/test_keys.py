"""Keys of periods: where they come from, what destroys them, and that nothing shows them."""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from pipeline.deidentify.key_store import MasterSecret, hkdf, master_secret, stored_key
from pipeline.deidentify.pseudonyms import PeriodKey, period_key
from pipeline.errors import ConfigurationError
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import KEYS_VARIABLE, MASTER_KEY_VARIABLE, Workspace

WEEK = Period.parse("2026-W41")
NEXT_WEEK = Period.parse("2026-W42")
# Random digits; this is the secret of nothing.
MASTER = "3f0c9a5be1d72648b35f80a1c4e6972d0b8a41f3d9276ec5187ab40d95e3c26f"
OTHER_MASTER = "a7d14e08c95b3f62708de1b4936a2cf5e0417d8b52c9360fa18b74d3e6509c2b"
PERSON = "somebody@unmistakable.example"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    monkeypatch.delenv(MASTER_KEY_VARIABLE, raising=False)
    return Workspace(tmp_path)


@pytest.fixture
def master(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the master secret of the deployment."""

    def put(digits: str) -> None:
        monkeypatch.setenv(KEYS_VARIABLE, "environment")
        monkeypatch.setenv(MASTER_KEY_VARIABLE, digits)

    return put


def pseudonym(workspace: Workspace, period: Period = WEEK) -> str:
    return period_key(workspace, Population.VISITORS, period).pseudonym(PERSON)


def key_file(workspace: Workspace, period: Period = WEEK) -> Path:
    return workspace.period_key(Population.VISITORS, period)


def refusal(workspace: Workspace) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        pseudonym(workspace)
    assert caught.value.exit_code == 3
    return caught.value


# A key file alone


def test_a_key_file_is_made_once_and_readable_by_its_owner_only(workspace: Workspace) -> None:
    first = pseudonym(workspace)
    assert first == pseudonym(workspace)
    assert stat.S_IMODE(key_file(workspace).stat().st_mode) == 0o600
    assert re.fullmatch("[0-9a-f]{64}", key_file(workspace).read_text("ascii"))
    assert [path.name for path in key_file(workspace).parent.iterdir()] == ["2026-W41.key"]


def test_a_period_has_a_key_of_its_own(workspace: Workspace) -> None:
    assert pseudonym(workspace) != pseudonym(workspace, NEXT_WEEK)
    assert pseudonym(workspace) != period_key(workspace, Population.CUSTOMERS, WEEK).pseudonym(PERSON)


@pytest.mark.parametrize("setting", ["", "file"])
def test_key_files_from_before_are_read_as_they_were(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, setting)
    key_file(workspace).parent.mkdir(parents=True)
    key_file(workspace).write_text(MASTER, "ascii")
    key_file(workspace).chmod(0o600)
    derived = hmac.digest(bytes.fromhex(MASTER), b"pseudonym", "sha256")
    assert pseudonym(workspace) == hmac.digest(derived, PERSON.encode(), "sha256").hex()[:32]


def test_the_engine_makes_the_same_pseudonym(workspace: Workspace) -> None:
    with duckdb.connect() as connection:
        period_key(workspace, Population.VISITORS, WEEK).install(connection)
        assert connection.execute("SELECT pseudonym(?)", [PERSON]).fetchone() == (pseudonym(workspace),)


def test_a_key_file_that_others_can_read_is_refused(workspace: Workspace) -> None:
    pseudonym(workspace)
    key_file(workspace).chmod(0o640)
    assert "owner only" in str(refusal(workspace))


@pytest.mark.parametrize("content", ["", "zz" * 32, MASTER[:62], f"hkdf-sha256 {MASTER}", f"{MASTER} 01234567"])
def test_a_file_that_is_no_key_file_is_refused_and_not_shown(workspace: Workspace, content: str) -> None:
    pseudonym(workspace)
    key_file(workspace).write_text(content, "ascii")
    message = str(refusal(workspace))
    assert "hexadecimal digits" in message
    assert MASTER[:16] not in message


def test_a_key_file_that_cannot_be_read_is_an_error_of_configuration(workspace: Workspace) -> None:
    key_file(workspace).mkdir(parents=True)
    assert "IsADirectoryError" in str(refusal(workspace))


def test_a_second_name_that_a_killed_task_left_is_removed(workspace: Workspace) -> None:
    before = pseudonym(workspace)
    twin = key_file(workspace).with_name(".2026-W41.key.0badc0de")
    os.link(key_file(workspace), twin)
    assert pseudonym(workspace) == before
    assert not twin.exists()


def test_threads_that_race_for_a_key_get_the_same(workspace: Workspace) -> None:
    barrier = threading.Barrier(16)

    def race(period: Period) -> str:
        barrier.wait()
        return pseudonym(workspace, period)

    with ThreadPoolExecutor(16) as pool:
        for week in range(1, 31):
            assert len(set(pool.map(race, [Period.parse(f"2026-W{week:02}")] * 16))) == 1
    assert not list(key_file(workspace).parent.glob(".*"))


_RACER = """
import sys, time
from pathlib import Path
from pipeline.deidentify.key_store import MasterSecret, stored_key
folder, master = Path(sys.argv[1]), MasterSecret(bytes.fromhex(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(100):
    print(stored_key(folder / f"{number}.key", str(number), master).hex())
"""


def test_processes_that_race_for_keys_get_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _RACER, str(tmp_path / "keys"), MASTER]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    outputs = [one.communicate(timeout=60)[0].split() for one in running]
    assert outputs[0] == outputs[1] == outputs[2] == outputs[3]
    assert len(set(outputs[0])) == 100
    assert len(list((tmp_path / "keys").iterdir())) == 100


# Under a master secret


@pytest.mark.parametrize(
    ("secret", "salt", "purpose", "expected"),
    [
        ("0b" * 22, bytes(range(13)).hex(), bytes(range(0xF0, 0xFA)).hex(), "3cb25f25faacd57a90434f64d0362f2a"),
        (
            bytes(range(80)).hex(),
            bytes(range(0x60, 0xB0)).hex(),
            bytes(range(0xB0, 0x100)).hex(),
            "b11e398dc80327a1c8e7f78c596a4934",
        ),
        ("0b" * 22, "", "", "8da4e775a563c18f715f802a063c5a31"),
    ],
)
def test_keys_are_derived_as_the_test_cases_of_rfc_5869_say(
    secret: str, salt: str, purpose: str, expected: str
) -> None:
    derived = hkdf(bytes.fromhex(secret), bytes.fromhex(salt), bytes.fromhex(purpose))
    assert len(derived) == 32
    assert derived.hex().startswith(expected)


def test_the_same_master_secret_opens_a_period_again(workspace: Workspace, master: Callable[[str], None]) -> None:
    master(MASTER)
    before = pseudonym(workspace)
    master(f" {MASTER.upper()}\n")
    assert pseudonym(workspace) == before
    assert stat.S_IMODE(key_file(workspace).stat().st_mode) == 0o600


def test_the_file_alone_is_not_the_key(workspace: Workspace, master: Callable[[str], None]) -> None:
    master(MASTER)
    key = period_key(workspace, Population.VISITORS, WEEK)
    kind, seed, check = key_file(workspace).read_text("ascii").split(" ")
    assert (kind, len(seed), len(check)) == ("hkdf-sha256", 64, 8)
    assert key.secret.hex() not in key_file(workspace).read_text("ascii")
    assert key.pseudonym(PERSON) != PeriodKey(bytes.fromhex(seed)).pseudonym(PERSON)
    assert not key.secret.hex().startswith(check)
    assert not key.derive("pseudonym").hex().startswith(check)


def test_a_destroyed_file_destroys_the_key_although_the_master_secret_lives(
    workspace: Workspace, master: Callable[[str], None]
) -> None:
    master(MASTER)
    before = pseudonym(workspace)
    key_file(workspace).unlink()
    assert pseudonym(workspace) != before


def test_another_master_secret_is_noticed(workspace: Workspace, master: Callable[[str], None]) -> None:
    master(MASTER)
    pseudonym(workspace)
    master(OTHER_MASTER)
    message = str(refusal(workspace))
    assert "with which it was made" in message
    assert OTHER_MASTER not in message


def test_the_key_file_of_another_period_is_noticed(workspace: Workspace, master: Callable[[str], None]) -> None:
    master(MASTER)
    pseudonym(workspace, NEXT_WEEK)
    key_file(workspace, NEXT_WEEK).rename(key_file(workspace))
    assert "key file of another period" in str(refusal(workspace))


def test_a_file_made_without_a_master_secret_is_not_used_with_one(
    workspace: Workspace, master: Callable[[str], None]
) -> None:
    pseudonym(workspace)
    master(MASTER)
    assert "made without a master secret, while one is set" in str(refusal(workspace))


def test_a_file_made_with_a_master_secret_is_not_used_without_one(
    workspace: Workspace, master: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    master(MASTER)
    pseudonym(workspace)
    monkeypatch.delenv(KEYS_VARIABLE)
    assert "made with a master secret, while none is set" in str(refusal(workspace))


@pytest.mark.parametrize(
    "digits",
    [
        "",
        MASTER[:62],
        MASTER + "0",
        "correct horse battery staple" * 3,
        "0" * 64,
        "f" * 128,
        "0123456789abcdef" * 4,
        bytes(range(32)).hex(),
        bytes(range(0, 256, 8)).hex(),
        b"correct horse battery staple, or another text".hex(),
    ],
)
def test_a_weak_master_secret_is_refused_before_anything_is_written(
    workspace: Workspace, master: Callable[[str], None], digits: str
) -> None:
    master(digits)
    message = str(refusal(workspace))
    assert MASTER_KEY_VARIABLE in message
    assert not digits or digits not in message
    assert not key_file(workspace).parent.exists()


def test_random_master_secrets_are_taken(workspace: Workspace, master: Callable[[str], None]) -> None:
    for _ in range(1_000):
        master(secrets.token_hex(32))
        assert master_secret("environment") is not None


@pytest.mark.parametrize("setting", [MASTER, "environement", "airflow", "FILE"])
def test_an_unknown_setting_is_refused_and_not_shown(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, setting)
    message = str(refusal(workspace))
    assert KEYS_VARIABLE in message
    assert MASTER not in message


# A master secret in an Airflow connection


@pytest.mark.parametrize(
    "stored", [f"generic://:{MASTER}@", json.dumps({"conn_type": "generic", "password": MASTER})], ids=["uri", "json"]
)
def test_the_password_of_an_airflow_connection_is_the_master_secret(
    workspace: Workspace, master: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, stored: str
) -> None:
    master(MASTER)
    from_environment = pseudonym(workspace)
    monkeypatch.delenv(MASTER_KEY_VARIABLE)
    monkeypatch.setenv(KEYS_VARIABLE, "airflow:period_keys")
    monkeypatch.setenv("AIRFLOW_CONN_PERIOD_KEYS", stored)
    assert pseudonym(workspace) == from_environment


@pytest.mark.parametrize("setting", ["airflow:absent", "airflow:", f"airflow:postgres://u:{MASTER}@host/db"])
def test_a_missing_connection_is_an_error_of_configuration(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, setting)
    message = str(refusal(workspace))
    assert "connection must be" in message
    assert MASTER not in message


def test_a_connection_without_a_master_secret_is_refused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS_VARIABLE, "airflow:period_keys")
    monkeypatch.setenv("AIRFLOW_CONN_PERIOD_KEYS", "generic://:hunter2@")
    message = str(refusal(workspace))
    assert "password of the Airflow connection period_keys" in message
    assert "hunter2" not in message


# Nothing shows a secret


def test_secrets_show_in_no_text_of_their_objects(workspace: Workspace) -> None:
    secret = bytes.fromhex(MASTER)
    for one in (PeriodKey(secret), MasterSecret(secret)):
        for text in (repr(one), str(one), f"{one}", f"{[one]}"):
            assert MASTER not in text
            assert repr(secret)[2:12] not in text


def test_secrets_show_in_no_traceback_even_with_the_variables_of_its_frames(
    workspace: Workspace, master: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def tell() -> None:
        error = refusal(workspace)
        told.extend(traceback.TracebackException.from_exception(error, capture_locals=True).format())

    master(MASTER)
    pseudonym(workspace)
    written = key_file(workspace).read_text("ascii").split(" ")[1]
    master(OTHER_MASTER)
    tell()
    monkeypatch.delenv(KEYS_VARIABLE)
    tell()
    master(OTHER_MASTER + "0")
    tell()
    monkeypatch.setenv(KEYS_VARIABLE, "airflow:period_keys")
    monkeypatch.setenv("AIRFLOW_CONN_PERIOD_KEYS", f"generic://:{MASTER}@host:no-port")
    tell()
    text = "".join(told)
    assert len(told) > 20
    for digits in (MASTER, OTHER_MASTER, written):
        assert digits not in text
        assert repr(bytes.fromhex(digits))[2:12] not in text


def test_a_key_is_of_its_period_even_with_the_same_seed() -> None:
    one = MasterSecret(bytes.fromhex(MASTER))
    seed = bytes(32)
    assert one.period_secret(seed, "visitors/2026-W41") != one.period_secret(seed, "visitors/2026-W42")
    assert one.period_secret(seed, "visitors/2026-W41") != one.period_secret(seed, "customers/2026-W41")


def test_a_key_file_that_is_swapped_for_a_plain_one_is_refused(tmp_path: Path) -> None:
    path, one = tmp_path / "week.key", MasterSecret(bytes.fromhex(MASTER))
    stored_key(path, "week", one)
    path.write_text(OTHER_MASTER, "ascii")
    with pytest.raises(ConfigurationError, match="kind of key"):
        stored_key(path, "week", one)
