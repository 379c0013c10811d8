"""Small staging for tests: put in place as the program does it, and read back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from pipeline.deidentify.places import Folder, Place
from pipeline.deidentify.staging import SourceCounts, Staging, StagingManifest, write_manifest
from pipeline.deidentify.tables import StagedFile, StagedTable, TableWriter
from pipeline.periods import Period
from pipeline.vocabulary import Population


def put_table(place: Place, name: str, rows: pa.Table, buckets: int = 1, **options: Any) -> tuple[StagedFile, ...]:
    """The files of a table of a period; in one bucket may be whoever is no pseudonym."""
    writer = TableWriter(place, name, buckets, **options)
    if buckets == 1:
        with writer.bucket(0) as file:
            file.write(rows)
    else:
        with writer.in_order(rows.schema) as write:
            write(rows.sort_by("person"))
    return tuple(writer.files)


def put_staging(
    place: Place,
    who: tuple[Population, Period],
    tables: Mapping[str, pa.Table],
    used: Mapping[str, int],
    buckets: int = 1,
) -> Staging:
    """Staging of these tables, of sources of which so many lines were used."""
    files = {name: put_table(place, name, rows, buckets) for name, rows in tables.items()}
    sources = {name: SourceCounts(read=lines, used=lines, left_out={}, rejected={}) for name, lines in used.items()}
    population, period = who
    manifest = StagingManifest(population=population, period=str(period), sources=sources, buckets=buckets, files=files)
    write_manifest(place, manifest)
    return Staging(population, period, place, manifest)


def folder_of(staging: Staging) -> Path:
    """Of staging in a folder of the site."""
    assert isinstance(staging.place, Folder)
    return staging.place.path


def file_of(table: StagedTable | None) -> Path:
    """The one file of a table in a folder."""
    assert table is not None
    (path,) = table.paths()
    return Path(path)


def rows_of(table: StagedTable | None) -> list[dict[str, Any]]:
    """All rows of a table."""
    assert table is not None
    rows: list[dict[str, Any]] = table.read().to_pylist()
    return rows


def frame_of(table: StagedTable | None) -> pd.DataFrame:
    """The same as a frame."""
    assert table is not None
    frame: pd.DataFrame = table.read().to_pandas()
    return frame


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, also inside of others, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
