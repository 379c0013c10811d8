"""What happened to what a recipient receives: new, corrected, withdrawn. Feeds, pages and notices tell the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.delivery.catalogue import Held


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
    told = (_of(held, editions) for held in editions)
    return tuple(sorted(told, key=lambda one: (one.at, one.name), reverse=True))


def _of(held: Held, editions: Sequence[Held]) -> News:
    one = held.edition
    about = (one.product, one.period, one.revision, one.title)
    if held.is_withdrawn:
        return News(one.withdrawn_at, Kind.WITHDRAWN, *about, one.reason)
    same = [other.edition for other in editions if (other.edition.product, other.edition.period) == about[:2]]
    earlier = max((other.revision for other in same if other.revision < one.revision), default=0)
    if not earlier:
        return News(held.readable_from.isoformat(), Kind.NEW, *about, "It is there for the first time.")
    text = f"Revision {one.revision} replaces revision {earlier}."
    return News(held.readable_from.isoformat(), Kind.CORRECTED, *about, text)
