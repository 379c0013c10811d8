"""What the command line and the portal log: to standard error, redacted, as text or as one JSON object a line."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, TextIO

from pydantic_settings import SettingsConfigDict

from pipeline.observation.redaction import redact_event, redacted
from pipeline.settings import Settings


class LogFormat(StrEnum):
    """How a line of the log is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """From which level on something is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogSettings(Settings):
    """What is logged, and how: ``DEMOGRAPHICS_LOG`` and ``DEMOGRAPHICS_LOG_LEVEL``."""

    model_config = SettingsConfigDict(env_prefix="DEMOGRAPHICS_")
    about: ClassVar[str] = "the log"

    log: LogFormat = LogFormat.TEXT
    """``text``, for people, or ``json``, one object a line."""
    log_level: LogLevel = LogLevel.WARNING
    """``debug``, ``info``, ``warning`` or ``error``."""


class RedactingHandler(logging.StreamHandler[TextIO]):
    """Writes redacted lines to what is standard error at that moment.

    Args:
        written_as: Text or JSON.
    """

    def __init__(self, written_as: LogFormat) -> None:
        self._written_as = written_as
        super().__init__(sys.stderr)

    @property
    def stream(self) -> TextIO:
        """Standard error, which may be another one by now."""
        return sys.stderr

    @stream.setter
    def stream(self, _value: TextIO) -> None:
        """Ignored: it is looked up."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as it may be told."""
        return self._json.format(record) if self._written_as is LogFormat.JSON else redacted(_text(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - as logging calls it
        """Say that a record cannot be told; what logging itself says quotes its arguments."""
        print(f"A message of {record.name} cannot be told.", file=sys.stderr)

    @cached_property
    def _json(self) -> logging.Formatter:
        import structlog  # noqa: PLC0415 - takes a quarter of a second, and most commands log nothing
        from structlog.tracebacks import ExceptionDictTransformer  # noqa: PLC0415 - as before

        processors: list[Any] = [
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper("iso", utc=True),
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        ]
        last: list[Any] = [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            redact_event,
            structlog.processors.JSONRenderer(),
        ]
        return structlog.stdlib.ProcessorFormatter(processors=last, foreign_pre_chain=processors)


def configure(settings: LogSettings | None = None) -> None:
    """Log everything of this process, of libraries too, through one handler.

    Args:
        settings: Those of the environment, if left out.

    Raises:
        ConfigurationError: A setting breaks a rule.
    """
    settings = settings or LogSettings.from_environment()
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, RedactingHandler)]:
        root.removeHandler(handler)
    root.addHandler(RedactingHandler(settings.log))
    root.setLevel(settings.log_level.upper())
    logging.captureWarnings(True)


_TEXT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


def _text(record: logging.LogRecord) -> str:
    return _TEXT.format(record)
