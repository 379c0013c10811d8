"""Settings of the engine: ``DEMOGRAPHICS_ENGINE``, what DuckDB may take, where Spark is, and what that may take."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from pipeline.errors import ConfigurationError
from pipeline.settings import Settings

_PREFIX: Final = "DEMOGRAPHICS_"
SPARK_VARIABLE: Final = f"{_PREFIX}SPARK"
SPARK_MEMORY_VARIABLE: Final = f"{_PREFIX}SPARK_MEMORY"
MEMORY_VARIABLE: Final = f"{_PREFIX}MEMORY"
SPILL_VARIABLE: Final = f"{_PREFIX}SPILL"
_LOCAL: Final = re.compile(r"local(\[(\*|[1-9]\d{0,3})\])?")
_SIZE: Final = r"^[1-9]\d{0,5}[mg]$"
_BYTES: Final = {"m": 1024**2, "g": 1024**3}
_REMOTE: Final = re.compile(r"sc://(?P<place>[^/;@\s]+)(/.*)?")


class EngineName(StrEnum):
    """What people are counted in."""

    DUCKDB = "duckdb"
    SPARK = "spark"


class EngineSettings(Settings):
    """Which engine counts people, and where Spark is."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX)
    about: ClassVar[str] = "the engine"

    engine: EngineName = EngineName.DUCKDB
    """DuckDB in the process, or Spark; releases come out equal before noise."""
    memory: str = Field(default="180m", pattern=_SIZE)
    """Of DuckDB: what it may take of the process, ``180m`` or ``4g``; the interpreter and its libraries take about
    150 MB beside it."""
    spill: str = Field(default="20g", pattern=_SIZE)
    """Of DuckDB: what it may write to the folder of temporary files where memory is too small."""
    spark: str = Field(default="local[*]", repr=False)
    """Of Spark: ``local[*]`` or ``local[2]``, started for each count on as many cores; or a Spark Connect server,
    ``sc://host:port``, perhaps with ``/;token=...``, which is not shown."""
    spark_memory: str = Field(default="1g", pattern=_SIZE)
    """Of a Spark that is started: what its Java may take, ``800m`` or ``4g``."""

    @classmethod
    def from_environment(cls, **given: Any) -> Self:
        """The settings of the environment, and over them what is given.

        Raises:
            ConfigurationError: One breaks a rule; each is named.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as failure:
            raise ConfigurationError(
                "; ".join(_RULES[str(item["loc"][0])] for item in failure.errors()),
                remedy="See docs/engines.md.",
            ) from None

    @field_validator("spark")
    @classmethod
    def _is_place(cls, value: str) -> str:
        if not (_LOCAL.fullmatch(value) or _REMOTE.fullmatch(value)):
            raise ValueError(_RULES["spark"])
        return value

    @property
    def memory_bytes(self) -> int:
        """What ``memory`` says."""
        return int(self.memory[:-1]) * _BYTES[self.memory[-1]]

    @property
    def server(self) -> str:
        """Host and port of the Spark Connect server; empty where Spark is started here."""
        found = _REMOTE.fullmatch(self.spark)
        return found["place"] if found else ""


_RULES: Final = {
    "engine": f"{_PREFIX}ENGINE must be {' or '.join(EngineName)}",
    "spark": f"{SPARK_VARIABLE} must be local[*], local[N] or sc://host:port",
    "spark_memory": f"{SPARK_MEMORY_VARIABLE} must be a size such as 800m or 4g",
    "memory": f"{MEMORY_VARIABLE} must be a size such as 180m or 4g",
    "spill": f"{SPILL_VARIABLE} must be a size such as 800m or 20g",
}
