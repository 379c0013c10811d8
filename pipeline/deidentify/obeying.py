"""What people asked for takes effect on staging: who is left out leaves it, and what was corrected is written anew.

The one rule of effect, for staging that was just made and for staging that is held. It sees pseudonyms and keys of
closed lists only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.deidentify.accounting import AT_REQUEST
from pipeline.deidentify.staging import (
    ALIASES,
    EVENTS,
    MANIFEST,
    PERSONS,
    WITHDRAWN_CHECKS,
    SourceCounts,
    Staging,
    StagingManifest,
    load_staging,
    sweep_drafts,
    withdraw_checks,
    write_manifest,
)
from pipeline.deidentify.tombstones import Effects
from pipeline.errors import StagingError
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

MEMORY_LIMIT: Final = "256MB"
MOST_ROWS_A_BATCH: Final = 250_000
# Aliases come last: until they are gone, who is named by an e-mail address is still found.
_FILES: Final = (EVENTS, PERSONS, ALIASES)
# The rows of each file are counted under this source. Aliases are a second name of people, and counted nowhere.
_SOURCES: Final = {
    (Population.VISITORS, EVENTS): "visitor logs",
    (Population.CUSTOMERS, PERSONS): "customers",
    (Population.CUSTOMERS, EVENTS): "orders",
}
_DECIDED: Final = f".{MANIFEST}"


def obey(folder: Path, manifest: StagingManifest, effects: Effects) -> StagingManifest:
    """Rewrite the Parquet files of staging that is being made; a file in which nothing changes is not touched.

    Args:
        folder: Holds ``events.parquet``, ``persons.parquet``, ``aliases.parquet``, whichever there are.
        manifest: What they were made of.
        effects: By pseudonym of the period. Who is left out is not corrected; a correction of what is no column of a
            file is passed over there.

    Returns:
        The manifest of what is left: rows that went are counted as left out at a person's request, by source.

    Raises:
        StagingError: A file cannot be read or written.
    """
    dropped = _write_drafts(folder, effects)
    for name in dropped:
        (folder / f".{name}").replace(folder / name)
    return _accounted(manifest, dropped)


def obey_held(staging: Staging, effects: Effects) -> bool:
    """The same for staging that is held, whose lock the caller holds; verdicts on what it was are withdrawn.

    Whoever is killed in the middle leaves it undecided, and it stays as it was, or decided: ``settled`` brings it to
    its end.

    Returns:
        Whether anything changed.

    Raises:
        StagingError: A file cannot be read or written. Staging stays as it was.
    """
    try:
        dropped = _write_drafts(staging.folder, effects)
        if dropped:
            withdraw_checks(staging.folder)
            _decide(staging.folder, _accounted(staging.manifest, dropped))
    finally:
        _settle(staging.folder)
    return bool(dropped)


def settled(workspace: Workspace, population: Population, period: Period) -> Staging:
    """The staging of a period, whose lock the caller holds, after what killed runs left of it is finished or swept.

    Raises:
        StagingError: There is none, or it is of another population or period.
    """
    sweep_drafts(workspace, population, period)
    _settle(workspace.staging(population, period))
    return load_staging(workspace, population, period)


def _decide(folder: Path, manifest: StagingManifest) -> None:
    """From here on the drafts count: the manifest of what they are stands beside them, whole."""
    write_manifest(folder, manifest, draft := f"{_DECIDED}.draft")
    (folder / draft).replace(folder / _DECIDED)


def _settle(folder: Path) -> None:
    """Put drafts that were decided on into their place, the manifest last; remove others."""
    if (folder / _DECIDED).exists():
        for name in (*_FILES, MANIFEST):
            if (draft := folder / f".{name}").exists():
                draft.replace(folder / name)
    for left in folder.glob(".*"):
        if left.name != WITHDRAWN_CHECKS:
            left.unlink()


def _write_drafts(folder: Path, effects: Effects) -> dict[str, int]:
    """Write what changes beside the files; tells by name of each file that changes how many rows went."""
    present = [path for name in _FILES if (path := folder / name).exists()] if effects else []
    dropped = {}
    for path in present:
        with _readable_and_writable(path):
            change = _Change.of(effects, pq.read_schema(path).names)
            if change.touches(path):
                dropped[path.name] = change.write(path, folder / f".{path.name}")
    return dropped


def _accounted(manifest: StagingManifest, dropped: Mapping[str, int]) -> StagingManifest:
    counts = dict(manifest.sources)
    for file, rows in dropped.items():
        source = _SOURCES.get((manifest.population, file))
        if rows and source in counts:
            counts[source] = _moved(counts[source], rows)
    return manifest.model_copy(update={"sources": counts})


def _moved(counts: SourceCounts, rows: int) -> SourceCounts:
    used = counts.used - rows
    left_out = counts.left_out | {AT_REQUEST: counts.left_out.get(AT_REQUEST, 0) + rows}
    return counts.model_copy(update={"used": used, "left_out": left_out, "carried": min(counts.carried, used)})


@dataclass(frozen=True)
class _Change:
    """What effects change in one file.

    Attributes:
        effects: One row a person: ``person``, ``left_out``, and of each corrected column the key, NULL where it stays.
        corrected: Columns of the file that are corrected.
    """

    effects: pa.Table
    corrected: tuple[str, ...]

    @classmethod
    def of(cls, effects: Effects, columns: Sequence[str]) -> _Change:
        """The change in a file with these columns."""
        values = {person: given for person, given in effects.corrected.items() if person not in effects.left_out}
        people = [*effects.left_out, *values]
        named = {name for given in values.values() for name in given}
        found: dict[str, Any] = {
            name: pa.array([values.get(person, {}).get(name) for person in people], pa.string())
            for name in columns
            if name in named
        }
        left_out = pa.array([person in effects.left_out for person in people], pa.bool_())
        table = pa.table({"person": pa.array(people, pa.string()), "left_out": left_out, **_prefixed(found)})
        return cls(table, tuple(found))

    def touches(self, path: Path) -> bool:
        """Whether any row of the file changes."""
        differs = ' OR "new {0}" IS NOT NULL AND "new {0}" <> coalesce("{0}", chr(0))'
        conditions = "left_out" + "".join(differs.format(name) for name in self.corrected)
        query = f"SELECT count(*) FROM read_parquet(?) AS held JOIN effects USING (person) WHERE {conditions}"
        with duckdb.connect(config={"temp_directory": "", "memory_limit": MEMORY_LIMIT}) as engine:
            engine.register("effects", self.effects)
            ((rows,),) = engine.execute(query, [str(path)]).fetchall()
        return bool(rows)

    def write(self, path: Path, target: Path) -> int:
        """Write the file as it is then, in the same order and form; tells how many rows went."""
        dropped = 0
        with pq.ParquetFile(path) as file:
            form = _Form.of(file.metadata)
        with pq.ParquetFile(path, read_dictionary=form.as_dictionaries) as file, form.writing(target) as write:
            for batch in file.iter_batches(form.rows):
                kept = self._applied(pa.table(batch))
                dropped += len(batch) - len(kept)
                write(kept)
        return dropped

    def _applied(self, rows: pa.Table) -> pa.Table:
        place = pc.index_in(rows.column("person"), self.effects.column("person"))
        for name in self.corrected:
            given = pc.take(self.effects.column(f"new {name}"), place)
            column = pc.coalesce(given, rows.column(name).cast(pa.string()))
            rows = rows.set_column(rows.schema.get_field_index(name), name, column)
        return rows.filter(pc.invert(pc.fill_null(pc.take(self.effects.column("left_out"), place), False)))


@dataclass(frozen=True)
class _Form:
    """How a Parquet file was written.

    Attributes:
        rows: Of its first row group that has any.
        dictionaries: Columns that were written by way of a dictionary.
        options: The others of its writer.
    """

    rows: int
    dictionaries: tuple[str, ...]
    options: Mapping[str, Any]

    @classmethod
    def of(cls, metadata: pq.FileMetaData) -> _Form:
        """Read it out of a file that has rows."""
        groups = map(metadata.row_group, range(metadata.num_row_groups))
        group = next(group for group in groups if group.num_rows)
        columns = [group.column(number) for number in range(metadata.num_columns)]
        return cls(
            min(group.num_rows, MOST_ROWS_A_BATCH),
            tuple(one.path_in_schema for one in columns if any("DICTIONARY" in name for name in one.encodings)),
            {
                "compression": columns[0].compression.lower(),
                "write_statistics": any(one.is_stats_set for one in columns),
                "store_schema": b"ARROW:schema" in (metadata.metadata or {}),
            },
        )

    @property
    def as_dictionaries(self) -> list[str]:
        """Columns that are best read as dictionaries: what is written of these is read back as text, as it was."""
        return [] if self.options["store_schema"] else [name for name in self.dictionaries if name != "person"]

    @contextmanager
    def writing(self, target: Path) -> Iterator[Callable[[pa.Table], None]]:
        """Yield what appends a table, of whatever length, to a file that is through to the disk when the block ends."""
        writer: pq.ParquetWriter | None = None

        def write(rows: pa.Table) -> None:
            nonlocal writer
            writer = writer or pq.ParquetWriter(
                file, rows.schema, use_dictionary=list(self.dictionaries), **self.options
            )
            writer.write_table(rows)

        with target.open("wb") as file:
            try:
                yield write
            finally:
                if writer is not None:
                    writer.close()
            file.flush()
            os.fsync(file.fileno())


def _prefixed(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {f"new {name}": column for name, column in columns.items()}


@contextmanager
def _readable_and_writable(path: Path) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as failure:  # which may quote a pseudonym
        raise StagingError(
            "staging must be readable Parquet, and its folder writable",
            value=f"{type(failure).__name__} on {path.name}",
            remedy="Check permissions and free space, or ingest the period again.",
        ) from None
