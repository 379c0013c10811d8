"""What the command line and the portal log."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pipeline.errors import ConfigurationError
from pipeline.observation.logs import LogFormat, LogLevel, LogSettings, RedactingHandler, configure
from tests.delivering import DeliveredSite
from tests.end_to_end import planting
from tests.portal_processes import portal_process


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    """The root logger, as it was."""
    logger = logging.getLogger()
    before, level = list(logger.handlers), logger.level
    logging.captureWarnings(False)  # where a test of before, or Airflow, left it on, it would not be turned on again
    yield
    logger.handlers[:] = before
    logger.setLevel(level)
    logging.captureWarnings(False)


def log_everything() -> None:
    logger = logging.getLogger("some.library")
    logger.warning("visit of %s", planting.EMAIL, extra={"who": {"address": planting.ADDRESS_V4}})
    try:
        raise KeyError(planting.NAME)
    except KeyError:
        logger.exception("from %s", planting.ADDRESS_V6)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"unused {planting.CARD}", stacklevel=1)


def test_json_has_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(log=LogFormat.JSON, log_level=LogLevel.INFO))
    log_everything()
    logging.getLogger("quiet").debug("nothing")
    told = capsys.readouterr().err
    lines = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    assert [line["event"] for line in lines[:2]] == ["visit of [e-mail]", "from [address]"]
    lines[0].pop("message", None)  # what handlers of others have added
    assert lines[0] | {"timestamp": ""} == {
        "event": "visit of [e-mail]",
        "level": "warning",
        "logger": "some.library",
        "timestamp": "",
        "who": {"address": "[address]"},
    }
    assert lines[1]["exception"][0]["exc_type"] == "KeyError"
    assert lines[1]["exception"][0]["frames"]
    assert "UserWarning: [withheld]" in lines[-1]["event"]
    assert planting.traces().found_in(told.encode()) == set()
    assert "nothing" not in told


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings())
    log_everything()
    told = capsys.readouterr().err
    assert "WARNING some.library: visit of [e-mail]" in told
    assert "KeyError: [withheld]" in told
    assert planting.traces().found_in(told.encode()) == set()


@pytest.mark.parametrize("written_as", LogFormat)
def test_a_mistake_of_who_logs_is_told_without_what_was_logged(
    written_as: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    record = logging.makeLogRecord({"name": "some.library", "msg": "%d lines", "args": (planting.NAME,)})
    RedactingHandler(written_as).handle(record)
    assert capsys.readouterr().err == "A message of some.library cannot be told.\n"


def test_it_is_set_up_once_however_often() -> None:
    configure(LogSettings())
    configure(LogSettings(log=LogFormat.JSON))
    assert sum(isinstance(one, RedactingHandler) for one in logging.getLogger().handlers) == 1


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_LOG", "json")
    monkeypatch.setenv("DEMOGRAPHICS_LOG_LEVEL", "debug")
    assert LogSettings.from_environment() == LogSettings(log=LogFormat.JSON, log_level=LogLevel.DEBUG)
    monkeypatch.setenv("DEMOGRAPHICS_LOG", "xml")
    with pytest.raises(ConfigurationError, match="log: Input should be 'text' or 'json'"):
        LogSettings.from_environment()


def test_a_command_that_logs_nothing_imports_nothing_for_it() -> None:
    program = (
        "import sys; from pipeline.observation.logs import configure; configure(); sys.exit('structlog' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_portal_logs_its_errors_redacted_and_nothing_of_requests(tmp_path: Path) -> None:
    site = DeliveredSite(tmp_path / planting.EMAIL)
    with (tmp_path / "log").open("w+", encoding="utf-8") as log:
        with portal_process(site.workspace, log) as portal:
            address = f"http://127.0.0.1:{portal.port}/api/v1/products?who={planting.LOGIN}"
            headers = {"Authorization": "Bearer dgx_" + "A" * 43, "User-Agent": planting.AGENT}
            assert httpx.get(address, headers=headers).status_code == 401
            (site.workspace.home / "ledger.db").write_bytes(b"no database at all")
            assert httpx.get(address, headers=headers).status_code == 503
        log.seek(0)
        told = log.read()
    lines = [json.loads(line) for line in told.splitlines()]
    assert {line["logger"] for line in lines} == {"pipeline.portal"}
    assert any("DatabaseError on" in line["event"] and "[e-mail]/ledger.db" in line["event"] for line in lines)
    assert planting.traces().found_in(told.encode()) == set()
