"""Settings of reading visitor logs by many: ``DEMOGRAPHICS_UNIT_MEGABYTES`` and ``DEMOGRAPHICS_READERS``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from pipeline.settings import Settings


class ReadingSettings(Settings):
    """How much of visitor logs one task reads, and how many read at once."""

    model_config = SettingsConfigDict(env_prefix="DEMOGRAPHICS_")
    about: ClassVar[str] = "reading"

    unit_megabytes: int = Field(default=256, ge=1, le=1_000_000)
    """Megabytes of unpacked logs that one task reads, about: small files share a task, large ones are cut."""
    readers: int = Field(default=4, ge=1, le=1_000)
    """Tasks of one period that read at the same time, of which each may take two gigabytes of memory."""

    @property
    def unit_bytes(self) -> int:
        """What ``unit_megabytes`` says."""
        return self.unit_megabytes << 20
