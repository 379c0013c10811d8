"""Cuts: the part of an audience's tables that one recipient may read, and the folder that holds it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Final

from pydantic import Field

from pipeline.documents import Document
from pipeline.vocabulary import Audience

SHELF_PATTERN: Final = r"[a-z]+(-[0-9a-f]{12})?"


class CutFacts(Document):
    """What of an audience's tables a bundle shows, as its manifest says it."""

    tables: tuple[str, ...]
    """Those that were named; all that have the dimensions of ``rows`` where none was."""
    columns: dict[str, tuple[str, ...]]
    """By table: dimensions and further measures that are shown, where not all are."""
    rows: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]]
    """By dimension: the keys of which rows are shown."""
    totals: bool
    """Whether rows about all keys of these dimensions, and about all others, are shown."""


@dataclass(frozen=True)
class Cut:
    """A part of what an audience receives of a product.

    Two recipients with equal cuts read the same bundle. A cut takes rows away and changes no number: it is
    post-processing of the one noisy release.

    Attributes:
        audience: Of which kind its recipients are.
        tables: Names; empty for all tables of the audience.
        columns: By table: the dimensions, from the first on, and the measures beside people that are shown; a table
            that is not named is shown with all of them. People, intervals and noise are always shown.
        rows: By dimension: the keys of which rows are shown. A table without the dimension is left out unless
            ``tables`` names it, and is whole then.
        totals: Whether rows that speak of all keys, or of all others, of a dimension in ``rows`` are shown.
    """

    audience: Audience
    tables: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    totals: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it takes nothing away from what the audience receives."""
        return not (self.tables or self.columns or self.rows)

    @property
    def facts(self) -> CutFacts:
        """What a manifest says of it."""
        return CutFacts(tables=self.tables, columns=dict(self.columns), rows=dict(self.rows), totals=self.totals)

    @classmethod
    def of(cls, audience: Audience, facts: CutFacts) -> Cut:
        """The cut that a manifest speaks of."""
        return cls(audience, facts.tables, facts.columns, facts.rows, facts.totals)

    @cached_property
    def shelf(self) -> str:
        """The folder of its bundles beneath ``published``: ``reseller``, or ``reseller-0123456789ab`` for a part."""
        if self.is_whole:
            return str(self.audience)
        parts = {
            "tables": sorted(self.tables),
            "columns": {table: sorted(names) for table, names in sorted(self.columns.items())},
            "rows": {dimension: sorted(keys) for dimension, keys in sorted(self.rows.items())},
            "totals": self.totals,
        }
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
        return f"{self.audience}-{digest[:12]}"
