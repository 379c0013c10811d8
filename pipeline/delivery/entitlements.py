"""Entitlements: who the recipients are, and what each may read, in one YAML file that a privacy reviewer can read.

A release specification says what each kind of audience may receive. Entitlements name the recipients of each kind, and
can only take away from that.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

from pydantic import Field, model_validator

from pipeline.documents import Document
from pipeline.publication.cuts import Cut
from pipeline.vocabulary import Audience, Key, Name

RECIPIENT_PATTERN: Final = r"^[a-z][a-z0-9-]{0,39}$"
RecipientName = Annotated[str, Field(pattern=RECIPIENT_PATTERN)]
_MOST_HOURS: Final = 24 * 366


class Grant(Document):
    """What one recipient may read of one product."""

    tables: Annotated[tuple[Name, ...], Field(json_schema_extra={"uniqueItems": True})] = ()
    """Tables of the audience that the recipient may read; all of them where none is named."""
    columns: dict[Name, Annotated[tuple[Name, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """By table: the dimensions, from the first on, and the measures that are shown. Intervals and noise always are."""
    rows: dict[Name, Annotated[tuple[Key, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """By dimension: the keys of which rows are shown, such as a reseller's own countries. A table without the dimension
    is left out, unless it is named in ``tables``."""
    totals: bool = False
    """Whether rows about all keys of a dimension in ``rows`` are shown, too; shares and indices need them."""
    embargo_hours: Annotated[int, Field(ge=0, le=_MOST_HOURS)] = 0
    """For so long after its approval a release is not there for the recipient."""
    kept_days: Annotated[int, Field(ge=1, le=36_600)] | None = None
    """For so long after the end of its period a release can be read; always where nothing is said."""

    def cut(self, audience: Audience) -> Cut:
        """The part of the audience's tables that it gives."""
        return Cut(audience, self.tables, dict(self.columns), dict(self.rows), self.totals)


class Recipient(Document):
    """Somebody who receives what is published for one kind of audience."""

    name: RecipientName
    """In addresses, tokens and logs; never given to somebody else later."""
    title: Annotated[str, Field(min_length=1, max_length=120)]
    """Who it is, for people to read: a company, never a person."""
    audience: Audience
    """Of which kind."""
    until: dt.date | None = None
    """The first day on which the recipient can read nothing any more."""
    receives: Annotated[dict[Name, Grant], Field(min_length=1)]
    """By product, which is the name of a release: what of it. ``{}`` gives all that the audience receives."""
    webhook: Annotated[str, Field(max_length=500)] = ""
    """An https address that is told of new, corrected and withdrawn releases."""
    email: Annotated[str, Field(max_length=254)] = ""
    """An address, of a role and not of a person, that is told the same."""
    stores: Annotated[tuple[str, ...], Field(json_schema_extra={"uniqueItems": True})] = ()
    """Where bundles are put beside the portal: ``s3://bucket/folder``, ``sftp://host/folder``, ``file:///folder``."""

    def shelf(self, product: str) -> str:
        """The folder, beneath ``published``, of what the recipient may read of a product it receives."""
        return self.receives[product].cut(self.audience).shelf

    def has_ended(self, now: dt.datetime) -> bool:
        """Whether the recipient can read nothing any more."""
        return self.until is not None and now.astimezone(dt.UTC).date() >= self.until


class Entitlements(Document):
    """Everybody who receives anything; whoever is not named receives nothing."""

    recipients: tuple[Recipient, ...]
    """Each with a name of its own."""

    @model_validator(mode="after")
    def _names_differ(self) -> Entitlements:
        names = [recipient.name for recipient in self.recipients]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names of recipients must differ, repeated: {', '.join(repeated)}")
        return self

    def find(self, name: str) -> Recipient | None:
        """The recipient of that name; None where there is none."""
        return next((one for one in self.recipients if one.name == name), None)

    def cuts(self, product: str) -> tuple[Cut, ...]:
        """The different parts of a product that recipients may read, those that are the whole left out; by shelf."""
        granted = (one.receives[product].cut(one.audience) for one in self.recipients if product in one.receives)
        parts = {cut.shelf: cut for cut in granted if not cut.is_whole}
        return tuple(parts[shelf] for shelf in sorted(parts))


NOBODY: Final = Entitlements(recipients=())
