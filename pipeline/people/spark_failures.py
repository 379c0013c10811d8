"""What fails on Spark, told as a rule and a setting to change: its own messages may quote a row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.disk import tells_of_no_room
from pipeline.errors import ConfigurationError, DemographicsError, StagingError
from pipeline.people.settings import SPARK_MEMORY_VARIABLE, SPARK_VARIABLE, EngineSettings

_NO_MEMORY: Final = ("OutOfMemoryError", "Cannot grow BufferHolder", "spark.driver.maxResultSize", "UNABLE_TO_ACQUIRE")
# Of Py4J, gRPC and sockets, when what they speak to is no more.
_GONE: Final = ("Py4JNetworkError", "ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError", "EOFError")
_GONE_TEXTS: Final = ("UNAVAILABLE", "Answer from Java side is empty", "SESSION_NOT_FOUND", "SESSION_CLOSED")


@dataclass(frozen=True)
class Work:
    """What Spark is asked for.

    Attributes:
        subject: Population and period.
        doing: ``people are counted``.
        undone: What has not happened, so that it may be tried again: ``Nothing was drawn``.
        otherwise: What is told where nothing else is known; its value is the failure's kind.
    """

    subject: str
    doing: str
    undone: str
    otherwise: StagingError


@contextmanager
def told(work: Work, settings: EngineSettings, spill: Path) -> Iterator[None]:
    """Tell what fails in the block as an error of ours.

    Raises:
        ConfigurationError: Spark is away or died, has too little memory, or no Java.
        StagingError: There is no room for temporary files, or ``work.otherwise``.
    """
    try:
        yield
    except DemographicsError:
        raise
    except Exception as failure:  # noqa: BLE001  any class, of Spark, Py4J or gRPC; each may quote a row
        raise explained(failure, work, settings, spill) from None


@dataclass(frozen=True)
class _Failure:
    """Of what failed, what may be told."""

    kind: str
    gone: bool
    no_memory: bool
    no_room: bool
    no_java: bool

    @classmethod
    def of(cls, failure: Exception) -> _Failure:
        # Spark's own name of the condition, CONVERSION_INVALID_INPUT for example, is one of a closed list.
        condition = getattr(failure, "getCondition", lambda: None)() or ""
        kind, text = " ".join(filter(None, (type(failure).__name__, condition))), str(failure)
        return cls(
            kind,
            gone=type(failure).__name__ in _GONE or any(part in text for part in _GONE_TEXTS),
            no_memory=any(part in text for part in _NO_MEMORY),
            no_room=tells_of_no_room(text),
            no_java=condition == "JAVA_GATEWAY_EXITED",
        )


def explained(failure: Exception, work: Work, settings: EngineSettings, spill: Path) -> DemographicsError:
    """What to tell of a failure."""
    found = _Failure.of(failure)
    value, server = f"{found.kind} on {work.subject}", settings.server
    if found.no_room:
        room = f"in spark.local.dir of {server}" if server else f"below {spill}"
        return StagingError("there must be room for Spark's temporary files", value=value, remedy=f"Free space {room}.")
    if found.no_memory:
        more = f"Give {server} more" if server else f"Raise {SPARK_MEMORY_VARIABLE}"
        return ConfigurationError("Spark must have enough memory", value=value, remedy=f"{more}.")
    if found.no_java:
        return ConfigurationError(
            "Spark on this machine needs Java 17 or newer",
            value=value,
            remedy=f"Install one, lower {SPARK_MEMORY_VARIABLE}, or name a Spark Connect server in {SPARK_VARIABLE}.",
        )
    if found.gone:
        place, setting = (server, SPARK_VARIABLE) if server else ("on this machine", SPARK_MEMORY_VARIABLE)
        return ConfigurationError(
            f"Spark {place} must stay there while {work.doing}",
            value=value,
            remedy=f"{work.undone}: try again, and look at {setting} if it happens again.",
        )
    return StagingError(work.otherwise.rule, value=value, remedy=work.otherwise.remedy)
