"""What a notice says: the same by webhook and by e-mail, without a number of any table."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Final

from pipeline.delivery.news import Kind
from pipeline.delivery.occasions import Occasion

_DO: Final = {
    Kind.NEW: "Get it from the portal, or by the API.",
    Kind.CORRECTED: "Use it instead of earlier revisions, and delete your copies of those.",
    Kind.WITHDRAWN: "Delete your copies, and do not use them any more; look for a later revision.",
}
_COPIES: Final = {
    Kind.CORRECTED: "Do not use your copies of earlier revisions any more. You do not receive this release any more; "
    "ask whoever publishes it.",
    Kind.WITHDRAWN: "Delete your copies, and do not use them any more.",
}


@dataclass(frozen=True)
class Message:
    """One notice in words.

    Attributes:
        id: Of the notice.
        occasion: What it is about, and for whom.
        origin: The portal's address, without a slash at its end.
    """

    id: str
    occasion: Occasion
    origin: str

    @property
    def title(self) -> str:
        """``Withdrawn: Weekly audience, 2026-W41``, in one line."""
        return in_one_line(self.occasion.news.headline)

    @property
    def text(self) -> str:
        """What there is to say: which revision it replaces, or why it was withdrawn, in the reviewer's words."""
        return in_one_line(self.occasion.news.text)

    @property
    def to_do(self) -> str:
        """What the recipient should do."""
        kind = self.occasion.news.kind
        return _DO[kind] if self.occasion.readable else _COPIES[kind]

    @property
    def at(self) -> dt.datetime:
        """When it happened; UTC."""
        return dt.datetime.fromisoformat(self.occasion.news.at).astimezone(dt.UTC)

    @property
    def page(self) -> str:
        """The page of the edition; empty where the recipient may not read it any more."""
        return f"{self.origin}/my{self._place}" if self.occasion.readable else ""

    @property
    def api(self) -> str:
        """Where the API has it; likewise."""
        return f"{self.origin}/api/v1{self._place}" if self.occasion.readable else ""

    @property
    def body(self) -> str:
        """As webhooks tell it: JSON as Standard Webhooks recommends, with ``type``, ``timestamp`` and ``data``."""
        news = self.occasion.news
        told = {
            "recipient": self.occasion.recipient.name,
            "product": news.product,
            "title": in_one_line(news.title),
            "period": news.period,
            "revision": news.revision,
            "text": self.text,
            "to_do": self.to_do,
            "page": self.page or None,
            "api": self.api or None,
        }
        whole = {"type": f"edition.{news.kind.value}", "timestamp": self.at.isoformat(timespec="seconds"), "data": told}
        return json.dumps(whole)

    @property
    def _place(self) -> str:
        news = self.occasion.news
        return f"/products/{news.product}/editions/{news.period}/{news.revision}"


def in_one_line(text: str) -> str:
    """Text without anything that could begin a line, a header or a command of a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
