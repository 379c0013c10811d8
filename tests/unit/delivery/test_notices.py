"""Who is told what, when, and how often, through real servers."""

from __future__ import annotations

import datetime as dt
import json
import logging
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from pipeline.delivery.approvals import in_force
from pipeline.delivery.channels import told_how
from pipeline.delivery.downloads import Download, Downloads, Way
from pipeline.delivery.entitlements import Entitlements
from pipeline.delivery.message import Message
from pipeline.delivery.notices import NoticeReport, announce
from pipeline.delivery.outbox import CLAIM, MOST_TRIES, Outbox, State
from pipeline.delivery.readers import readers_of, told_of
from pipeline.delivery.webhook_secrets import WebhookSecrets
from pipeline.delivery.webhooks import Webhooks
from pipeline.portal.api import routes
from pipeline.portal.mine import visiting
from pipeline.privacy import database
from pipeline.workspace import Workspace
from tests.delivering import DeliveredSite
from tests.receiving import Authority, Mailbox, Receiver, mailbox, receiving
from tests.unit.delivery.told import EMAIL, ENTITLEMENTS, KEY, document, message, revise, site_in, told_at, withdraw

context = multiprocessing.get_context("spawn")  # a fork of a process whose threads serve mail may wait for ever


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def site(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> DeliveredSite:
    monkeypatch.setenv("DEMOGRAPHICS_WEBHOOK_CA_FILE", str(authority.file))
    monkeypatch.setenv("DEMOGRAPHICS_MAIL_CA_FILE", str(authority.file))
    monkeypatch.setenv("DEMOGRAPHICS_MAIL_HOST", "127.0.0.1")
    monkeypatch.setenv("DEMOGRAPHICS_MAIL_SENDER", "exports@vendor.example")
    return _with_secret(site_in(tmp_path))


@pytest.fixture
def revised(site: DeliveredSite, tmp_path: Path) -> DeliveredSite:
    """The same with a second revision."""
    return _with_secret(site_in(tmp_path / "revised", revised=True))


def _with_secret(site: DeliveredSite) -> DeliveredSite:
    WebhookSecrets.of(site.workspace).make("acme", dt.timedelta(0), now())
    return site


@pytest.fixture
def receiver(authority: Authority) -> Iterator[Receiver]:
    with receiving(authority) as found:
        yield found


@pytest.fixture
def letters(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with mailbox(authority) as found:
        monkeypatch.setenv("DEMOGRAPHICS_MAIL_PORT", str(found.port))
        yield found


def now(**later: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(**later)


def tell(site: DeliveredSite, receiver: Receiver, when: dt.datetime | None = None) -> NoticeReport:
    return announce(site.workspace, told_at(site, acme=receiver.address), when or now())


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(one.content) for one in receiver.got]


def types(receiver: Receiver) -> list[tuple[str, int]]:
    return [(one["type"], one["data"]["revision"]) for one in bodies(receiver)]


def downloaded(site: DeliveredSite, recipient: str, revision: int = 1) -> None:
    log = Downloads.of(site.workspace)
    log.note(Download(recipient, Way.API, 1, "partner", KEY.release, KEY.period, revision, "by_browser.csv"))
    log.close()


def test_what_is_new_corrected_and_withdrawn_is_told_once_to_each_who_has_a_channel(
    revised: DeliveredSite, receiver: Receiver, letters: Mailbox
) -> None:
    assert tell(revised, receiver) == NoticeReport(sent=4)
    assert tell(revised, receiver) == NoticeReport()
    withdraw(revised)
    assert tell(revised, receiver).sent == 2
    assert tell(revised, receiver, now(days=20)).sent == 0
    assert sorted(types(receiver)) == [("edition.corrected", 2), ("edition.new", 1), ("edition.withdrawn", 1)]
    subjects = [letter["Subject"].partition(":")[0] for letter in letters.letters]
    assert sorted(subjects) == ["Corrected", "New", "Withdrawn"]
    assert {to for _, sent_to in letters.envelopes for to in sent_to} == {EMAIL}
    assert len({one.headers["webhook-id"] for one in receiver.got}) == 3


def test_a_recipient_that_is_given_a_channel_or_a_release_is_not_told_its_history(
    site: DeliveredSite, receiver: Receiver, letters: Mailbox
) -> None:
    site.entitle(site.reviewer(), document(quiet={"email": "numbers@quiet.example"}))
    tell(site, receiver)
    assert {to for _, sent_to in letters.envelopes for to in sent_to} == {EMAIL}
    revise(site)
    tell(site, receiver)
    assert [to for _, sent_to in letters.envelopes for to in sent_to].count("numbers@quiet.example") == 1


def test_nothing_older_than_a_month_is_told(site: DeliveredSite, receiver: Receiver, letters: Mailbox) -> None:
    assert tell(site, receiver, now(days=31)) == NoticeReport()
    assert Outbox.of(site.workspace).listed() == ()


def test_under_embargo_nothing_is_told_before_it_can_be_read(
    revised: DeliveredSite, receiver: Receiver, letters: Mailbox
) -> None:
    held = {"receives": {KEY.release: {"embargo_hours": 48}}}
    revised.entitle(revised.reviewer(), document(acme=held))
    downloaded(revised, "acme")
    tell(revised, receiver, now(hours=47))
    assert receiver.got == []
    tell(revised, receiver, now(hours=49))
    assert types(receiver) == [("edition.new", 1), ("edition.corrected", 2)]


@pytest.mark.parametrize(
    "change", [{"until": dt.date(2026, 1, 1)}, {"receives": {"another": {}}}], ids=["ended", "other"]
)
def test_whoever_downloaded_an_edition_is_told_though_they_may_not_read_it_any_more(
    revised: DeliveredSite, receiver: Receiver, letters: Mailbox, change: dict[str, Any]
) -> None:
    downloaded(revised, "acme")
    now_given = told_at(revised, acme=receiver.address)
    changed = [one.model_copy(update=change) if one.name == "acme" else one for one in now_given.recipients]
    if "receives" in change:
        changed = [one if one.name != "acme" else _without_release(one) for one in now_given.recipients]
    after = Entitlements(recipients=tuple(changed))
    withdraw(revised)
    announce(revised.workspace, after, now())
    assert sorted(types(receiver)) == [("edition.corrected", 2), ("edition.withdrawn", 1)]
    last = next(one for one in bodies(receiver) if one["type"] == "edition.withdrawn")
    assert (last["data"]["page"], last["data"]["to_do"]) == (None, "Delete your copies, and do not use them any more.")
    withdraw(revised, revision=2)
    announce(revised.workspace, after, now())
    assert len(receiver.got) == 2, "revision 2 was never theirs"


def _without_release(recipient: Any) -> Any:
    return recipient.model_copy(update={"receives": {"another": recipient.receives[KEY.release]}})


def test_readers_are_listed_with_how_each_is_told(site: DeliveredSite) -> None:
    for name in ("acme", "quiet", "gone"):
        downloaded(site, name)
    log = Downloads.of(site.workspace)
    log.note(Download("north", Way.API, 2, "reseller", KEY.release, KEY.period, 0, "history.csv"))
    withdraw(site)
    log.note(Download("late", Way.API, 3, "reseller", KEY.release, KEY.period, 0, "history.csv"), now(minutes=1))
    log.close()
    told = told_of(site.workspace, KEY, in_force(site.workspace))
    assert [(one.reader.recipient, one.how) for one in told] == [
        ("acme", "webhook"),
        ("gone", "by hand"),
        ("north", "e-mail"),
        ("quiet", "by hand"),
    ]
    assert [one.recipient for one in readers_of(site.workspace, KEY)] == ["acme", "gone", "north", "quiet"]
    both = Entitlements.model_validate(document(acme={"email": "numbers@acme.example"}))
    assert told_how(both, "acme") == "webhook, e-mail"


def test_what_is_withdrawn_before_it_was_told_is_not_told_as_new(
    site: DeliveredSite, receiver: Receiver, letters: Mailbox
) -> None:
    receiver.answers = [500]
    assert tell(site, receiver).waiting == 1
    withdraw(site)
    assert tell(site, receiver, now(hours=1)).waiting == 0
    assert types(receiver) == [("edition.new", 1), ("edition.withdrawn", 1)]
    (dropped,) = Outbox.of(site.workspace).listed(State.DROPPED)
    assert dropped.problem == "overtaken"


@pytest.mark.parametrize("answer", [500, 302, "cut"])
def test_what_failed_is_tried_again_later_under_the_same_id(
    site: DeliveredSite, receiver: Receiver, letters: Mailbox, answer: int | str
) -> None:
    receiver.answers = [answer]
    report = tell(site, receiver)
    assert (report.sent, report.waiting, report.failed, len(report.problems)) == (1, 1, 0, 1)
    assert report.problems[0].startswith("acme by webhook: the ")
    assert tell(site, receiver, now(minutes=1)).sent == 0
    assert tell(site, receiver, now(minutes=3)).sent == 1
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.content == second.content


def test_who_cannot_be_told_for_three_days_is_given_up_and_holds_up_nobody(
    revised: DeliveredSite, receiver: Receiver, letters: Mailbox
) -> None:
    receiver.answers = [503] * 40
    reports = [tell(revised, receiver, now(hours=hours)) for hours in (0, 1, 2, 4, 8, 16, 32, 48, 80, 120, 160, 200)]
    assert sum(report.failed for report in reports) == 2
    assert reports[0].sent == 2, "the mail went out at once"
    assert len(receiver.got) == 2 * MOST_TRIES
    failed = Outbox.of(revised.workspace).listed(State.FAILED)
    assert {notice.problem for notice in failed} == {"the receiver answered 503"}
    receiver.answers = []
    Outbox.of(revised.workspace).put_back(failed[0].id, now())
    assert tell(revised, receiver).sent == 1


def _announce(workspace: Workspace, entitlements: Entitlements, ready: Any, sent: Any) -> None:
    ready.wait()
    sent.put(announce(workspace, entitlements, now()).sent)


def test_four_programs_at_once_send_each_notice_once(
    revised: DeliveredSite, authority: Authority, letters: Mailbox
) -> None:
    withdraw(revised)
    with receiving(authority, wait=0.1) as receiver:
        ready, sent = context.Barrier(4), context.Queue()
        given = (revised.workspace, told_at(revised, acme=receiver.address), ready, sent)
        programs = [context.Process(target=_announce, args=given, daemon=True) for _ in range(4)]
        for program in programs:
            program.start()
        counts = [sent.get(timeout=120) for _ in programs]
        for program in programs:
            program.join(60)
        assert sorted(types(receiver)) == [("edition.corrected", 2), ("edition.withdrawn", 1)]
    assert len(letters.letters) == 2
    assert sum(counts) == 4


def _announce_and_die(workspace: Workspace, entitlements: Entitlements) -> None:
    send = Webhooks.send

    def send_and_die(sender: Webhooks, message: Message) -> None:
        send(sender, message)
        os._exit(9)  # after the receiver has it, and before that is written down

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Webhooks, "send", send_and_die)
        announce(workspace, entitlements, now())


def test_what_a_killed_sender_had_begun_is_sent_later_under_the_same_id(
    site: DeliveredSite, receiver: Receiver, letters: Mailbox
) -> None:
    program = context.Process(target=_announce_and_die, args=(site.workspace, told_at(site, acme=receiver.address)))
    program.start()
    program.join(120)
    assert program.exitcode == 9
    tell(site, receiver, now(minutes=1))
    assert len(receiver.got) == 1
    tell(site, receiver, now() + CLAIM)
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert len(letters.letters) == 1


def test_no_address_secret_or_number_is_in_notices_logs_or_errors(
    site: DeliveredSite, receiver: Receiver, letters: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = WebhookSecrets.of(site.workspace).make("acme", dt.timedelta(days=1), now())
    receiver.answers, letters.answers = [500], [f"550 {EMAIL} is unknown here"]
    problems = tell(site, receiver).problems
    withdraw(site, reason="A source was counted twice.")
    problems += tell(site, receiver, now(hours=1)).problems
    with database.at(site.workspace.ledger).reading() as connection:
        rows = str(connection.exec_driver_sql("SELECT * FROM notices").all())
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("mail.log")]
    left = "\n".join([*problems, rows, *ours])
    for planted in (EMAIL, "hooks/8f0c", secret.secret, secret.secret[6:], "unknown here"):
        assert planted not in left
    sent = b"\n".join([*(one.content for one in receiver.got), *letters.raw])
    values = _values(site)
    assert values
    assert not any(f" {value}".encode() in sent or f":{value}".encode() in sent for value in values)
    Webhook(secret.secret).verify(receiver.got[-1].content, receiver.got[-1].headers)


def _values(site: DeliveredSite) -> list[int]:
    """Numbers of the tables that no date and no notice's id has by chance."""
    tables = site.release(KEY).tables.values()
    return [int(value) for table in tables for value in table["value"] if value > 999]


def test_a_failure_of_the_program_is_told_without_its_words_and_stops_nobody_else(
    site: DeliveredSite, receiver: Receiver, letters: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(f"it broke for {EMAIL}")

    monkeypatch.setattr(Webhooks, "send", fail)
    report = tell(site, receiver)
    assert report.sent == 1
    assert "RuntimeError at" in report.problems[0]
    assert EMAIL not in report.problems[0]


def test_a_site_without_channels_has_nothing_to_tell(site: DeliveredSite) -> None:
    nobody = Entitlements.model_validate({"recipients": [ENTITLEMENTS["recipients"][2]]})
    assert announce(site.workspace, nobody, now()) == NoticeReport()


def test_the_addresses_in_a_notice_are_those_of_the_portal() -> None:
    told, named = message(), {"product": KEY.release, "period": KEY.period, "revision": 1}
    assert told.page == f"https://export.example.org{visiting.EDITION.format(**named)}"
    assert told.api == f"https://export.example.org{routes.PREFIX}{routes._EDITION.format(**named)}"
