"""The drop folder: each line kept once, each file removed, whatever is in it."""

from __future__ import annotations

import csv
import datetime as dt
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError, SourceError
from pipeline.rights import inbox
from pipeline.rights.collecting import collect
from pipeline.rights.inbox import collect_inbox
from pipeline.rights.intake import Collected
from pipeline.rights.requests import RequestKind
from pipeline.rights.store import Origin, RequestRow, RequestStore, State
from pipeline.workspace import Workspace
from tests.hostile_texts import HOSTILE
from tests.unit.rights.asking import ADDRESS, AGENT, CUSTOMER, EMAIL, open_store, sealed_rows, site, write_site

SITE = site()
NAME = "jane roe's erasure.csv"
HEADER = "request,population,customer,email,address,agent,since,until,set,received\n"
LINES = (
    f"erase,customers,{CUSTOMER},,,,,,,\n"
    f'opt-out,visitors,,,{ADDRESS},"{AGENT}",2026-10-01,,,2026-10-05T10:00\n'
    f"correct,customers,,{EMAIL},,,,,country=AT; plan=basic,\n"
)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    found = write_site(tmp_path / "home", monkeypatch)
    found.inbox.mkdir(mode=0o700)
    return found


def with_key(workspace: Workspace) -> Workspace:
    assert open_store(workspace).key
    return workspace


def drop(workspace: Workspace, content: str | bytes, name: str = NAME) -> Path:
    path = workspace.inbox / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def collected(workspace: Workspace, store: RequestStore | None = None) -> Collected:
    return collect_inbox(store or open_store(workspace), workspace, SITE, now(), settled=0)


def left(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in workspace.inbox.iterdir())


def rows(workspace: Workspace) -> tuple[RequestRow, ...]:
    return open_store(workspace).rows()


def reasons(workspace: Workspace) -> list[str]:
    return [row.reason for row in rows(workspace)]


def test_each_line_is_a_request_and_the_file_is_gone(workspace: Workspace) -> None:
    drop(workspace, HEADER + LINES)
    assert collected(workspace) == Collected(received=3)
    assert left(workspace) == []
    store = open_store(workspace)
    requests = {row.kind: store.unseal(row) for row in store.open_requests()}
    assert requests["erase"].customer == CUSTOMER
    assert requests["correct"].values == {"country": "AT", "plan": "basic"}
    assert (requests["opt-out"].address, requests["opt-out"].agent) == (ADDRESS, AGENT)
    assert requests["opt-out"].received == dt.datetime(2026, 10, 5, 8, tzinfo=dt.UTC)
    assert {row.origin for row in store.rows()} == {Origin.DROP_FOLDER}


def test_a_request_was_received_when_its_file_was_written(workspace: Workspace) -> None:
    path = drop(workspace, HEADER + LINES + "erase,customers\n")
    os.utime(path, (time.time(), time.time() - 40 * 3600))
    collected(workspace)
    ages = [now() - row.received for row in rows(workspace) if row.kind != RequestKind.OPT_OUT]
    assert all(dt.timedelta(hours=39) < age < dt.timedelta(hours=41) for age in ages)
    assert len(ages) == 3


def test_a_file_of_tomorrow_was_received_now(workspace: Workspace) -> None:
    path = drop(workspace, HEADER + LINES)
    os.utime(path, (time.time(), time.time() + 80_000))
    assert collected(workspace).received == 3
    assert max(row.received for row in rows(workspace)) <= now()


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_files_of_spreadsheet_programs_are_read(workspace: Workspace, end: str) -> None:
    lines = (
        "Population;Request ;set;email",
        "customers;erase;;a@b.example",
        ";;;",
        'customers;correct;"country=AT";c@d.example',
    )
    drop(workspace, b"\xef\xbb\xbf" + end.join(lines).encode())
    assert collected(workspace) == Collected(received=2)


@pytest.fixture(params=[131_072, 1 << 30])
def field_limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """The limit of the csv module, and one that a library has raised for the whole process."""
    before = csv.field_size_limit(request.param)
    yield
    csv.field_size_limit(before)


