"""Errors find the request they came with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.deidentify.error_lines import ERRORS, FARTHEST_SECONDS, NO_ERROR, beside_requests

SECOND = 1_000_000


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """Requests of address 7 at 10 and 100 seconds, twice at 200, and of address 8 at 100 seconds."""
    rows = {
        "_address": pa.array([7, 7, 7, 7, 8], pa.uint64()),
        "_moment": [10 * SECOND, 100 * SECOND, 200 * SECOND, 200 * SECOND, 100 * SECOND],
        "_number": [1, 2, 4, 3, 5],
    }
    pq.write_table(pa.table(rows), tmp_path / "draft.parquet")
    return tmp_path / "draft.parquet"


@dataclass(frozen=True)
class Told:
    """Of all requests, one after the other."""

    level: np.ndarray
    kind: np.ndarray
    told: int


def found(draft: Path, *errors: tuple[int, float, int, int]) -> Told:
    """Of (address, seconds, level, kind)."""
    columns = list(zip(*errors, strict=True)) if errors else [()] * 4
    moments = [round(seconds * SECOND) for seconds in columns[1]]
    table = pa.table([columns[0], moments, columns[2], columns[3]], schema=ERRORS)
    with duckdb.connect() as engine:
        errors_of = beside_requests(engine, table, {str(draft): 0})
    return Told(*errors_of.of(np.arange(5)), errors_of.told)


def test_an_error_is_told_of_the_nearest_request_of_its_address(draft: Path) -> None:
    errors = found(draft, (7, 96, 3, 1), (7, 13, 2, 5))
    assert errors.level.tolist() == [2, 3, NO_ERROR, NO_ERROR, NO_ERROR]
    assert errors.kind.tolist() == [5, 1, NO_ERROR, NO_ERROR, NO_ERROR]
    assert errors.told == 2


def test_an_error_of_another_address_or_too_far_from_any_request_is_told_of_none(draft: Path) -> None:
    errors = found(draft, (9, 100, 3, 1), (7, 200 + FARTHEST_SECONDS + 1, 3, 1))
    assert set(errors.level.tolist()) == {NO_ERROR}
    assert errors.told == 0


def test_an_error_at_the_farthest_distance_counts(draft: Path) -> None:
    assert found(draft, (8, 100 - FARTHEST_SECONDS, 3, 1)).told == 1


def test_of_two_equally_near_requests_the_later_has_the_error(draft: Path) -> None:
    assert found(draft, (7, 55, 3, 1)).level.tolist().index(3) == 1


def test_of_several_errors_of_a_request_the_worst_counts_and_all_are_told(draft: Path) -> None:
    errors = found(draft, (8, 100, 4, 6), (8, 101, 2, 3), (8, 99, 3, 0))
    assert (errors.level[4], errors.kind[4], errors.told) == (2, 3, 3)


def test_of_requests_of_one_moment_the_first_line_has_the_error(draft: Path) -> None:
    assert found(draft, (7, 200, 3, 1)).level.tolist() == [NO_ERROR, NO_ERROR, NO_ERROR, 3, NO_ERROR]


def test_without_errors_nothing_is_told(draft: Path) -> None:
    assert found(draft).told == 0
