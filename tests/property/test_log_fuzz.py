"""Spoiled lines of every format: as many rows come back as lines went in, and nothing comes out but closed values.

``make fuzz`` does the same for a million lines, guided by coverage; here, some hundred thousand lines are chosen
the same way each time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipeline.site import CsvSource, LogSource
from pipeline.sources.delimited import MAX_RECORD_LINES
from pipeline.sources.engine import memory_engine
from pipeline.sources.formats import open_format
from tests.fuzz import targets
from tests.fuzz.checks import CLOSED, LABEL, OPEN, LineChecks, blocks_of
from tests.fuzz.corpus import COOKIE, KINDS, Kind

# The checks find the fewest lines that fail themselves, faster.
fuzzing = settings(deadline=None, derandomize=True, phases=[Phase.generate])
LINES = 5_000  # of a block: three for each kind

own_bytes = st.lists(st.one_of(st.binary(max_size=30), st.text(max_size=15).map(str.encode)), max_size=8).map(
    b"\n".join
)
chances = st.integers(0, 2**32).map(random.Random)


@pytest.fixture(scope="module")
def engines() -> Iterator[list[duckdb.DuckDBPyConnection]]:
    with ExitStack() as stack:
        yield [stack.enter_context(memory_engine("lines")) for _ in range(3)]


@pytest.fixture(scope="module")
def checks(engines: list[duckdb.DuckDBPyConnection]) -> list[LineChecks]:
    return [LineChecks(engine, options) for engine, options in zip(engines, (CLOSED, OPEN), strict=False)]


def text_of(kind: Kind) -> bytes:
    return "\n".join((*kind.head, *kind.lines)).encode() + b"\n"


each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@each_kind
def test_lines_as_they_should_be_are_read(kind: Kind, checks: list[LineChecks]) -> None:
    for check in checks:
        found = check.requests(kind, text_of(kind))
        assert (found.read, found.rejected) == (len(kind.head) + len(kind.lines), {})
        assert set(found.left_out) <= {"directive", "internal", "bot"}
        assert found.left_out.get("directive", 0) == len(kind.head)
        assert found.used >= 3


@each_kind
def test_a_cookie_is_in_no_field_that_is_read(kind: Kind, engines: list[duckdb.DuckDBPyConnection]) -> None:
    source = LogSource(paths=(LABEL,), **kind.source)
    (lines,) = blocks_of(text_of(kind), source)
    for part, fields in open_format(source, targets.UTC, lines).parts(lines):
        engines[2].register("lines", part)
        assert COOKIE not in str(engines[2].sql(fields).to_arrow_table().to_pylist())


@each_kind
@settings(fuzzing, max_examples=3)
@given(chance=chances, own=own_bytes)
def test_every_line_of_every_format_ends_in_one_place(
    kind: Kind, checks: list[LineChecks], chance: random.Random, own: bytes
) -> None:
    assert targets.line_target(checks, kind, LINES)(chance, own) >= LINES


@settings(fuzzing, max_examples=3)
@given(chance=chances, own=own_bytes)
def test_every_line_of_an_error_log_ends_in_one_place(
    checks: list[LineChecks], chance: random.Random, own: bytes
) -> None:
    assert targets.error_target(checks[0], LINES)(chance, own) >= LINES


@settings(fuzzing, max_examples=4)
@given(chance=chances, own=own_bytes)
def test_lines_of_w3c_may_say_anything_of_their_fields(
    checks: list[LineChecks], chance: random.Random, own: bytes
) -> None:
    targets.directive_target(checks[1])(chance, own)


@settings(fuzzing, max_examples=60)
@given(chance=chances, own=own_bytes)
def test_strings_of_formats_compile_or_are_refused(
    engines: list[duckdb.DuckDBPyConnection], chance: random.Random, own: bytes
) -> None:
    targets.declaration_target(engines[2])(chance, own)


@settings(fuzzing, max_examples=60)
@given(chance=chances, own=own_bytes)
def test_a_packed_file_has_the_right_lines_or_is_refused(chance: random.Random, own: bytes) -> None:
    targets.packing_target(chance, own)


@settings(fuzzing, max_examples=5)
@given(chance=chances, own=own_bytes)
def test_a_look_up_has_one_row_a_value(chance: random.Random, own: bytes) -> None:
    targets.look_up_target(chance, own)


@settings(fuzzing, max_examples=60)
@given(chance=chances, own=own_bytes)
def test_every_row_of_a_table_is_read_or_rejected(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random, own: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    targets.csv_target(folder)(chance, own)


@pytest.mark.parametrize("spoiled", ['a;b";"c', 'x";"y;z', '";";x"'])
def test_a_quote_that_is_left_open_takes_no_other_records_with_it(tmp_path: Path, spoiled: str) -> None:
    source = CsvSource(kind="csv", path="x.csv", delimiter=";")
    targets.csv_lines(source, tmp_path, f"{spoiled}\n".encode() + b"a;b;c\n" * (3 * MAX_RECORD_LINES))