@pytest.mark.usefixtures("field_limit")
def test_a_line_that_cannot_be_used_takes_no_other_with_it(workspace: Workspace) -> None:
    bad = (
        f'erase,customers,"{CUSTOMER},,,,,,,\n',  # a quote that is never closed
        f"erase,customers,{CUSTOMER}\n",
        f"forget,customers,{CUSTOMER},,,,,,,\n",
        f"erase,customers,,{EMAIL}\x1b[31m,,,,,,\n",
        f'erase,customers,"{"9" * 200_000}",,,,,,,\n',
    )
    drop(workspace, HEADER + bad[0] + LINES + "".join(bad[1:]) + "\n\n")
    assert collected(workspace) == Collected(received=3, refused=5)
    refused = sorted(row.reason.split(": ", 1) for row in rows(workspace) if row.state is State.REFUSED)
    places = [place.partition(", ")[2] for place, _ in refused]
    assert places == ["line 2", "line 6", "line 7", "line 8", "line 9"]
    assert len({place[:13] for place, _ in refused}) == 1  # one file
    assert [reason for _, reason in refused] == [
        "it must have quotes that are closed",
        "it must have as many values as the header",
        "request must be one of access, correct, erase, opt-out",
        "email must be one line without control characters",
        "it must have 100,000 characters at most",
    ]
    assert len(sealed_rows(workspace)) == 8
    assert not [text for text in (CUSTOMER, EMAIL, "jane") for row in rows(workspace) if text in repr(row)]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "header"),
        (b"\n\n", "header"),
        (LINES.encode(), "header"),
        (HEADER.replace("since", "sinse").encode(), "header"),
        (HEADER.replace("until", "since").encode(), "header"),
        (b"customer,email\n1,2\n", "header"),
        (b'"request,population\nerase', "header"),
        ((HEADER + "erase,customers,M\u00fcller").encode("latin-1"), "UTF-8"),
        ((HEADER + LINES).encode("utf-16"), "UTF-8"),
        ((HEADER + LINES).encode() + b"\0", "NUL"),
        (HEADER.encode() + b"x" * (10 << 20), "10 MB"),
    ],
)
def test_a_file_that_cannot_be_read_is_kept_sealed_as_one(workspace: Workspace, content: bytes, rule: str) -> None:
    drop(workspace, content)
    assert collected(workspace) == Collected(refused=1)
    assert left(workspace) == []
    (row,) = rows(workspace)
    assert rule in row.reason
    assert row.waits
    store = open_store(workspace)
    assert store.key.open(sealed_rows(workspace)[0]) == b"B" + content


def _link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_text(HEADER + LINES)
    path.symlink_to(target)


