"""What the protocol of Delta Sharing answers: lists as one line of JSON, tables as lines of JSON."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
from fastapi.responses import Response

from pipeline.delivery.catalogue import Held
from pipeline.errors import DeliveryError
from pipeline.portal.files import Listed
from pipeline.publication.encoding import arrow_schema
from pipeline.release.artefact import TableFacts

VERSION_HEADER: Final = "Delta-Table-Version"
_LIST: Final = "application/json; charset=utf-8"
_LINES: Final = "application/x-ndjson; charset=utf-8"
_MOST: Final = 1_000
_TYPES: Final[dict[pa.DataType, str]] = {
    pa.date32(): "date",
    pa.int32(): "integer",
    pa.int64(): "long",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.string(): "string",
}
_SPACE: Final = uuid.UUID("a4a7c8a6-5f2c-4a0e-9d0a-2f6d0b1f7c11")  # of ids that are made of names


def page_of(items: Sequence[Mapping[str, str]], most: str | None, after: str | None) -> Response:
    """A list, or the next part of it.

    Args:
        items: All of them.
        most: How many to answer, as it was asked.
        after: What the part before said is next, as it was asked.

    Raises:
        DeliveryError: One of the two is none that this server gave or takes.
    """
    first, size = _number(after, 0, "pageToken"), _number(most, _MOST, "maxResults")
    told: dict[str, object] = {"items": list(items[first : first + size])}
    if first + size < len(items) and size:
        told["nextPageToken"] = str(first + size)
    return Response(json.dumps(told), media_type=_LIST)


def _number(asked: str | None, usual: int, name: str) -> int:
    if asked in (None, ""):
        return usual
    if not (asked and asked.isascii() and asked.isdigit() and len(asked) < 7):
        raise DeliveryError(f"{name} must be a number that this server gave or takes", remedy="Leave it out.")
    return int(asked)


def lines_of(parts: Iterable[Mapping[str, object]], version: int) -> Response:
    """Parts of a table's description, one a line."""
    content = "".join(f"{json.dumps(part)}\n" for part in parts)
    return Response(content, media_type=_LINES, headers={VERSION_HEADER: str(version)})


def identity_of(*names: str) -> str:
    """An id that stays the same for the same names."""
    return str(uuid.uuid5(_SPACE, "/".join(names)))


def protocol() -> dict[str, object]:
    """What a reader must know to read."""
    return {"protocol": {"minReaderVersion": 1}}


def metadata(held: Held, facts: TableFacts) -> dict[str, object]:
    """What a table is: its columns, as Spark names types."""
    fields = [
        {"name": field.name, "type": _TYPES[field.type], "nullable": True, "metadata": {}}
        for field in arrow_schema(facts)
    ]
    described: dict[str, Any] = {
        "id": identity_of(held.edition.product, held.edition.period, facts.name),
        "name": facts.name,
        "description": facts.title,
        "format": {"provider": "parquet"},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": [],
        "configuration": {},
        "version": held.edition.revision,
    }
    return {"metaData": described}


def file_of(held: Held, listed: Listed, address: str, until: dt.datetime) -> dict[str, object]:
    """The one file of a version, and the address at which it is read for a while."""
    issued = dt.datetime.fromisoformat(held.edition.issued)
    return {
        "file": {
            "url": address,
            "id": listed.sha256,
            "partitionValues": {},
            "size": listed.bytes,
            "stats": json.dumps({"numRecords": listed.rows or 0}),
            "version": held.edition.revision,
            "timestamp": int(issued.timestamp() * 1000),
            "expirationTimestamp": int(until.timestamp() * 1000),
        }
    }
