"""Settings of what is watched from outside of the product: ``DEMOGRAPHICS_BACKUPS``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic_settings import SettingsConfigDict

from pipeline.settings import Settings


class ObservationSettings(Settings):
    """What the product cannot know by itself."""

    model_config = SettingsConfigDict(env_prefix="DEMOGRAPHICS_")
    about: ClassVar[str] = "observation"

    backups: Path | None = None
    """The folder into which backups are put, a file or a folder each; the age of the newest is told."""
