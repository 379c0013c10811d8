"""A draft of requests becomes staging, bucket by bucket of people."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.deidentify import drafts
from pipeline.deidentify.drafts import appending, write_events
from pipeline.deidentify.error_lines import ERRORS
from tests.builders import pseudonym

SECOND = 1_000_000
SECTIONS = ("home", "docs", "other")


def draft_of(folder: Path, people: int) -> Path:
    """Everybody goes from home to docs, and comes back to home after an hour; the lines of all are mixed."""
    rows = [
        (pseudonym(person), section, seconds * SECOND + person, person * 3 + place)
        for place, (seconds, section) in enumerate(((0, 0), (60, 1), (3_700, 0)))
        for person in range(people)
    ]
    person, section, moment, number = zip(*rows, strict=True)
    with appending(folder / "draft.parquet", "none") as write:
        write(
            pa.table(
                {
                    "person": person,
                    "section": [SECTIONS[code] for code in section],
                    "_moment": moment,
                    "_number": pa.array(number, pa.int32()),
                    "_section": pa.array(section, pa.int16()),
                    "_viewed": [True] * len(rows),
                    "_address": pa.array([7] * len(rows), pa.uint64()),
                }
            )
        )
    return folder / "draft.parquet"


def written(folder: Path, people: int, errors: pa.Table | None = None) -> pa.Table:
    write_events(draft_of(folder, people), folder / "events.parquet", SECTIONS, errors)
    return pq.read_table(folder / "events.parquet")


def test_visits_are_the_same_in_one_bucket_and_in_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written(tmp_path, 40)
    monkeypatch.setattr(drafts, "ROWS_A_BUCKET", 9)
    monkeypatch.setattr(drafts, "ROWS_A_GROUP", 7)
    assert written(tmp_path, 40).equals(whole)
    assert whole.column("visits").to_pylist() == [1] * 40 + [0] * 40 + [1] * 40
    assert whole.column("to_section").to_pylist() == [None] * 40 + ["docs"] * 40 + [None] * 40


def test_the_draft_is_gone_and_nothing_of_it_but_staging_is_left(tmp_path: Path) -> None:
    table = written(tmp_path, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["events.parquet"]
    assert not [name for name in table.schema.names if name.startswith("_")]


def test_errors_have_columns_only_where_there_are_error_logs(tmp_path: Path) -> None:
    assert "error_level" not in written(tmp_path, 1).schema.names
    errors = pa.table([[7], [61 * SECOND], [3], [0]], schema=ERRORS)
    table = written(tmp_path, 1, errors)
    assert table.column("error_level").to_pylist() == [None, "error", None]
    assert table.column("error_kind").to_pylist() == [None, "not found", None]


def test_without_any_request_there_is_no_draft(tmp_path: Path) -> None:
    with appending(tmp_path / "draft.parquet", "none") as write:
        write(pa.table({"person": pa.array([], pa.string())}))
    assert list(tmp_path.iterdir()) == []
