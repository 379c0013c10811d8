"""What the API answers, as its schema describes it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from pipeline.documents import Document


class Revision(Document):
    """One edition of a product: a period in one of its revisions."""

    product: str
    period: str
    revision: Annotated[int, Field(ge=1)]
    title: str
    status: Literal["published", "withdrawn"]
    issued: str
    """When it was approved, ISO 8601."""
    supersedes_earlier: bool
    """Whether it replaces an earlier revision of the period."""
    withdrawn_at: str
    """ISO 8601; empty where it stands."""
    reason: str
    """Why it was withdrawn; empty where it stands."""
    path: str
    """Of the edition, from ``/api/v1``."""


class Product(Document):
    """Something that a recipient receives, period by period."""

    product: str
    title: str
    """Empty while nothing of it is published."""
    latest: Revision | None
    """The newest edition that stands."""


class Products(Document):
    """What a recipient receives."""

    recipient: str
    products: tuple[Product, ...]


class ProductDetails(Product):
    """A product with all its editions, withdrawn ones among them."""

    editions: tuple[Revision, ...]


class Column(Document):
    """One column of a table."""

    name: str
    type: str
    description: str


class TableDetails(Document):
    """One table of an edition."""

    name: str
    title: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    rows: int
    columns: tuple[Column, ...]
    formats: tuple[str, ...]


class FileDetails(Document):
    """One file of an edition."""

    name: str
    bytes: int
    sha256: str
    rows: int | None
    path: str
    """From ``/api/v1``."""


class EditionDetails(Document):
    """One edition: how its numbers were made, its tables, and its files."""

    edition: Revision
    description: str
    period_start: dt.date
    period_end: dt.date
    """Exclusive."""
    unit: str
    """Who is protected."""
    epsilon: str
    delta: str
    k: int
    """No group of fewer people is ever shown."""
    publisher: str
    contact: str
    terms: str
    manifest_sha256: str
    tables: tuple[TableDetails, ...]
    files: tuple[FileDetails, ...]


Cell = str | int | float | bool | None


class Rows(Document):
    """Rows of a table, or numbers derived from some."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class DownloadDetails(Document):
    """One file that the recipient got."""

    at: dt.datetime
    way: str
    token: int | None
    product: str
    period: str
    revision: int
    file: str
    """What is made of several editions, such as a history, has a line for each of them."""
    part: str


class DownloadList(Document):
    """The newest downloads of the recipient, the newest first."""

    downloads: tuple[DownloadDetails, ...]


class TokenDetails(Document):
    """One token of the recipient, without its secret."""

    number: int
    scopes: tuple[str, ...]
    label: str
    made: dt.datetime
    expires: dt.datetime
    living: bool


class TokenList(Document):
    """The recipient's tokens."""

    tokens: tuple[TokenDetails, ...]


class Problem(Document):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    errorCode: str  # noqa: N815  the name that clients of Delta Sharing read
    message: str
