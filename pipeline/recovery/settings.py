"""Settings of backups: ``DEMOGRAPHICS_BACKUP_TO``, ``DEMOGRAPHICS_BACKUP_KEY``, ``DEMOGRAPHICS_BACKUP_PASSPHRASE``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from pipeline.settings import Settings


class RecoverySettings(Settings):
    """Who can open backups."""

    model_config = SettingsConfigDict(env_prefix="DEMOGRAPHICS_BACKUP_")
    about: ClassVar[str] = "backups"

    to: str = ""
    """Whom backups are sealed for: public keys that begin with ``age1``, or files of them, with spaces between."""
    key: Path | None = None
    """The file of the secret key that opens them; it has no place on the machine whose backups they are."""
    passphrase: SecretStr = SecretStr("")
    """Of that file, where it has one; asked for if it is not set."""
