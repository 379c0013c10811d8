"""The database table of requests: read only, each id taken once.

A row is known again by a keyed digest of its id. One whose content changes later under the same id is not taken again:
ask anew under another id. Ids that stand there twice with different content are not taken, since one of the two would
be lost; both are kept as something that cannot be used.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.deidentify.subject_key import SubjectKey
from pipeline.errors import SourceError
from pipeline.rights.contents import Unusable
from pipeline.rights.intake import Collected, keep, understood
from pipeline.rights.parsing import FIELDS, outline
from pipeline.rights.store import Incoming, Origin, RequestStore
from pipeline.site import SiteFile
from pipeline.sources.tables import Table, open_table
from pipeline.workspace import Workspace

_ID: Final = "id"
_REQUIRED: Final = (_ID, "request", "population")
_LABEL: Final = "subject requests"


@dataclass(frozen=True)
class _Row:
    identity: str = field(repr=False)
    fields: dict[str, object] = field(repr=False)

    @property
    def told(self) -> str:
        return json.dumps(self.fields, sort_keys=True)


def collect_table(store: RequestStore, workspace: Workspace, site: SiteFile, now: dt.datetime) -> Collected:
    """Take in the rows of the table that were not taken before, in one transaction.

    Args:
        store: Where requests are kept.
        workspace: Of the site; a relative SQLite path is relative to its site file.
        site: Declares the table, or none.
        now: When the requests were received, unless they say so.

    Raises:
        ConfigurationError: The key is missing or another one. Nothing was taken.
        SourceError: The table cannot be reached or read, has no column ``id``, ``request`` or ``population``, or holds
            rows that are no text; every other row was taken.
    """
    if site.subject_requests is None:
        return Collected()
    table = open_table(site.subject_requests.source, workspace.site_file.parent)
    names = [name for name in FIELDS if name in table.columns]
    _require_columns(table)
    rows = list(_rows(table, names))
    if not rows:
        return _complete(table, Collected())
    taken = store.row_keys(Origin.TABLE)
    return _complete(table, keep(store, list(_incoming(rows, store.key, site, now, taken))))


def _require_columns(table: Table) -> None:
    counts = {name: table.columns.count(name) for name in (_ID, *FIELDS)}
    if wrong := [name for name, count in counts.items() if count > 1 or (name in _REQUIRED and not count)]:
        raise SourceError(
            f"{_LABEL}: the table must have the columns {', '.join(_REQUIRED)}, and each column of a request once",
            value=f"something else of {', '.join(wrong)}",
            remedy="Read a view that names them so.",
        )


def _rows(table: Table, names: Sequence[str]) -> Iterator[_Row]:
    for batch in table.batches([_ID, *names]):
        for identity, *values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield _Row((identity or "").strip(), dict(zip(names, values, strict=True)))


def _incoming(
    rows: Sequence[_Row], key: SubjectKey, site: SiteFile, now: dt.datetime, taken: frozenset[str]
) -> Iterator[Incoming]:
    """What is new among the rows, each once."""
    contents: dict[str, set[str]] = {}
    for row in rows:
        contents.setdefault(row.identity, set()).add(row.told)
    seen = set(taken)
    for row in rows:
        problem = ""
        if not row.identity:
            problem = "a row must have an id"
        elif len(contents[row.identity]) > 1:
            problem = "an id must be of one row"
        row_key = key.fingerprint(f"row {row.identity}" + (f" {row.told}" if problem else ""))
        if row_key in seen:
            continue
        seen.add(row_key)
        if problem:
            told = outline(row.fields, site, now)
            unusable = Unusable(row.fields, problem, told.received, told.kind, told.population)
            yield Incoming(unusable, Origin.TABLE, row_key)
        else:
            yield Incoming(understood(row.fields, site, now), Origin.TABLE, row_key)


def _complete(table: Table, found: Collected) -> Collected:
    if table.rejected.total():
        raise SourceError(
            f"{_LABEL}: every row must be text that can be read",
            value="rows that cannot be; the others were taken",
            remedy="Correct their encoding in the table.",
        )
    return found
