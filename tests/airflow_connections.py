"""Airflow connections for tests, and a look for what must not be told of them."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable

import pytest

from pipeline.errors import SourceError

PASSWORD = "p@ss/w:ord?$HOME#1"

Connect = Callable[..., str]


def connecting(monkeypatch: pytest.MonkeyPatch) -> Connect:
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
