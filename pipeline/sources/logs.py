"""Visitor logs and error logs: which files there are, and their lines, each content once.

In the order in which they are used: ``places`` and ``stores`` find files, ``packing`` unpacks them, ``blocks`` cuts
them into lines, ``ahead`` does so while the engine is busy, and ``contents`` sees to it that each line counts once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import pyarrow as pa

from pipeline.progress import Progress, silent
from pipeline.sources.contents import DistinctLog, Intake, LogContent
from pipeline.sources.places import LogFile, find_logs

__all__ = ["DistinctLog", "Intake", "LogContent", "LogFile", "find_logs", "read_lines"]


def read_lines(files: Sequence[LogFile], progress: Progress = silent) -> Iterator[pa.Table]:
    """The lines of all files, each content once, in blocks; see ``Intake``.

    Raises:
        SourceError: A file cannot be read, or there is no line in any.
    """
    with closing(iter(Intake(files, progress=progress))) as logs:
        for log in logs:
            yield from log.blocks
