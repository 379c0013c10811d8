"""What happened to what a recipient receives: new, corrected, withdrawn. Feeds, pages and notices tell the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.delivery.catalogue import Held
from pipeline.publication.shelf import WITHDRAWN, Edition


class Kind(StrEnum):
    """What happened."""

    NEW = "new"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class News:
    """One thing that happened, without a number of any table.

    Attributes:
        at: When; ISO 8601, UTC.
        kind: What.
        product: Of which release.
        period: Of which period.
        revision: Which of its revisions.
        title: Of the release.
        text: What there is to say of it: which revision it replaces, or why it was withdrawn.
    """

    at: str
    kind: Kind
    product: str
    period: str
    revision: int
    title: str
    text: str

    @property
    def name(self) -> str:
        """Of the edition, and of what became of it: each thing that happens has its own."""
        edition = f"{self.product}/{self.period}/r{self.revision}"
        return f"{edition}/withdrawn" if self.kind is Kind.WITHDRAWN else edition

    @property
    def headline(self) -> str:
        """``Corrected: Weekly audience, 2026-W41``."""
        return f"{self.kind.capitalize()}: {self.title}, {self.period}"


def news_of(editions: Sequence[Held]) -> tuple[News, ...]:
    """What happened to these editions, the newest first.

    Args:
        editions: All that a recipient may read, tombstones among them: of each an entry.
    """
    every = [held.edition for held in editions]
    return _sorted(_of(held.edition, held.readable_from, every) for held in editions)


def news_about(editions: Sequence[Edition]) -> tuple[News, ...]:
    """The same of editions by themselves, whoever may read them, as of their approval."""
    return _sorted(_of(one, dt.datetime.fromisoformat(one.issued), editions) for one in editions)


def _sorted(told: Iterable[News]) -> tuple[News, ...]:
    return tuple(sorted(told, key=lambda one: (one.at, one.name), reverse=True))


def _of(one: Edition, since: dt.datetime, editions: Sequence[Edition]) -> News:
    about = (one.product, one.period, one.revision, one.title)
    if one.status == WITHDRAWN:
        return News(one.withdrawn_at, Kind.WITHDRAWN, *about, one.reason)
    same = [other.revision for other in editions if (other.product, other.period) == about[:2]]
    earlier = max((revision for revision in same if revision < one.revision), default=0)
    if not earlier:
        return News(since.isoformat(), Kind.NEW, *about, "It is there for the first time.")
    return News(since.isoformat(), Kind.CORRECTED, *about, f"Revision {one.revision} replaces revision {earlier}.")
