"""Turns editions, tables and files into what the API answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from pipeline.delivery.catalogue import Held
from pipeline.portal.api.models import (
    Cell,
    Column,
    EditionDetails,
    FileDetails,
    Product,
    ProductDetails,
    Revision,
    Rows,
    TableDetails,
)
from pipeline.portal.files import files_of
from pipeline.publication.datapackage import field_of
from pipeline.publication.reading import ReadBundle
from pipeline.publication.views import column_order
from pipeline.release.artefact import TableFacts

FORMATS: Final = ("json", "csv", "parquet")


def revision_of(held: Held, editions: Sequence[Held] = ()) -> Revision:
    """An edition in short."""
    one = held.edition
    same = [
        other.edition
        for other in editions
        if (other.edition.product, other.edition.period) == (one.product, one.period)
    ]
    return Revision(
        product=one.product,
        period=one.period,
        revision=one.revision,
        title=one.title,
        status="withdrawn" if held.is_withdrawn else "published",
        issued=one.issued,
        supersedes_earlier=any(other.revision < one.revision for other in same),
        withdrawn_at=one.withdrawn_at,
        reason=one.reason,
        path=f"/products/{one.product}/editions/{one.period}/{one.revision}",
    )


def product_of(name: str, editions: Sequence[Held], standing: Sequence[Held]) -> Product:
    """A product in short, of the editions that a recipient may read of it."""
    latest = revision_of(standing[-1], editions) if standing else None
    title = editions[-1].edition.title if editions else ""
    return Product(product=name, title=title, latest=latest)


def details_of(name: str, editions: Sequence[Held], standing: Sequence[Held]) -> ProductDetails:
    """A product with all that a recipient may read of it."""
    short = product_of(name, editions, standing)
    each = tuple(revision_of(held, editions) for held in editions)
    return ProductDetails(**short.model_dump() | {"editions": each})


def edition_of(held: Held, bundle: ReadBundle, editions: Sequence[Held]) -> EditionDetails:
    """An edition in full."""
    manifest, short = bundle.manifest, revision_of(held, editions)
    files = tuple(
        FileDetails(
            name=one.name, bytes=one.bytes, sha256=one.sha256, rows=one.rows, path=f"{short.path}/files/{one.name}"
        )
        for one in files_of(held).values()
    )
    return EditionDetails(
        edition=short,
        description=manifest.description,
        period_start=dt.date.fromisoformat(manifest.identity.period_start),
        period_end=dt.date.fromisoformat(manifest.identity.period_end),
        unit=manifest.privacy.unit,
        epsilon=manifest.privacy.epsilon,
        delta=manifest.privacy.delta,
        k=manifest.privacy.k,
        publisher=manifest.publisher,
        contact=manifest.contact,
        terms=manifest.terms,
        manifest_sha256=held.edition.manifest_sha256,
        tables=tuple(_table(facts, bundle.tables[facts.name]) for facts in manifest.tables),
        files=files,
    )


def rows_of(frame: pd.DataFrame) -> Rows:
    """A table as rows of plain values; what is missing is null."""
    names = tuple(map(str, frame.columns))
    columns = [[_cell(value) for value in frame[name].tolist()] for name in names]
    return Rows(columns=names, rows=tuple(zip(*columns, strict=True)))


def _cell(value: Any) -> Cell:
    if value is None or value is pd.NA or value != value:  # noqa: PLR0124  a value that differs from itself is NaN
        return None
    if isinstance(value, str | bool | int | float):
        return value
    return str(value)


def _table(facts: TableFacts, frame: pd.DataFrame) -> TableDetails:
    return TableDetails(
        name=facts.name,
        title=facts.title,
        dimensions=facts.dimensions,
        measures=tuple(measure.name for measure in facts.measures),
        rows=len(frame),
        columns=tuple(_column(name, facts) for name in column_order(facts.dimensions)),
        formats=FORMATS,
    )


def _column(name: str, facts: TableFacts) -> Column:
    field = field_of(name, facts)
    return Column(
        name=name, type=str(field["type"]), description=str(field.get("description") or field.get("title", ""))
    )
