"""Redaction inside Airflow: of the logs of tasks, and of what its own processes tell.

Two places, because Airflow has two. Logs of tasks, triggers and DAG files pass through the processors of the handler
that ``logging_config_class`` names beside its dictionary:
``AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS=pipeline.observation.airflow_logs.LOGGING``. Scheduler, API server and the
others ask ``airflow_local_settings.py``, a file in ``$AIRFLOW_HOME/config``, which has one line:
``from pipeline.observation.airflow_logs import configure_logging``.
"""

from __future__ import annotations

import logging
import os
from copy import deepcopy
from typing import Any, Final

import structlog
from airflow.config_templates import airflow_local_settings as usual
from airflow.logging_config import configure_logging as _configure

from pipeline.observation.redaction import redact_event

LOGGING_VARIABLE: Final = "AIRFLOW__LOGGING__LOGGING_CONFIG_CLASS"
LOGGING: Final[dict[str, Any]] = deepcopy(usual.DEFAULT_LOGGING_CONFIG)
DEFAULT_REMOTE_CONN_ID: Final[str | None] = usual.DEFAULT_REMOTE_CONN_ID


class RedactedTaskLog:
    """Redacts the lines of tasks' logs before they are written; where they go stays as Airflow is configured.

    Args:
        inner: The store of logs that Airflow is configured for, if any.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def processors(self) -> tuple[Any, ...]:
        """What a line passes through before it is written."""
        return (redact_event, *getattr(self._inner, "processors", ()))

    def upload(self, path: os.PathLike[str] | str, ti: Any = None) -> None:
        """Bring a log to the store, if there is one."""
        if self._inner is not None:
            self._inner.upload(path, ti)

    def read(self, relative_path: str, ti: Any) -> Any:
        """What the store has of a log; nothing where there is none."""
        return self._inner.read(relative_path, ti) if self._inner is not None else ([], None)

    def __getattr__(self, name: str) -> Any:  # ``stream``, and what stores have beyond the protocol
        if name.startswith("_") or self._inner is None:
            raise AttributeError(name)
        return getattr(self._inner, name)


REMOTE_TASK_LOG: Final = RedactedTaskLog(usual.REMOTE_TASK_LOG)


def configure_logging() -> None:
    """Configure the logs of one of Airflow's own processes as it does, and redact them."""
    _configure()  # type: ignore[no-untyped-call]
    processors = structlog.get_config()["processors"]
    if redact_event not in processors:
        processors.insert(-1, redact_event)  # in place: loggers that were used already hold this list
    for handler in logging.getLogger().handlers:
        if isinstance(formatter := handler.formatter, structlog.stdlib.ProcessorFormatter):
            formatter.processors = (*formatter.processors[:-1], redact_event, formatter.processors[-1])
