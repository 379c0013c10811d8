"""Reads one unit of work: its lines in the memory of an engine that reaches no file, and de-identified drafts of them.

What a unit leaves are Parquet files without identifiers, and facts that name them, written last. Nothing is replaced:
who reads a unit again leaves drafts and facts of other names, and whichever facts are whole may be taken.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from pipeline.deidentify.accounting import Verdicts
from pipeline.deidentify.drafts import draft_file
from pipeline.deidentify.errors import ErrorStage
from pipeline.deidentify.places import Place
from pipeline.deidentify.pseudonyms import period_key
from pipeline.deidentify.requests import RequestStage
from pipeline.deidentify.tables import parquet_file
from pipeline.deidentify.tombstones import Tombstones, standing
from pipeline.deidentify.units import ERRORS, SOURCE, Finder, Plan, Unit
from pipeline.documents import Document
from pipeline.periods import Period
from pipeline.progress import Progress, silent
from pipeline.site import LogSource, SiteFile
from pipeline.sources.ahead import one_ahead
from pipeline.sources.blocks import first_lines, read_blocks
from pipeline.sources.engine import memory_engine
from pipeline.sources.formats import LogFormat, open_format
from pipeline.sources.formats.detection import LOOKED_AT
from pipeline.sources.heads import heads_of
from pipeline.sources.logs import Intake, LogContent
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

_TOKEN: Final = 8  # bytes: no two readings of a unit write files of one name
_ENDING: Final = ".json"
_READING: Final = "reading visitor logs"

Write = Callable[[pa.Table], None]


class FileRead(Document):
    """What was read of one file."""

    what: str
    file: int
    lines: int
    sha256: str = ""
    """Of all its bytes; of a span nothing is told."""
    bytes: int = 0
    format: str = ""
    """Of a visitor log, of whose beginning this is."""


class UnitRead(Document):
    """The facts of a unit that was read: numbers and names of files, and nothing of any line."""

    unit: int
    tombstones: str
    """Digest of those that were looked for; see ``fingerprint``."""
    requests: str = ""
    """The draft of requests; of the three, a file that would be empty is not there."""
    errors: str = ""
    """The table of what error logs tell."""
    asked: str = ""
    """The table of those met whom tombstones name."""
    files: tuple[FileRead, ...] = ()
    met: dict[str, tuple[int, ...]] = Field(default={})
    """Of visitor logs and error logs, places of the contents read before with which a file begins."""
    of_requests: Verdicts = Verdicts()
    of_errors: Verdicts = Verdicts()
    times: tuple[float, float] | None = None
    """Earliest and latest readable time of visitor logs, in seconds since 1970."""


@dataclass(frozen=True)
class Reading:
    """A run that reads a period's logs.

    Attributes:
        workspace: Where the site file and keys lie.
        site: Its ``visitors``.
        period: Which.
        plan: What its units are.
        drafts: Where all that units leave is put.
    """

    workspace: Workspace
    site: SiteFile
    period: Period
    plan: Plan
    drafts: Place

    def read(self, number: int, progress: Progress = silent) -> UnitRead:
        """Read a unit.

        Args:
            number: Of the unit, in the plan.
            progress: Told the bytes read of the bytes on disk.

        Raises:
            ConfigurationError: The period's key is not there; see ``key_store``.
            SourceError: A log is gone, unreadable, or not what was planned.
            StagingError: What it leaves cannot be written.
        """
        tombstones = standing(self.workspace, Population.VISITORS, self.period)
        with memory_engine(SOURCE) as engine:
            period_key(self.workspace, Population.VISITORS, self.period, make=False).install(engine)
            facts = _Unit(self, number, engine, tombstones, progress).read()
        self.drafts.replace(_fresh(number, "facts") + _ENDING, facts.model_dump_json().encode())
        return facts

    def found(self) -> dict[int, list[UnitRead]]:
        """Facts of the units that were read, by unit; facts that are not whole are of a reading that was killed."""
        found: dict[int, list[UnitRead]] = {}
        for name in self.drafts.names():
            if name.endswith(_ENDING) and "-facts-" in name and (content := self.drafts.read(name)):
                one = UnitRead.model_validate_json(content)
                found.setdefault(one.unit, []).append(one)
        return found

    def rows_of(self, names: Iterable[str], schema: pa.Schema) -> pa.Table:
        """The rows of tables that units left."""
        parts = [schema.empty_table()]
        for name in filter(None, names):
            with self.drafts.reading(name) as file:
                parts.append(pq.read_table(file).cast(schema))
        return pa.concat_tables(parts)


def fingerprint(tombstones: Tombstones) -> str:
    """Tells whether the same tombstones were looked for."""
    digests = sorted({stone.digest for stone in tombstones.stones})
    return hashlib.sha256("\n".join(digests).encode()).hexdigest() if digests else ""


def _fresh(unit: int, what: str) -> str:
    return f"{unit:04d}-{what}-{secrets.token_hex(_TOKEN)}"


class _Unit:
    """The reading of one unit."""

    def __init__(
        self,
        reading: Reading,
        number: int,
        engine: duckdb.DuckDBPyConnection,
        tombstones: Tombstones,
        progress: Progress,
    ) -> None:
        self._reading, self._number, self._progress = reading, number, progress
        self._unit: Unit = reading.plan.units[number]
        base = reading.workspace.site_file.parent
        self._tombstones = tombstones
        self._requests = RequestStage(engine, reading.site, reading.period, base, tombstones)
        self._errors = ErrorStage(engine, reading.site, reading.period)
        self._finder = Finder(reading.site, base, reading.plan)
        self._files: list[FileRead] = []
        self._met: dict[str, tuple[int, ...]] = {}

    def read(self) -> UnitRead:
        name = f"{_fresh(self._number, 'requests')}.parquet"
        is_one_of_many = len(self._reading.plan.units) > 1
        with draft_file(self._reading.drafts, name, in_parts=is_one_of_many) as write:
            if self._unit.span:
                self._read_span(write)
            else:
                self._read_logs(write)
        self._read_errors()
        return UnitRead(
            unit=self._number,
            tombstones=fingerprint(self._tombstones),
            requests=name if self._reading.drafts.has(name) else "",
            errors=self._written("errors", self._errors.table()),
            asked=self._written("asked", self._requests.asked()),
            files=tuple(self._files),
            met=self._met,
            of_requests=self._requests.verdicts,
            of_errors=self._errors.verdicts,
            times=self._requests.times,
        )

    def _read_logs(self, write: Write) -> None:
        formats: dict[int, str] = {}
        intake = self._intake(SOURCE, self._unit.logs)
        for log in intake:
            source, number, reader = log.file.source, self._unit.logs[log.place], None
            assert isinstance(source, LogSource)
            for lines in log.blocks:
                reader = reader or open_format(source, self._reading.site.zone, lines)
                formats[number] = reader.name
                self._generalise(reader, lines, number, write)
        self._keep(SOURCE, self._unit.logs, intake, formats)

    def _read_span(self, write: Write) -> None:
        (number,), told = self._unit.logs, self._unit.span
        assert told is not None
        file, size, lines = self._finder.file(SOURCE, number), told.stop - told.start, 0
        assert isinstance(file.source, LogSource)
        heads_of([file])  # refuses another file than that which was cut
        reader = open_format(file.source, self._reading.site.zone, first_lines(file, LOOKED_AT))
        with closing(one_ahead(read_blocks(file, lambda _: None, told.span()))) as blocks:
            for block in blocks:
                lines += block.lines.num_rows
                self._progress(_READING, min(block.position - told.start, size), size)
                self._generalise(reader, block.lines, number, write)
        self._progress(_READING, size, size)
        self._files.append(FileRead(what=SOURCE, file=number, lines=lines, format="" if told.start else reader.name))

    def _generalise(self, reader: LogFormat, lines: pa.Table, number: int, write: Write) -> None:
        for part, fields in reader.parts(lines):
            write(self._requests.generalise(part, fields, number))

    def _read_errors(self) -> None:
        intake = self._intake(ERRORS, self._unit.errors)
        for log in intake:
            zone = self._reading.site.zone_of(log.file.source)
            for lines in log.blocks:
                self._errors.generalise(lines, zone, self._unit.errors[log.place], self._requests)
        self._keep(ERRORS, self._unit.errors, intake, {})

    def _intake(self, what: str, numbers: Sequence[int]) -> Intake:
        files = [self._finder.file(what, number) for number in numbers]
        earlier = [LogContent(one.sha256, one.bytes, one.lines) for one in self._reading.plan.earlier[what]]
        return Intake(files, earlier, self._progress, is_all=False)

    def _keep(self, what: str, numbers: Sequence[int], intake: Intake, formats: Mapping[int, str]) -> None:
        for content, place in zip(intake.contents, intake.places, strict=True):
            number = numbers[place]
            told = {"sha256": content.sha256, "bytes": content.bytes, "format": formats.get(number, "")}
            self._files.append(FileRead(what=what, file=number, lines=content.lines, **told))
        gone = {(one.sha256, one.bytes) for one in intake.gone}
        earlier = self._reading.plan.earlier[what]
        self._met[what] = tuple(n for n, one in enumerate(earlier) if (one.sha256, one.bytes) not in gone)

    def _written(self, what: str, rows: pa.Table) -> str:
        """The name of a file of these rows; none where there are none."""
        if not rows.num_rows:
            return ""
        name = f"{_fresh(self._number, what)}.parquet"
        with parquet_file(self._reading.drafts, name, store_schema=False) as file:
            file.write(rows)
        return name
