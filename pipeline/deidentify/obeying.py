"""What people asked for takes effect on staging: who is left out leaves it, and what was corrected is written anew.

The one rule of effect, for staging that was just made and for staging that is held. It sees pseudonyms and keys of
closed lists only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.deidentify.accounting import AT_REQUEST
from pipeline.deidentify.places import Place
from pipeline.deidentify.staging import (
    SourceCounts,
    Staging,
    StagingManifest,
    load_staging,
    place_of,
    sweep_drafts,
    write_manifest,
)
from pipeline.deidentify.tables import EVENTS, PERSONS, StagedFile, StagedTable, TableWriter, bucket_of
from pipeline.deidentify.tombstones import Effects
from pipeline.errors import StagingError
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

MEMORY_LIMIT: Final = "256MB"
MOST_ROWS_A_BATCH: Final = 250_000
# The rows of each table are counted under this source. Aliases are a second name of people, and counted nowhere.
SOURCES: Final = {
    (Population.VISITORS, EVENTS): "visitor logs",
    (Population.CUSTOMERS, PERSONS): "customers",
    (Population.CUSTOMERS, EVENTS): "orders",
}


def obey(place: Place, manifest: StagingManifest, effects: Effects) -> StagingManifest:
    """Write anew what changes of staging that is being made; a file in which nothing changes is not touched.

    Args:
        place: Of the period.
        manifest: Names the files that there are, and what they were made of.
        effects: By pseudonym of the period. Who is left out is not corrected; a correction of what is no column of a
            table is passed over there.

    Returns:
        The manifest of what there is then: it names new files in the place of those that changed, and counts the rows
        that went as left out at a person's request, by source.

    Raises:
        StagingError: A file cannot be read or written.
    """
    files, dropped = dict(manifest.files), Counter[str]()
    for name, held in manifest.files.items() if effects else ():
        table = StagedTable(name, place, manifest.buckets, held)
        with _readable_and_writable(name):
            files[name] = _after(table, effects)
        dropped[name] = table.rows - sum(file.rows for file in files[name])
    return _accounted(manifest, dropped).model_copy(update={"files": files})


def obey_held(staging: Staging, effects: Effects) -> bool:
    """The same for staging that is held, whose lock the caller holds; verdicts on what it was are of it no more.

    Whoever is killed in the middle leaves it as it was, or as it is to be, and files that ``settled`` sweeps.

    Returns:
        Whether anything changed.

    Raises:
        StagingError: A file cannot be read or written. Staging stays as it was.
    """
    try:
        manifest = obey(staging.place, staging.manifest, effects)
        if manifest != staging.manifest:
            with _readable_and_writable("the manifest"):
                write_manifest(staging.place, manifest)
    finally:
        sweep_drafts(staging.place)
    return manifest != staging.manifest


def settled(workspace: Workspace, population: Population, period: Period) -> Staging:
    """The staging of a period, whose lock the caller holds, after what killed runs left of it is swept.

    Raises:
        StagingError: There is none, or it is of another population or period.
    """
    sweep_drafts(place_of(workspace, population, period))
    return load_staging(workspace, population, period)


def _after(table: StagedTable, effects: Effects) -> tuple[StagedFile, ...]:
    """The files of a table when effects are in force: those of other people's buckets are not even opened."""
    change = _Change.of(effects, table.columns)
    concerned = {bucket_of(person, table.buckets) for person in change.effects.column("person").to_pylist()}
    files: list[StagedFile] = []
    for file in table.files:
        alone = replace(table, files=(file,))
        if file.bucket in concerned and change.touches(alone):
            files += change.written(alone)
        else:
            files.append(file)
    kept = [file for file in files if file.rows] or files[:1]  # an empty one tells which columns there are
    return tuple(kept)


