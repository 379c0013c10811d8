"""Each content is read once, whatever its files are called and however they are packed."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SourceError
from pipeline.site import ErrorLogSource
from pipeline.sources import blocks, heads
from pipeline.sources.heads import PrefixDigest
from pipeline.sources.logs import Intake, LogContent, LogFile, find_logs
from tests.log_files import log_of, readers, written

SMALL = b"one\ntwo\nthree\n"
LARGE = b"".join(b"%d some line of a log that is a little longer\n" % number for number in range(20_000))


def content(whole: bytes) -> LogContent:
    return LogContent(hashlib.sha256(whole).hexdigest(), len(whole), len(whole.rstrip(b"\r\n").split(b"\n")))


def logs_in(folder: Path, **files: bytes) -> list[LogFile]:
    """Files by name; a dot is written as two underscores."""
    return [log_of(written(folder / name.replace("__", "."), whole)) for name, whole in files.items()]


def read(files: Sequence[LogFile], earlier: Sequence[LogContent] = ()) -> tuple[Intake, list[str], int]:
    """What is left after an intake: itself, names of the files that were read, and the number of lines."""
    intake = Intake(files, earlier)
    names, lines = [], 0
    for log in intake:
        names.append(log.file.label)
        lines += sum(table.num_rows for table in log.blocks)
    return intake, names, lines


@pytest.mark.parametrize("whole", [SMALL, LARGE], ids=["small", "large"])
def test_a_copy_is_left_out_however_it_is_packed(tmp_path: Path, whole: bytes) -> None:
    files = logs_in(tmp_path, a=whole, b=whole, c__gz=gzip.compress(whole), d__bz2=bz2.compress(whole))
    intake, names, lines = read(files)
    assert (names, lines, intake.copies) == (["a"], whole.count(b"\n"), 3)
    assert intake.contents == (content(whole),)


@pytest.mark.parametrize("whole", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("packed", ["none", "older", "newer", "both"])
def test_a_log_that_has_grown_is_read_and_its_older_copies_are_not(tmp_path: Path, whole: bytes, packed: str) -> None:
    grown = whole + LARGE[-400:]
    older = gzip.compress(whole) if packed in ("older", "both") else whole
    newer = gzip.compress(grown) if packed in ("newer", "both") else grown
    intake, names, lines = read(logs_in(tmp_path, a=older, b=newer, c=older))
    assert (names, lines, intake.copies) == (["b"], grown.count(b"\n"), 2)
    assert intake.contents == (content(grown),)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 1000, 1024, 65_535, 65_536, 65_537, 131_072])
def test_a_beginning_of_any_length_is_a_copy(tmp_path: Path, length: int) -> None:
    intake, names, _ = read(logs_in(tmp_path, a=LARGE[:length], b=LARGE))
    assert (names, intake.copies) == (["b"], 1)


@pytest.mark.parametrize("at", [0, 63, 64, 65_535, 65_536, 65_537, 300_000])
def test_files_that_differ_in_one_byte_are_both_read(tmp_path: Path, at: int) -> None:
    other = bytearray(LARGE[:400_000])
    other[at] = ord("x")
    intake, names, _ = read(logs_in(tmp_path, a=bytes(other), b=LARGE, c__gz=gzip.compress(bytes(other))))
    assert (sorted(names), intake.copies) == (["a", "b"], 1)
    assert set(intake.contents) == {content(bytes(other)), content(LARGE)}


def test_files_that_begin_alike_and_go_on_differently_are_all_read(tmp_path: Path) -> None:
    head = LARGE[:200_000]
    files = logs_in(tmp_path, a=head + b"a\n", b=head + b"bb\n", c=head, d=head[:100] + b"d\n", e=head[:90])
    intake, names, _ = read(files)
    assert (sorted(names), intake.copies) == (["a", "b", "d"], 2)


def test_files_that_overlap_otherwise_are_read_whole(tmp_path: Path) -> None:
    _, names, lines = read(logs_in(tmp_path, a=b"one\ntwo\n", b=b"two\nthree\n"))
    assert (sorted(names), lines) == (["a", "b"], 4)


def test_files_that_are_no_copies_keep_their_order(tmp_path: Path) -> None:
    files = logs_in(tmp_path, a=b"a" + LARGE[:70_000], b=b"b" + LARGE, c=b"c" + LARGE[:80_000])
    assert read(files)[1] == ["a", "b", "c"]


def test_empty_files_and_blank_ones_are_no_content(tmp_path: Path) -> None:
    files = logs_in(tmp_path, a=b"", b=b"\n\r\n", c=b"\xef\xbb\xbf\n", d__gz=gzip.compress(b""), e=SMALL)
    intake, names, _ = read(files)
    assert (names, intake.copies, intake.contents) == (["e"], 0, (content(SMALL),))


def test_a_large_file_of_blank_lines_is_no_content(tmp_path: Path) -> None:
    intake, _, lines = read(logs_in(tmp_path, a=b"\n" * 100_000, b=SMALL))
    assert (intake.contents, lines) == ((content(SMALL),), 3)


def test_blank_lines_at_the_end_are_of_the_content_but_no_lines(tmp_path: Path) -> None:
    intake, _, _ = read(logs_in(tmp_path, a=SMALL + b"\n\n"))
    assert intake.contents == (LogContent(hashlib.sha256(SMALL + b"\n\n").hexdigest(), len(SMALL) + 2, 3),)


def test_error_logs_may_be_empty_and_visitor_logs_may_not(tmp_path: Path) -> None:
    written(tmp_path / "a.log", b"\n")
    intake, names, _ = read(find_logs([ErrorLogSource(paths=("a.log",))], tmp_path))
    assert (names, intake.contents) == ([], ())
    with pytest.raises(SourceError, match="at least one line"):
        read([log_of(tmp_path / "a.log")])


# Beside an earlier run


def test_what_an_earlier_run_read_is_found_again_in_a_log_that_has_grown(tmp_path: Path) -> None:
    for whole in (SMALL, LARGE):
        grown = whole + b"more\n"
        earlier = [content(whole), content(grown), content(whole[:5])]
        intake, _, _ = read(logs_in(tmp_path, a=grown), earlier)
        assert intake.gone == ()


def test_what_no_file_begins_with_is_gone(tmp_path: Path) -> None:
    earlier = [content(SMALL + b"more\n"), content(SMALL), content(b"one\nTWO\n"), content(LARGE)]
    intake, _, _ = read(logs_in(tmp_path, a=SMALL), earlier)
    assert intake.gone == (earlier[0], earlier[2], earlier[3])


def test_an_earlier_last_line_may_have_been_completed_since(tmp_path: Path) -> None:
    intake, _, _ = read(logs_in(tmp_path, a=SMALL), [content(b"one\ntw")])
    assert intake.gone == ()


def test_an_earlier_content_whose_file_is_a_copy_now_is_not_gone(tmp_path: Path) -> None:
    files = logs_in(tmp_path, a=LARGE[:100_000], b=LARGE)
    intake, names, _ = read(files, [content(LARGE[:100_000])])
    assert (names, intake.gone) == (["b"], ())


def test_an_earlier_content_is_found_under_another_name_and_packed(tmp_path: Path) -> None:
    intake, _, _ = read(logs_in(tmp_path, other__gz=gzip.compress(LARGE)), [content(LARGE)])
    assert intake.gone == ()


def test_an_intake_begins_anew_each_time(tmp_path: Path) -> None:
    intake = Intake(logs_in(tmp_path, a=SMALL, b=SMALL), [content(SMALL)])
    for _ in range(2):
        assert [log.file.label for log in intake] == ["a"]
        assert (intake.contents, intake.copies, intake.gone) == ((content(SMALL),), 1, ())


# How it is read


def test_lines_that_the_caller_left_are_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_LINES", 100)
    intake = Intake(logs_in(tmp_path, a=LARGE, b=SMALL))
    for log in intake:
        next(log.blocks)
    assert set(intake.contents) == {content(LARGE), content(SMALL)}


def test_a_content_that_was_not_read_to_its_end_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_LINES", 100)
    intake = Intake(logs_in(tmp_path, a=LARGE, b=SMALL))
    for log in intake:
        if log.file.label == "a":
            next(log.blocks)
            log.blocks.close()
    assert intake.contents == (content(SMALL),)


def test_to_stop_early_leaves_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_LINES", 100)
    for log in Intake(logs_in(tmp_path, a=LARGE, b=SMALL)):
        next(log.blocks)
        assert readers() != []
        break
    assert readers() == []


def test_a_file_that_cannot_be_read_stops_with_its_name_and_leaves_no_thread(tmp_path: Path) -> None:
    files = logs_in(tmp_path, a=SMALL, b=LARGE)
    (tmp_path / "b").unlink()
    with pytest.raises(SourceError, match=r"must be readable, got b"):
        read(files)
    assert readers() == []


def test_a_file_of_which_nothing_is_like_it_is_read_once_but_for_its_head(tmp_path: Path) -> None:
    files = [counted(log) for log in logs_in(tmp_path, a=LARGE, b=b"b" + LARGE, c=SMALL)]
    read([log for log, _ in files])
    assert [len(opened) for _, opened in files] == [2, 2, 2]


def test_of_plain_files_like_each_other_the_longest_is_not_read_to_compare(tmp_path: Path) -> None:
    files = [counted(log) for log in logs_in(tmp_path, a=LARGE[:300_000], b=LARGE)]
    read([log for log, _ in files])
    assert [len(opened) for _, opened in files] == [2, 2]  # head and comparison; head and reading


def counted(log: LogFile) -> tuple[LogFile, list[int]]:
    """The same file, and a list that grows each time it is opened."""
    opened: list[int] = []

    def opener(span: int) -> io.BufferedReader:
        opened.append(span)
        return log.opener(span)

    return LogFile(log.label, log.source, log.size, log.identity, opener), opened


def test_progress_goes_on_to_the_bytes_of_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 10_000)
    monkeypatch.setattr(blocks, "PIECE_BYTES", 10_000)
    told: list[tuple[int, int | None]] = []
    files = logs_in(tmp_path, a=LARGE, b__gz=gzip.compress(LARGE), c=SMALL)

    def progress(what: str, done: int, total: int | None) -> None:
        if what == "reading visitor logs":
            told.append((done, total))

    for log in Intake(files, progress=progress):
        list(log.blocks)
    total = sum(log.size for log in files)
    assert told[-1] == (total, total)
    assert {whole for _, whole in told} == {total}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) > 50


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=2000), st.lists(st.integers(0, 2100)), st.integers(1, 300))
def test_digests_of_beginnings_are_those_of_the_bytes(whole: bytes, lengths: list[int], piece: int) -> None:
    digest = PrefixDigest(lengths)
    for start in range(0, len(whole), piece):
        digest.update(whole[start : start + piece])
    reached = {length for length in lengths if 0 < length <= len(whole)} | {len(whole)}
    assert {n: sha for n, sha in digest.finish().items() if n or not whole} == {
        length: hashlib.sha256(whole[:length]).hexdigest() for length in reached
    }


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_mixture_of_copies_is_read_once(tmp_path_factory: pytest.TempPathFactory, chance: random.Random) -> None:
    folder = tmp_path_factory.mktemp("mixture")
    wholes, files = mixture(folder, chance)
    intake, _, _ = read(files, [content(whole) for whole in wholes])
    distinct = {whole for whole in wholes if not any(o != whole and o.startswith(whole) for o in wholes)}
    assert {found.sha256 for found in intake.contents} == {content(whole).sha256 for whole in distinct}
    assert len(intake.contents) == len(distinct) == len(wholes) - intake.copies
    assert intake.gone == ()


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_families_are_read_apart_from_each_other(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random
) -> None:
    _, files = mixture(tmp_path_factory.mktemp("families"), chance)
    sets = heads.families(files, heads.heads_of(files))
    assert sorted(place for places in sets for place in places) == list(range(len(files)))
    assert sets == sorted(sorted(places) for places in sets)
    apart = [one for places in sets for one in read([files[place] for place in places])[0].contents]
    assert Counter(apart) == Counter(read(files)[0].contents)


def test_files_that_only_begin_alike_are_families_of_their_own(tmp_path: Path) -> None:
    head = b"#Version: 1.0\n#Fields: date time c-ip\n" * 30  # as files of one server do
    files = logs_in(tmp_path, a=head + b"a\n" * 9, b=head + b"b\n" * 20, c=head, d=head + LARGE, e=b"1", f=b"\n")
    assert heads.families(files, heads.heads_of(files)) == [[0, 1, 2, 3], [4]]
    assert heads.families(files[:2], heads.heads_of(files[:2])) == [[0], [1]]


def test_a_file_that_begins_otherwise_than_it_was_found_is_refused(tmp_path: Path) -> None:
    (log,) = logs_in(tmp_path, a=LARGE)
    (head,) = heads.heads_of([log])
    found = replace(log, begins=head.longest)
    written(tmp_path / "a", LARGE + b"grown\n")
    assert read([found])[1] == ["a"]
    written(tmp_path / "a", b"x" + LARGE)
    with pytest.raises(SourceError, match="must not be rotated or cut"):
        read([found])


def mixture(folder: Path, chance: random.Random) -> tuple[list[bytes], list[LogFile]]:
    """Files that begin alike, are copies, beginnings and packed; and what they hold."""
    trunk = b"".join(b"%d\n" % number for number in range(40_000))
    sizes = [50, 700, 65_535, 65_536, 65_537, 90_000, 120_000]
    wholes = []
    for _ in range(chance.randint(1, 7)):
        whole = trunk[: chance.choice(sizes) + chance.randint(-1, 1)]
        if chance.random() < 0.4:
            whole = whole[: chance.choice([10, 60, 65_536, 80_000])] + b"-branch %d\n" % chance.randint(0, 1)
        wholes.append(whole)
    packed = [gzip.compress(whole) if chance.random() < 0.5 else whole for whole in wholes]
    files = [log_of(written(folder / f"{place}.log", whole)) for place, whole in enumerate(packed)]
    return wholes, files


def test_the_head_is_as_long_as_the_last_mark() -> None:
    assert max(heads._MARKS) == heads.HEAD_BYTES
