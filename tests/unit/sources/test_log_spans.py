"""A large file is cut at ends of lines: its spans hold its lines, each once, with the numbers that they have in it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.site import LogSource
from pipeline.sources import blocks
from pipeline.sources.blocks import cut, first_lines, read_blocks
from pipeline.sources.places import LogFile
from tests.log_files import log_of, written

LINES = b"".join(b"%d some line of a log\n" % number for number in range(5_000))


def numbered(log: LogFile, *spans: blocks.Span | None) -> list[tuple[str, int]]:
    tables = [block.lines for span in spans for block in read_blocks(log, lambda _: None, span)]
    return [pair for table in tables for pair in zip(*table.to_pydict().values(), strict=True)]


@pytest.mark.parametrize("number", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "whole",
    [LINES, LINES[:-1], LINES.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + LINES, LINES + b"\n\r\n\n", b"\n\n" + LINES],
    ids=["lines", "without a last line feed", "CRLF", "byte order mark", "blank at the end", "blank at the start"],
)
def test_spans_hold_the_lines_of_the_file(tmp_path: Path, whole: bytes, number: int) -> None:
    log = log_of(written(tmp_path / "a.log", whole))
    told: list[bytes] = []
    spans = cut(log, number, told.append)
    assert len(spans) == number
    assert b"".join(told) == whole
    assert numbered(log, *spans) == numbered(log, None)
    lengths = [span.stop - span.start for span in spans]
    assert max(lengths) - min(lengths) < 100


def test_a_line_longer_than_a_span_is_in_one(tmp_path: Path) -> None:
    log = log_of(written(tmp_path / "a.log", b"one\n" + b"x" * 10_000 + b"\ntwo\nthree\n"))
    spans = cut(log, 8, lambda _: None)
    assert [(span.start, span.first) for span in spans] == [(0, 1), (10_005, 3)]
    assert numbered(log, *spans) == numbered(log, None)


def test_what_a_file_has_grown_by_since_is_in_no_span(tmp_path: Path) -> None:
    path = written(tmp_path / "a.log", LINES)
    log = log_of(path)
    before = numbered(log, None)
    path.write_bytes(LINES + b"more\n")
    assert numbered(log, *cut(log, 3, lambda _: None)) == before


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([b"\n", b"\r\n", b"a", b"bb", b"\xff", b"x" * 30]), min_size=1), st.integers(1, 9))
def test_any_file_is_cut_without_losing_a_line(pieces: list[bytes], number: int) -> None:
    whole = b"".join([*pieces, b"end"])
    log = LogFile("a", LogSource(paths=("a",)), len(whole), "a", lambda _span: io.BufferedReader(io.BytesIO(whole)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "PIECE_BYTES", 64)
        assert numbered(log, *cut(log, number, lambda _: None)) == numbered(log, None)


def test_the_first_lines_are_those_of_the_first_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "PIECE_BYTES", 1_000)
    log = log_of(written(tmp_path / "a.log", b"\xef\xbb\xbf" + LINES))
    (block,) = read_blocks(log, lambda _: None)
    found = first_lines(log, 1_000)
    assert 1_000 <= found.num_rows < 1_100
    assert found.slice(0, 1_000).to_pydict() == block.lines.slice(0, 1_000).to_pydict()
    assert first_lines(log, 1_000_000).num_rows == 5_000
