"""What a recipient may read at a moment: the one place that says yes; everything else is not there.

Pages, the API, Delta Sharing, feeds and stores all ask here, at each request: an entitlement that ends, an embargo that
passes and a withdrawal are in force at once.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from pipeline.delivery.entitlements import Entitlements, Grant, Recipient
from pipeline.errors import UnknownEditionError, WithdrawnError
from pipeline.periods import Period
from pipeline.publication.shelf import WITHDRAWN, Edition, edition_at, editions_of


@dataclass(frozen=True)
class Held:
    """One edition that a recipient may read, or the tombstone of one.

    Attributes:
        recipient: Who may.
        edition: What it is; its ``status`` is ``withdrawn`` where only a tombstone is left.
        folder: Where it lies.
        readable_from: Since when the recipient may read it.
    """

    recipient: Recipient
    edition: Edition
    folder: Path
    readable_from: dt.datetime

    @property
    def is_withdrawn(self) -> bool:
        """Whether only a tombstone is left."""
        return self.edition.status == WITHDRAWN


@dataclass(frozen=True)
class Catalogue:
    """The published folder, as entitlements open it.

    Attributes:
        published: The folder of all bundles.
        entitlements: Those in force.
    """

    published: Path
    entitlements: Entitlements

    def products(self, name: str, now: dt.datetime) -> tuple[str, ...]:
        """The products that a recipient receives, published yet or not; none for a stranger."""
        recipient = self._living(name, now)
        return tuple(sorted(recipient.receives)) if recipient else ()

    def editions(self, name: str, now: dt.datetime, product: str | None = None) -> tuple[Held, ...]:
        """All that a recipient may read, tombstones too, by product, period and revision; none for a stranger."""
        recipient = self._living(name, now)
        if recipient is None:
            return ()
        chosen = [one for one in sorted(recipient.receives) if product in (None, one)]
        found = [self._held(recipient, one, edition) for one in chosen for edition in self._shelved(recipient, one)]
        return tuple(held for held in found if _is_open(held, recipient.receives[held.edition.product], now))

    def standing(self, name: str, now: dt.datetime, product: str | None = None) -> tuple[Held, ...]:
        """The newest revision of each period that is not withdrawn, by product and period."""
        newest = {
            (held.edition.product, held.edition.period): held
            for held in self.editions(name, now, product)
            if not held.is_withdrawn
        }
        return tuple(newest.values())

    def edition(self, name: str, product: str, period: str, revision: int, now: dt.datetime) -> Held:
        """One edition that a recipient may read now.

        Raises:
            UnknownEditionError: There is none such, or the recipient may not know of it: the same words for both.
            WithdrawnError: It is withdrawn; says when and why.
        """
        recipient = self._living(name, now)
        grant = recipient.receives.get(product) if recipient else None
        if recipient is None or grant is None:
            raise unknown()
        edition = edition_at(self.published / recipient.shelf(product), product, period, revision)
        held = None if edition is None else self._held(recipient, product, edition)
        if held is None or not _is_open(held, grant, now):
            raise unknown()
        if held.is_withdrawn:
            raise WithdrawnError(
                "a withdrawn release is not to be used any more",
                value=f"withdrawn on {held.edition.withdrawn_at[:10]}: {held.edition.reason}",
                remedy="Delete your copies, and look for a later revision.",
            )
        return held

    def _living(self, name: str, now: dt.datetime) -> Recipient | None:
        recipient = self.entitlements.find(name)
        return None if recipient is None or recipient.has_ended(now) else recipient

    def _shelved(self, recipient: Recipient, product: str) -> tuple[Edition, ...]:
        return editions_of(self.published / recipient.shelf(product), product)

    def _held(self, recipient: Recipient, product: str, edition: Edition) -> Held:
        embargo = dt.timedelta(hours=recipient.receives[product].embargo_hours)
        issued = dt.datetime.fromisoformat(edition.issued).astimezone(dt.UTC)
        folder = self.published / recipient.shelf(product) / edition.path
        return Held(recipient, edition, folder, issued + embargo)


def _is_open(held: Held, grant: Grant, now: dt.datetime) -> bool:
    if now < held.readable_from:
        return False
    end = Period.parse(held.edition.period).end
    return grant.kept_days is None or now.astimezone(dt.UTC).date() < end + dt.timedelta(days=grant.kept_days)


def unknown() -> UnknownEditionError:
    """There is no such thing, or not for who asks: the same words for both."""
    return UnknownEditionError(
        "what is asked for must be published for who asks",
        remedy="Look at the list of what you receive; a period, a revision or a name may be mistyped.",
    )
