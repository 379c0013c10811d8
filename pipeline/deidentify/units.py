"""Plans and their units of work: which unit of visitor logs is which files, or which span of one, for any process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from pipeline import __version__
from pipeline.deidentify.staging import ContentRead
from pipeline.documents import Document
from pipeline.site import ErrorLogSource, LogSource, SiteFile, VisitorSource
from pipeline.sources.blocks import Span
from pipeline.sources.logs import LogFile
from pipeline.sources.places import changed, found_again
from pipeline.sources.stores import Stores

SOURCE: Final = "visitor logs"
ERRORS: Final = "error logs"


class PlannedFile(Document):
    """A log file, as any process finds it again."""

    address: str
    label: str
    source: int
    """Which source of the site file it is of, by its place."""
    size: int
    begins: tuple[int, str] | None = None
    """Length and SHA-256 of how it began; it may have grown since, and be no other file."""
    sha256: str = ""
    """Of a file that is read in spans, of its ``size`` bytes."""
    met: tuple[int, ...] = ()
    """Of such a file, places of those contents read before that it begins with."""


class PlannedSpan(Document):
    """See ``sources.blocks.Span``."""

    start: int
    stop: int
    first: int
    is_last: bool

    def span(self) -> Span:
        """The same for who reads it."""
        return Span(self.start, self.stop, self.first, self.is_last)


class Unit(Document):
    """What is read at one go: files by their numbers in the plan, or a span of one."""

    logs: tuple[int, ...] = ()
    errors: tuple[int, ...] = ()
    span: PlannedSpan | None = None


class Plan(Document):
    """What is read of a period, and by which units."""

    period: str
    site: str
    """Digest of how the site declares visitors, and of the program's version: units of one run must agree on both."""
    files: dict[str, tuple[PlannedFile, ...]]
    """Visitor logs and error logs."""
    earlier: dict[str, tuple[ContentRead, ...]]
    """Of each, what was read of the period before."""
    units: tuple[Unit, ...]


def sources_of(visitors: VisitorSource) -> dict[str, Sequence[LogSource | ErrorLogSource]]:
    """What the site file says of logs."""
    return {SOURCE: visitors.log_sources, ERRORS: visitors.error_log_sources}


def digest_of(site: SiteFile) -> str:
    """Of all that decides what a unit leaves, but for the logs and the key."""
    return hashlib.sha256(f"{__version__}\n{site.model_dump_json()}".encode()).hexdigest()


class Finder:
    """Finds the files of a plan again; stores are connected to once.

    Args:
        site: Its ``visitors``.
        base: What paths of the site file are relative to.
        plan: The plan.
    """

    def __init__(self, site: SiteFile, base: Path, plan: Plan) -> None:
        assert site.visitors is not None
        self._sources, self._base, self._plan = sources_of(site.visitors), base, plan
        self._stores = Stores()

    def file(self, what: str, number: int) -> LogFile:
        """One of them.

        Raises:
            SourceError: It is gone, was cut, or cannot be read.
        """
        told = self._plan.files[what][number]
        file = found_again(told.address, self._sources[what][told.source], self._base, self._stores.at)
        if file.size < told.size:
            raise changed(file.label)
        return replace(file, begins=told.begins)