def _accounted(manifest: StagingManifest, dropped: Mapping[str, int]) -> StagingManifest:
    counts = dict(manifest.sources)
    for table, rows in dropped.items():
        source = SOURCES.get((manifest.population, table))
        if rows and source in counts:
            counts[source] = _moved(counts[source], rows)
    return manifest.model_copy(update={"sources": counts})


def _moved(counts: SourceCounts, rows: int) -> SourceCounts:
    used = counts.used - rows
    left_out = counts.left_out | {AT_REQUEST: counts.left_out.get(AT_REQUEST, 0) + rows}
    return counts.model_copy(update={"used": used, "left_out": left_out, "carried": min(counts.carried, used)})


@dataclass(frozen=True)
class _Change:
    """What effects change in the files of one table.

    Attributes:
        effects: One row a person: ``person``, ``left_out``, and of each corrected column the key, NULL where it stays.
        corrected: Columns of the table that are corrected.
    """

    effects: pa.Table
    corrected: tuple[str, ...]

    @classmethod
    def of(cls, effects: Effects, columns: Sequence[str]) -> _Change:
        """The change in a table with these columns."""
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

    def touches(self, table: StagedTable) -> bool:
        """Whether any row of the table's files changes."""
        differs = ' OR "new {0}" IS NOT NULL AND "new {0}" <> coalesce("{0}", chr(0))'
        conditions = "left_out" + "".join(differs.format(name) for name in self.corrected)
        query = f"SELECT count(*) FROM read_parquet(?) AS held JOIN effects USING (person) WHERE {conditions}"
        with duckdb.connect(config={"temp_directory": "", "memory_limit": MEMORY_LIMIT}) as engine:
            table.place.attach(engine)
            engine.register("effects", self.effects)
            ((rows,),) = engine.execute(query, [table.paths()]).fetchall()
        return bool(rows)

    def written(self, table: StagedTable) -> list[StagedFile]:
        """Write a table's one file as it is then, in the same order and form."""
        (held,) = table.files
        with table.place.reading(table.path(held)) as opened:
            form = _Form.of(pq.read_metadata(opened))
            file = pq.ParquetFile(opened, read_dictionary=form.as_dictionaries)
            writer = TableWriter(table.place, table.name, table.buckets, **form.options)
            with writer.bucket(held.bucket) as new:
                for batch in file.iter_batches(form.rows):
                    new.write(self._applied(pa.table(batch)))
        return writer.files

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
        options: Of its writer; ``use_dictionary`` has the columns that were written by way of one.
    """

    rows: int
    options: Mapping[str, Any]

    @classmethod
    def of(cls, metadata: pq.FileMetaData) -> _Form:
        """Read it out of a file that has rows."""
        groups = map(metadata.row_group, range(metadata.num_row_groups))
        group = next(group for group in groups if group.num_rows)
        columns = [group.column(number) for number in range(metadata.num_columns)]
        return cls(
            min(group.num_rows, MOST_ROWS_A_BATCH),
            {
                "use_dictionary": [one.path_in_schema for one in columns if _has_dictionary(one)],
                "compression": columns[0].compression.lower(),
                "write_statistics": any(one.is_stats_set for one in columns),
                "store_schema": b"ARROW:schema" in (metadata.metadata or {}),
            },
        )

    @property
    def as_dictionaries(self) -> list[str]:
        """Columns that are best read as dictionaries: what is written of these is read back as text, as it was."""
        return (
            []
            if self.options["store_schema"]
            else [name for name in self.options["use_dictionary"] if name != "person"]
        )


def _has_dictionary(column: pq.ColumnChunkMetaData) -> bool:
    return any("DICTIONARY" in name for name in column.encodings)


def _prefixed(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {f"new {name}": column for name, column in columns.items()}


@contextmanager
def _readable_and_writable(name: str) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as failure:  # which may quote a pseudonym
        raise StagingError(
            "staging must be readable Parquet, and its place writable",
            value=f"{type(failure).__name__} on {name}",
            remedy="Check permissions and free space, or ingest the period again.",
        ) from None
