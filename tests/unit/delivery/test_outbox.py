"""The outbox of notices, on both databases."""

from __future__ import annotations

import datetime as dt
import multiprocessing
from dataclasses import replace

import pytest

from pipeline.delivery.channels import Channel
from pipeline.delivery.news import Kind
from pipeline.delivery.outbox import CLAIM, MOST_TRIES, Notice, Outbox, State, Subject, wait_after
from pipeline.errors import DeliveryError
from pipeline.privacy import database

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
ONE = Subject("acme", Channel.WEBHOOK, Kind.NEW, "weekly_audience", "2026-W41", 1)
ORIGIN = "https://export.example.org"
context = multiprocessing.get_context("fork")


@pytest.fixture
def outbox(address: str) -> Outbox:
    return Outbox(database.opened(address))


def claimed(outbox: Outbox, now: dt.datetime = NOW) -> Notice:
    found = outbox.claim(now)
    assert found is not None
    return found


def test_what_is_put_in_twice_is_there_once(outbox: Outbox) -> None:
    assert outbox.put({ONE, replace(ONE, channel=Channel.EMAIL)}, ORIGIN, NOW) == 2
    assert outbox.put({ONE}, ORIGIN, NOW + dt.timedelta(days=1)) == 0
    notices = outbox.listed()
    assert len({notice.id for notice in notices}) == 2
    assert {notice.made for notice in notices} == {NOW}


def _claim_all(address: str, ready: object, names: object) -> None:
    outbox = Outbox(database.at(address))
    ready.wait()  # type: ignore[attr-defined]
    while notice := outbox.claim(NOW):
        names.put(notice.id)  # type: ignore[attr-defined]
        outbox.sent(notice)


def test_four_programs_at_once_claim_each_notice_once(address: str, outbox: Outbox) -> None:
    outbox.put({replace(ONE, revision=number) for number in range(1, 41)}, ORIGIN, NOW)
    ready, names = context.Barrier(4), context.Queue()
    programs = [context.Process(target=_claim_all, args=(address, ready, names), daemon=True) for _ in range(4)]
    for program in programs:
        program.start()
    found = [names.get(timeout=60) for _ in range(40)]
    for program in programs:
        program.join(60)
    assert names.empty()
    assert sorted(found) == sorted(notice.id for notice in outbox.listed(State.SENT))


def test_what_a_dead_sender_had_claimed_is_claimed_again_under_the_same_id(outbox: Outbox) -> None:
    outbox.put({ONE}, ORIGIN, NOW)
    first = claimed(outbox)
    assert outbox.claim(NOW + CLAIM - dt.timedelta(seconds=1)) is None
    second = claimed(outbox, NOW + CLAIM)
    assert (second.id, second.tries) == (first.id, 2)
    # The first one was only slow: what it says of its try does not end the second one's claim.
    outbox.postpone(first, "the receiver answered 500", NOW + CLAIM)
    assert outbox.claim(NOW + CLAIM) is None


def test_a_notice_is_tried_nine_times_over_about_three_days_and_then_given_up(outbox: Outbox) -> None:
    outbox.put({ONE}, ORIGIN, NOW)
    now, waits = NOW, []
    for number in range(1, MOST_TRIES + 1):
        state = outbox.postpone(claimed(outbox, now), "the receiver answered 500", now)
        (notice,) = outbox.listed()
        assert state is (State.FAILED if number == MOST_TRIES else State.WAITING)
        if state is State.WAITING:
            assert outbox.claim(notice.due - dt.timedelta(seconds=1)) is None
            waits.append(notice.due - now)
            now = notice.due
    assert dt.timedelta(days=2.5) <= now - NOW <= dt.timedelta(days=3.2)
    assert waits[:7] == sorted(waits[:7])
    assert outbox.claim(now + dt.timedelta(days=30)) is None
    (notice,) = outbox.listed(State.FAILED)
    assert notice.problem == "the receiver answered 500"


def test_a_sender_that_dies_each_time_is_given_up_too(outbox: Outbox) -> None:
    outbox.put({ONE}, ORIGIN, NOW)
    for number in range(MOST_TRIES):
        claimed(outbox, NOW + number * CLAIM)
    assert outbox.claim(NOW + MOST_TRIES * CLAIM) is None
    (notice,) = outbox.listed(State.FAILED)
    assert "its sender ended" in notice.problem


def test_waits_differ_by_chance_and_never_exceed_a_day_by_more_than_a_quarter() -> None:
    assert wait_after(1, 0.0) == dt.timedelta(minutes=2)
    assert wait_after(3, 1.0) == dt.timedelta(minutes=22.5)
    assert wait_after(MOST_TRIES, 1.0) == dt.timedelta(hours=30)
    assert len({wait_after(4) for _ in range(20)}) > 1


def test_withdrawals_are_sent_first_and_whoever_is_left_alone_is_not_asked(outbox: Outbox) -> None:
    withdrawn = replace(ONE, kind=Kind.WITHDRAWN, product="yearly")
    other = replace(ONE, recipient="north", product="a_first_one")
    outbox.put({ONE, other}, ORIGIN, NOW)
    outbox.put({withdrawn}, ORIGIN, NOW + dt.timedelta(minutes=1))
    later = NOW + dt.timedelta(hours=1)
    assert claimed(outbox, later).subject == withdrawn
    found = outbox.claim(later, [("acme", Channel.WEBHOOK)])
    assert found is not None
    assert found.subject == other
    assert outbox.claim(later, [("acme", Channel.WEBHOOK)]) is None


def test_what_was_given_up_is_put_back_with_all_its_tries_and_what_was_sent_is_not(outbox: Outbox) -> None:
    outbox.put({ONE}, ORIGIN, NOW)
    outbox.drop(claimed(outbox))
    (notice,) = outbox.listed(State.DROPPED)
    assert outbox.put_back(notice.id, NOW).tries == 0
    outbox.sent(claimed(outbox))
    assert outbox.waiting() == 0
    for id_ in (notice.id, "msg_of_nobody"):
        with pytest.raises(DeliveryError, match="not sent"):
            outbox.put_back(id_, NOW)
