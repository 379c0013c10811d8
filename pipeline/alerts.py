"""Alerts: what is late, a file each in a folder that somebody watches."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from pipeline.disk import replace_file
from pipeline.errors import ConfigurationError


def write_alert(folder: Path, now: dt.datetime, hours: float, **told: object) -> Path:
    """Write one alert, which later ones leave as it is.

    Args:
        folder: Of alerts of one kind; made where it is missing.
        now: The moment.
        hours: Which deadline was missed, in hours.
        told: What else the file says, as JSON can; it names nobody.

    Returns:
        The file.

    Raises:
        ConfigurationError: It cannot be written.
    """
    path = folder / f"{now:%Y%m%dT%H%M%S%f}-{hours:g}h.json"
    content = json.dumps({"at": now.isoformat(timespec="seconds"), "hours": hours, **told}, indent=2)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, content.encode(), 0o644)
    except OSError as failure:
        raise ConfigurationError(
            "an alert must be writable",
            value=f"{failure.strerror or type(failure).__name__} under {folder}",
            remedy="Check permissions and free space there.",
        ) from None
    return path
