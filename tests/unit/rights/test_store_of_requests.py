"""Requests while they wait: sealed, each once, and without content when they were applied."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline.errors import ConfigurationError, RequestError
from pipeline.privacy import database
from pipeline.rights.intake import retry, understood
from pipeline.rights.requests import DEADLINE, RequestKind, SubjectRequest
from pipeline.rights.store import Incoming, Origin, Received, RequestStore, State, Unusable
from pipeline.workspace import LEDGER_VARIABLE, Workspace
from tests import postgresql
from tests.unit.rights.asking import CUSTOMER, EMAIL, NOW, customer, document, open_store, sealed_rows, site, write_site

LINE = Origin.COMMAND_LINE
UNUSABLE = Unusable(
    {"request": "erase", "customer": CUSTOMER, EMAIL: EMAIL}, "line 3: email must be given", NOW, "erase"
)
context = multiprocessing.get_context("fork")


@pytest.fixture(params=["sqlite", "postgresql"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    found = write_site(tmp_path / "home", monkeypatch)
    if request.param == "sqlite":
        yield found
        return
    with postgresql.schema(request.getfixturevalue("postgresql_server")) as url:
        monkeypatch.setenv(LEDGER_VARIABLE, url)
        yield found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """On SQLite alone, where the database makes no difference."""
    return write_site(tmp_path / "home", monkeypatch)


def later(hours: float = 1) -> dt.datetime:
    return NOW + dt.timedelta(hours=hours)


def stored(workspace: Workspace) -> str:
    """All columns of all rows, as text."""
    with database.at(workspace.ledger).reading() as connection:
        return str(connection.exec_driver_sql("SELECT * FROM subject_requests").all())


def test_a_request_comes_back_as_it_came_in(workspace: Workspace) -> None:
    received = open_store(workspace).receive(customer(), LINE)
    (row,) = open_store(workspace).open_requests()
    assert received == Received(row.id, NOW + DEADLINE, again=False)
    assert open_store(workspace).unseal(row) == customer()
    assert (row.kind, row.population, row.origin, row.received, row.state, row.reason) == (
        "erase", "customers", LINE, NOW, State.OPEN, "",
    )  # fmt: skip
    assert row.due == NOW + DEADLINE


def test_what_names_a_person_is_nowhere_in_clear(workspace: Workspace) -> None:
    store = open_store(workspace)
    store.receive(customer(), LINE)
    store.receive_unusable(UNUSABLE, LINE)
    shown = stored(workspace) + repr(store.rows()) + repr(store.open_requests()) + repr(UNUSABLE)
    assert not [text for text in (CUSTOMER, EMAIL) if text in shown]
    files = [path for path in workspace.home.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files for text in (CUSTOMER, EMAIL) if text.encode() in path.read_bytes()]


def test_the_same_request_twice_is_one_while_it_waits(workspace: Workspace) -> None:
    store = open_store(workspace)
    first = store.receive(customer(), LINE)
    again = store.receive(SubjectRequest(RequestKind.ERASE, customer().population, later(), customer=CUSTOMER), LINE)
    assert again == Received(first.id, first.due, again=True)
    assert len(store.rows()) == 1
    store.receive(customer(kind=RequestKind.ACCESS), LINE)
    store.receive(customer("another"), LINE)
    assert len(store.rows()) == 3


def test_the_same_request_is_a_new_one_when_the_first_was_applied(workspace: Workspace) -> None:
    store = open_store(workspace)
    first = store.receive(customer(), LINE)
    store.mark_applied([first.id], "in force", later())
    second = store.receive(customer(), LINE)
    assert not second.again
    assert second.id != first.id


def test_of_the_same_request_the_earliest_receipt_counts(here: Workspace) -> None:
    store = open_store(here)
    first = store.receive(customer(), LINE)
    earlier = SubjectRequest(RequestKind.ERASE, customer().population, later(-5), customer=CUSTOMER)
    assert store.receive(earlier, LINE) == Received(first.id, later(-5) + DEADLINE, again=True)
    assert [row.received for row in store.rows()] == [later(-5)]


def test_a_row_is_taken_once_whatever_becomes_of_it(workspace: Workspace) -> None:
    store = open_store(workspace)
    first = store.receive(customer(), Origin.TABLE, "key 1")
    store.mark_applied([first.id], "in force", later())
    assert store.receive(customer(), Origin.TABLE, "key 1") == Received(first.id, first.due, again=True)
    assert store.open_requests() == ()
    assert store.row_keys(Origin.TABLE) == {"key 1"}


def test_a_second_row_with_the_same_request_is_not_applied_after_the_first(here: Workspace) -> None:
    store = open_store(here)
    rows = [Incoming(customer(), Origin.TABLE, key) for key in ("key 1", "key 2", "key 1")]
    first, second, third = store.receive_all(rows)
    assert [one.id for one in (second, third)] == [first.id, first.id]
    store.mark_applied([first.id], "in force", later())
    assert all(one.again for one in store.receive_all(rows))
    assert store.open_requests() == ()
    assert Counter(row.state for row in store.rows()) == {State.APPLIED: 1, State.CLOSED: 1}


def test_an_applied_row_does_not_hide_a_new_one_of_the_same_batch(here: Workspace) -> None:
    store = open_store(here)
    first = store.receive(customer(), Origin.TABLE, "key 1")
    store.mark_applied([first.id], "in force", later())
    old, new = store.receive_all([Incoming(customer(), Origin.TABLE, key) for key in ("key 1", "key 2")])
    assert old.again
    assert not new.again
    assert [row.id for row in store.open_requests()] == [new.id]


def test_ids_are_random_and_say_nothing(here: Workspace) -> None:
    ids = [one.id for one in open_store(here).receive_all([Incoming(customer(n), LINE) for n in range(300)])]
    assert len(set(ids)) == 300
    assert all(len(one) == 10 and one.startswith("R-") and not set(one[2:]) & set("ILOU") for one in ids)


def test_an_applied_request_has_no_content_left(workspace: Workspace) -> None:
    store = open_store(workspace)
    received = store.receive(customer(), LINE)
    (sealed,) = sealed_rows(workspace)
    store.mark_applied([received.id], "in force", later())
    assert sealed_rows(workspace) == []
    (row,) = store.rows()
    assert (row.state, row.applied, row.outcome) == (State.APPLIED, later(), "in force")
    assert "None, None" in stored(workspace)  # what is sealed, and the fingerprint
    if isinstance(workspace.ledger, Path):
        assert sealed[12:40] not in workspace.ledger.read_bytes()


def test_no_page_of_the_file_keeps_what_was_sealed(here: Workspace) -> None:
    store = open_store(here)
    big = Unusable(b"x" * 300_000, "a big file", NOW)
    every = [one.id for one in store.receive_all([Incoming(customer(number), LINE) for number in range(200)])]
    refused = store.receive_unusable(big, LINE)
    kept = sealed_rows(here)
    store.mark_applied(every, "in force", later())
    store.close(refused.id, "ana", "sent anew")
    assert isinstance(here.ledger, Path)
    content = here.ledger.read_bytes()
    assert len(kept) == 201
    assert not [sealed for sealed in kept if sealed[:32] in content or sealed[-32:] in content]
    assert sorted(path.name for path in here.home.iterdir()) == ["keys", "ledger.db", "site.yaml"]


def test_only_an_open_request_is_marked_as_applied(here: Workspace) -> None:
    store = open_store(here)
    refused = store.receive_unusable(UNUSABLE, LINE)
    store.mark_applied([refused.id, "R-00000000"], "in force", later())
    assert [row.state for row in store.rows()] == [State.REFUSED]
    store.mark_applied([], "in force", later())


def test_what_cannot_be_used_is_kept_with_its_reason_and_its_deadline(workspace: Workspace) -> None:
    store = open_store(workspace)
    received = store.receive_unusable(UNUSABLE, LINE)
    (row,) = store.rows()
    assert (row.id, row.state, row.reason, row.kind, row.due) == (
        received.id, State.REFUSED, UNUSABLE.reason, "erase", NOW + DEADLINE,
    )  # fmt: skip
    assert row.waits
    assert store.open_requests() == ()
    assert store.refused_fields(received.id)[1] == UNUSABLE.content
    assert store.receive_unusable(UNUSABLE, LINE).again


def test_a_refused_request_is_closed_by_somebody_for_a_reason(workspace: Workspace) -> None:
    store = open_store(workspace)
    received = store.receive_unusable(UNUSABLE, LINE)
    store.close(received.id, " ana ", "asked again by post")
    (row,) = store.rows()
    assert (row.state, row.outcome) == (State.CLOSED, "closed by ana: asked again by post")
    assert row.applied is not None
    assert sealed_rows(workspace) == []


@pytest.mark.parametrize(
    ("operator", "reason"),
    [("", "why"), ("ana", "  "), ("ana", "two\nlines"), ("\x1b[31mana", "why"), ("ana", "w" * 201)],
)
def test_who_closes_and_why_is_one_short_line(here: Workspace, operator: str, reason: str) -> None:
    store = open_store(here)
    received = store.receive_unusable(UNUSABLE, LINE)
    with pytest.raises(RequestError, match="must be one line"):
        store.close(received.id, operator, reason)
    assert store.rows()[0].state is State.REFUSED


def test_an_open_request_is_neither_closed_nor_tried_anew(here: Workspace) -> None:
    store = open_store(here)
    received = store.receive(customer(), LINE)
    with pytest.raises(RequestError, match=f"{received.id}, open"):
        store.close(received.id, "ana", "why")
    with pytest.raises(RequestError, match="R-00000000, unknown"):
        retry(store, site(), "R-00000000")


def test_what_is_no_id_is_not_shown(here: Workspace) -> None:
    with pytest.raises(RequestError) as caught:
        open_store(here).close(EMAIL, "ana", "why")
    assert EMAIL not in str(caught.value)


def test_a_refused_request_is_tried_anew_when_the_site_file_was_corrected(workspace: Workspace) -> None:
    fields = {"request": "erase", "population": "customers", "email": EMAIL}
    document_before = document()["customers"] | {"email": None}
    before = understood(fields, site(customers=document_before), NOW)
    assert isinstance(before, Unusable)
    store = open_store(workspace)
    received = store.receive_unusable(before, LINE)
    with pytest.raises(RequestError, match="where the site file declares"):
        retry(store, site(customers=document_before), received.id, later())
    assert retry(store, site(), received.id, later()) == received
    (row,) = store.open_requests()
    assert (row.id, row.received, row.reason) == (received.id, NOW, "")
    assert store.unseal(row).email == EMAIL
    assert store.receive(store.unseal(row), LINE).again


def test_a_refused_request_that_turns_out_to_wait_already_is_closed(here: Workspace) -> None:
    store = open_store(here)
    kept = Unusable({"request": "erase", "population": "customers", "customer": CUSTOMER}, "of another site", NOW)
    refused = store.receive_unusable(kept, LINE)
    standing = store.receive(customer(), LINE)
    assert retry(store, site(), refused.id, later()) == Received(standing.id, standing.due, again=True)
    closed = next(row for row in store.rows() if row.id == refused.id)
    assert (closed.state, closed.outcome) == (State.CLOSED, f"the same as {standing.id}")


def test_a_whole_file_is_not_tried_anew(here: Workspace) -> None:
    store = open_store(here)
    received = store.receive_unusable(Unusable(b"\xff\xfe", "it must be text", NOW), Origin.DROP_FOLDER)
    with pytest.raises(RequestError, match="fields that could be told"):
        retry(store, site(), received.id)


@pytest.mark.parametrize("change", ["missing", "another"])
def test_without_its_key_nothing_is_received_and_nothing_is_lost(workspace: Workspace, change: str) -> None:
    open_store(workspace).receive(customer(), LINE)
    kept = workspace.subject_key.read_bytes()
    workspace.subject_key.unlink()
    if change == "another":
        workspace.subject_key.write_bytes(b"0f" * 32)
        workspace.subject_key.chmod(0o600)
    store = open_store(workspace)
    (row,) = store.rows()  # whoever lists needs no key
    with pytest.raises(ConfigurationError, match="key"):
        store.receive(customer("another"), LINE)
    with pytest.raises(ConfigurationError, match="key"):
        store.unseal(store.open_requests()[0])
    workspace.subject_key.write_bytes(kept)
    workspace.subject_key.chmod(0o600)
    assert open_store(workspace).unseal(open_store(workspace).open_requests()[0]) == customer()
    assert [one.id for one in open_store(workspace).rows()] == [row.id]


def test_changed_content_does_not_open(here: Workspace) -> None:
    open_store(here).receive(customer(), LINE)
    with database.at(here.ledger).writing() as connection:
        (sealed,) = sealed_rows(here)
        changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        connection.execute(sa.text("UPDATE subject_requests SET sealed = :changed"), {"changed": changed})
    with pytest.raises(ConfigurationError, match="changed content"):
        open_store(here).unseal(open_store(here).open_requests()[0])


def test_two_thousand_at_once_are_all_there_and_none_twice(workspace: Workspace) -> None:
    """Eight at once, each with 250 of its own and 50 that all of them have."""
    open_store(workspace).receive(customer("first"), LINE)
    started = time.monotonic()
    running = [context.Process(target=_receive, args=(workspace.home, number)) for number in range(8)]
    for one in running:
        one.start()
    for one in running:
        one.join(60)
    assert [one.exitcode for one in running] == [0] * 8
    store = RequestStore.open(workspace)
    people = Counter(store.unseal(row).customer for row in store.open_requests())
    assert set(people.values()) == {1}
    assert len(people) == 1 + 8 * 250 + 50
    assert time.monotonic() - started < 30


def _receive(home: Path, number: int) -> None:
    store = RequestStore.open(Workspace(home))
    own = [customer(f"{number} {one}") for one in range(250)]
    shared = [customer(f"shared {one}") for one in range(50)]
    store.receive_all([Incoming(one, LINE) for one in own[:-5] + shared])
    for one in own[-5:]:
        store.receive(one, LINE)
