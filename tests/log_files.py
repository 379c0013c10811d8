"""Log files that tests write, find and read."""

from __future__ import annotations

import threading
from pathlib import Path

from pipeline.site import LogSource
from pipeline.sources.logs import LogFile, find_logs, read_lines


def written(path: Path, content: bytes) -> Path:
    """The path of a file with this content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def log_of(path: Path, encoding: str = "utf-8") -> LogFile:
    """The log at a path, called by its name."""
    source = LogSource.model_validate({"paths": (path.name,), "encoding": encoding})
    (file,) = find_logs([source], path.parent)
    return file


def lines_of(*paths: Path, encoding: str = "utf-8") -> list[str]:
    """The lines of the logs at these paths, each content once."""
    files = [log_of(path, encoding) for path in paths]
    return [line for table in read_lines(files) for line in table.column("line").to_pylist()]


def readers() -> list[threading.Thread]:
    """Threads that read logs and have not ended."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(("reading", "looking"))]
