"""What recipients are to be told: what happened to what they may read, and to what they have of what they may not.

Whoever downloaded an edition is told that it was withdrawn or corrected as long as an entitlement in force names an
address of theirs, even if it does not give them the edition any more, or has ended. Nothing is told that happened
before the channel, and the entitlement to the release, came into force, nor what is older than 30 days: a recipient who
is given a webhook, or a release, is not told its history.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from pipeline.delivery.approvals import Approvals, Approved
from pipeline.delivery.catalogue import Catalogue
from pipeline.delivery.channels import Channel, address_of, channels_of
from pipeline.delivery.downloads import Downloads
from pipeline.delivery.entitlements import Entitlements, Recipient
from pipeline.delivery.news import Kind, News, news_about, news_of
from pipeline.delivery.outbox import Subject
from pipeline.delivery.readers import there_of
from pipeline.publication.shelf import Edition, editions_of
from pipeline.vocabulary import Audience
from pipeline.workspace import Workspace

OLDEST: Final = dt.timedelta(days=30)
About: TypeAlias = tuple[Kind, str, str, int]


@dataclass(frozen=True)
class Occasion:
    """Something that one recipient is to be told.

    Attributes:
        recipient: Whom.
        news: What happened.
        readable: Whether the recipient may read the edition, or its tombstone; otherwise they have a copy.
    """

    recipient: Recipient
    news: News
    readable: bool

    @property
    def about(self) -> About:
        """What happened to which edition."""
        return self.news.kind, self.news.product, self.news.period, self.news.revision


@dataclass(frozen=True)
class Occasions:
    """What there is to tell at one moment.

    Attributes:
        now: The moment.
        approvals: In force during the last 30 days, the newest first.
        by_recipient: What each recipient with a channel is to be told, told before or not.
    """

    now: dt.datetime
    approvals: tuple[Approved, ...] = field(repr=False)
    by_recipient: Mapping[str, Mapping[About, Occasion]]

    @classmethod
    def of(cls, workspace: Workspace, entitlements: Entitlements, now: dt.datetime) -> Occasions:
        """What there is to tell at a site.

        Raises:
            LedgerError: The ledger's database cannot be read.
            PublicationError: A manifest or a tombstone cannot be read.
        """
        catalogue = Catalogue(workspace.published, entitlements)
        told = {one.name: _readable(catalogue, one, now) for one in entitlements.recipients if channels_of(one)}
        for occasion in _had(workspace, entitlements, now) if told else ():
            if occasion.recipient.name in told and not _is_awaited(occasion, now):
                told[occasion.recipient.name].setdefault(occasion.about, occasion)
        return cls(now, Approvals.of(workspace).since(now - OLDEST), told)

    def find(self, subject: Subject) -> Occasion | None:
        """What a notice says; None where it is so no more, or where its channel is gone."""
        occasion = self.by_recipient.get(subject.recipient, {}).get(subject.about)
        return occasion if occasion and address_of(occasion.recipient, subject.channel) else None

    def subjects(self) -> set[Subject]:
        """The notices that there ought to be."""
        every = (occasion for told in self.by_recipient.values() for occasion in told.values())
        return {
            Subject(occasion.recipient.name, channel, *occasion.about)
            for occasion in every
            for channel in channels_of(occasion.recipient)
            if self._is_of_its_time(occasion, channel)
        }

    def _is_of_its_time(self, occasion: Occasion, channel: Channel) -> bool:
        happened, product = dt.datetime.fromisoformat(occasion.news.at), occasion.news.product
        if not self.now - OLDEST <= happened <= self.now:
            return False

        def was_told(recipient: Recipient) -> bool:
            return bool(address_of(recipient, channel)) and (not occasion.readable or product in recipient.receives)

        began = _began(self.approvals, occasion.recipient.name, was_told)
        return began is not None and began <= happened


def _readable(catalogue: Catalogue, recipient: Recipient, now: dt.datetime) -> dict[About, Occasion]:
    told = (Occasion(recipient, news, readable=True) for news in news_of(catalogue.editions(recipient.name, now)))
    return {occasion.about: occasion for occasion in told}


def _had(workspace: Workspace, entitlements: Entitlements, now: dt.datetime) -> Iterator[Occasion]:
    """What happened lately to editions that recipients have got, whether or not they may read them now."""
    log = Downloads.of(workspace)
    for editions in _by_period(workspace.published):
        for news in news_about(editions):
            if news.kind is Kind.NEW or dt.datetime.fromisoformat(news.at) < now - OLDEST:
                continue
            concerned = [edition for edition in editions if _concerns(news, edition)]
            found = (entitlements.find(name) for name in sorted(_names(log, concerned)))
            yield from (Occasion(recipient, news, readable=False) for recipient in found if recipient)


def _by_period(published: Path) -> Iterator[Sequence[Edition]]:
    """All editions, those of one product and period together, whatever the audience."""
    every = {edition.path: edition for audience in Audience for edition in editions_of(published / audience)}
    groups: dict[tuple[str, str], list[Edition]] = {}
    for edition in sorted(every.values()):
        groups.setdefault((edition.product, edition.period), []).append(edition)
    yield from groups.values()


def _concerns(news: News, edition: Edition) -> bool:
    """Whether what happened is about an edition that somebody has."""
    if news.kind is Kind.WITHDRAWN:
        return edition.revision == news.revision
    return edition.revision < news.revision


def _names(log: Downloads, editions: Sequence[Edition]) -> set[str]:
    """Whoever got anything of any of them."""
    got = (log.readers(one.product, one.period, one.revision, there_of(one)) for one in editions)
    return {reader.recipient for readers in got for reader in readers}


def _is_awaited(occasion: Occasion, now: dt.datetime) -> bool:
    """Whether the recipient will be able to read a correction, and is told of it then."""
    recipient, news = occasion.recipient, occasion.news
    grant = recipient.receives.get(news.product)
    if grant is None or recipient.has_ended(now) or news.kind is Kind.WITHDRAWN:
        return False
    return now < dt.datetime.fromisoformat(news.at) + dt.timedelta(hours=grant.embargo_hours)


def _began(approvals: Sequence[Approved], name: str, holds: Callable[[Recipient], bool]) -> dt.datetime | None:
    """Since when something has held of a recipient without a break; None where it does not hold."""
    began = None
    for approved in approvals:
        recipient = approved.entitlements.find(name)
        if recipient is None or not holds(recipient):
            break
        began = approved.at.replace(microsecond=0)  # the ledger tells what happened in whole seconds
    return began
