"""What happened to what a recipient receives: new, corrected, withdrawn."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from pipeline.delivery.catalogue import Held
from pipeline.delivery.entitlements import Recipient
from pipeline.delivery.news import Kind, News, news_of
from pipeline.publication.shelf import WITHDRAWN, Edition
from pipeline.vocabulary import Audience

ISSUED = dt.datetime(2026, 11, 2, 9, tzinfo=dt.UTC)
ACME = Recipient.model_validate(
    {"name": "acme", "title": "Acme", "audience": Audience.PARTNER, "receives": {"weekly": {}}}
)


def held(period: str, revision: int = 1, *, days: int = 0, withdrawn: str = "", embargo: int = 0) -> Held:
    issued = ISSUED + dt.timedelta(days=days)
    edition = Edition(
        product="weekly",
        period=period,
        revision=revision,
        title="Weekly",
        issued=issued.isoformat(),
        status=WITHDRAWN if withdrawn else "published",
        withdrawn_at=(issued + dt.timedelta(days=9)).isoformat() if withdrawn else "",
        reason=withdrawn,
        manifest_sha256="0" * 64,
    )
    return Held(ACME, edition, Path("weekly"), issued + dt.timedelta(hours=embargo))


def told(*editions: Held) -> list[tuple[Kind, str, int]]:
    return [(one.kind, one.period, one.revision) for one in news_of(editions)]


def test_the_first_revision_of_a_period_is_new_and_later_ones_are_corrections() -> None:
    news = news_of([held("2026-W41"), held("2026-W41", 2, days=1), held("2026-W41", 4, days=2)])
    assert [(one.kind, one.revision) for one in news] == [(Kind.CORRECTED, 4), (Kind.CORRECTED, 2), (Kind.NEW, 1)]
    assert [one.text for one in news[:2]] == ["Revision 4 replaces revision 2.", "Revision 2 replaces revision 1."]


def test_a_revision_that_is_the_first_one_to_be_read_is_new() -> None:
    assert told(held("2026-W41", 3)) == [(Kind.NEW, "2026-W41", 3)]


def test_revisions_of_another_period_correct_nothing() -> None:
    assert {kind for kind, *_ in told(held("2026-W40"), held("2026-W41", 2, days=1))} == {Kind.NEW}


def test_a_withdrawal_is_told_when_it_happened_with_its_reason() -> None:
    (latest, *_) = news_of([held("2026-W41", withdrawn="A log was missing."), held("2026-W42", days=7)])
    assert (latest.kind, latest.text) == (Kind.WITHDRAWN, "A log was missing.")
    assert latest.at == (ISSUED + dt.timedelta(days=9)).isoformat()


def test_what_replaces_a_withdrawn_revision_is_a_correction() -> None:
    news = told(held("2026-W41", withdrawn="Wrong."), held("2026-W41", 2, days=1))
    assert (Kind.CORRECTED, "2026-W41", 2) in news


def test_the_newest_stands_first_by_when_it_could_be_read() -> None:
    editions = [held("2026-W40", embargo=100), held("2026-W41", days=1), held("2026-W42", days=2)]
    assert [period for _, period, _ in told(*editions)] == ["2026-W40", "2026-W42", "2026-W41"]


def test_each_thing_that_happens_has_a_name_of_its_own_and_a_headline() -> None:
    (withdrawn,) = news_of([held("2026-W41", withdrawn="Wrong.")])
    (new,) = news_of([held("2026-W41")])
    assert isinstance(new, News)
    assert (new.name, withdrawn.name) == ("weekly/2026-W41/r1", "weekly/2026-W41/r1/withdrawn")
    assert new.headline == "New: Weekly, 2026-W41"


def test_nothing_happened_where_nothing_is_received() -> None:
    assert news_of([]) == ()