@pytest.mark.parametrize("make", [_link, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_plain_file_is_told_of_and_not_read(workspace: Workspace, make: Callable[[Path], None]) -> None:
    make(workspace.inbox / NAME)
    assert collected(workspace) == Collected(refused=1)
    assert [name for name in left(workspace) if name != "elsewhere"] == []
    assert "plain file" in reasons(workspace)[0]


def test_a_folder_is_told_of_once_and_stays(workspace: Workspace) -> None:
    (workspace.inbox / NAME).mkdir()
    assert collected(workspace) == Collected(refused=1)
    assert collected(workspace) == Collected(again=1)
    assert left(workspace) == [NAME]


def test_a_file_too_big_for_a_database_is_told_of_once_and_stays(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "LARGEST_KEPT", 100)
    drop(workspace, HEADER + LINES)
    assert collected(workspace) == Collected(refused=1)
    assert collected(workspace) == Collected(again=1)
    assert left(workspace) == [NAME]
    assert "split it" in reasons(workspace)[0]


def test_files_that_are_being_written_are_left_alone(workspace: Workspace) -> None:
    for name in ("a.csv.part", ".hidden.csv", "notes.txt"):
        drop(workspace, HEADER + LINES, name)
    assert collected(workspace) == Collected()
    drop(workspace, HEADER + LINES)
    assert collect_inbox(open_store(workspace), workspace, SITE, now()) == Collected()  # changed a moment ago
    assert len(left(workspace)) == 4
    assert rows(workspace) == ()


def test_the_same_file_again_is_the_same_requests_while_they_wait_and_others_afterwards(workspace: Workspace) -> None:
    drop(workspace, HEADER + LINES)
    collected(workspace)
    drop(workspace, HEADER + LINES, "again.csv")
    assert collected(workspace) == Collected(again=3)
    store = open_store(workspace)
    store.mark_applied([row.id for row in store.open_requests()], "in force", now())
    drop(workspace, HEADER + LINES)
    assert collected(workspace) == Collected(received=3)


class Killed(BaseException):
    """As a killed program ends: nothing handles it."""


def test_a_run_that_is_killed_before_it_removes_the_file_doubles_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(with_key(workspace), HEADER + LINES + "erase,customers\n")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", _killed)
        with pytest.raises(Killed):
            collected(workspace)
    assert len(left(workspace)) == 1
    store = open_store(workspace)
    store.mark_applied([row.id for row in store.open_requests()], "in force", now())
    assert collected(workspace) == Collected(again=4)
    assert left(workspace) == []
    assert store.open_requests() == ()


def test_a_run_that_is_killed_before_it_commits_loses_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(workspace, HEADER + LINES)
    with monkeypatch.context() as patch:
        patch.setattr(RequestStore, "receive_all", _killed)
        with pytest.raises(Killed):
            collected(workspace)
    assert rows(workspace) == ()
    assert collected(workspace) == Collected(received=3)


def _killed(*_arguments: object, **_named: object) -> None:
    raise Killed


def test_a_file_that_is_dropped_under_the_name_of_one_being_read_is_not_lost(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(workspace, HEADER + LINES)
    receive_all = RequestStore.receive_all

    def meanwhile(*arguments: object) -> object:
        monkeypatch.undo()
        drop(workspace, HEADER + "access,customers,another,,,,,,,\n")
        return receive_all(*arguments)  # type: ignore[arg-type]

    store = open_store(workspace)
    monkeypatch.setattr(RequestStore, "receive_all", meanwhile)
    assert collected(workspace, store) == Collected(received=3)
    assert left(workspace) == [NAME]
    assert collect_inbox(store, workspace, SITE, now(), settled=0) == Collected(received=1)


def test_a_file_that_is_dropped_at_the_moment_of_removing_is_not_lost(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(with_key(workspace), HEADER + LINES)
    unlink = Path.unlink

    def meanwhile(path: Path) -> None:
        drop(workspace, HEADER + "access,customers,another,,,,,,,\n")
        unlink(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", meanwhile)
        assert collected(workspace) == Collected(received=3)
    assert collected(workspace) == Collected(received=1)


def test_a_file_that_is_written_to_while_it_is_read_is_read_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(workspace, HEADER + LINES)
    receive_all = RequestStore.receive_all
    with path.open("a") as writer:

        def meanwhile(*arguments: object) -> object:
            monkeypatch.undo()
            writer.write("access,customers,another,,,,,,,\n")
            writer.flush()
            return receive_all(*arguments)  # type: ignore[arg-type]

        store = open_store(workspace)
        monkeypatch.setattr(RequestStore, "receive_all", meanwhile)
        assert collected(workspace, store) == Collected(received=3)
    assert collect_inbox(store, workspace, SITE, now(), settled=0) == Collected(received=1, again=3)
    assert left(workspace) == []


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o777])
def test_a_folder_that_others_can_reach_is_refused_and_nothing_is_read(workspace: Workspace, mode: int) -> None:
    drop(workspace, HEADER + LINES)
    workspace.inbox.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 700") as caught:
        collected(workspace)
    assert NAME not in str(caught.value)
    assert left(workspace) == [NAME]


def test_without_the_key_files_stay_where_they_are(workspace: Workspace) -> None:
    drop(workspace, HEADER + LINES)
    collected(workspace)
    workspace.subject_key.unlink()
    path = drop(workspace, HEADER + LINES)
    before = path.stat()
    with pytest.raises(ConfigurationError, match="key"):
        collected(workspace)
    assert left(workspace) == [NAME]
    assert (path.stat().st_ino, path.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_an_empty_folder_needs_no_key_and_is_made_for_its_owner_alone(workspace: Workspace) -> None:
    workspace.inbox.rmdir()
    assert collected(workspace) == Collected()
    assert workspace.inbox.stat().st_mode & 0o777 == 0o700
    assert not workspace.subject_key.exists()


def test_a_file_that_cannot_be_removed_is_told_of_without_its_name(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(with_key(workspace), HEADER + LINES)

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(SourceError, match="PermissionError under inbox/") as caught:
            collected(workspace)
    assert "jane" not in str(caught.value)
    assert collected(workspace) == Collected(again=3)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_kept_and_never_shown(workspace: Workspace, name: str) -> None:
    text = HOSTILE[name].replace("\x00", "")
    cell = text.replace('"', '""')
    drop(
        workspace,
        HEADER + f'erase,customers,,"{cell}",,,,,,\nerase,visitors,,,1.2.3.4,"{cell}",2026-10-01,,,\n' + LINES,
    )
    drop(workspace, text, "other.csv")
    found = collected(workspace)
    assert left(workspace) == []
    assert found.received >= 3
    assert found.refused >= 1
    shown = repr(rows(workspace))
    assert shown.isprintable()
    assert len(text) < 6 or text not in shown


def test_ten_thousand_lines_are_taken_in_seconds(workspace: Workspace) -> None:
    line = "opt-out,visitors,,,192.0.2.{},Mozilla/5.0 ({}),2026-10-01,,,\n"
    drop(workspace, HEADER + "".join(line.format(number % 256, number) for number in range(10_000)))
    started = time.monotonic()
    assert collected(workspace) == Collected(received=10_000)
    assert time.monotonic() - started < 20


def test_where_the_table_fails_the_folder_is_taken_in(workspace: Workspace) -> None:
    source = {"kind": "database", "url": "sqlite:///gone.db", "table": "requests"}
    drop(workspace, HEADER + LINES)
    with pytest.raises(SourceError, match="SQLite"):
        collect(workspace, site(subject_requests={"source": source}), settled=0)
    assert len(rows(workspace)) == 3
