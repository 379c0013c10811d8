"""Cuts: the part of an audience's tables that one recipient may read, and the folder that holds it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pipeline.vocabulary import Audience


@dataclass(frozen=True)
class Cut:
    """A part of what an audience receives of a product.

    Two recipients with equal cuts read the same bundle. A cut takes rows away and changes no number: it is
    post-processing of the one noisy release.

    Attributes:
        audience: Of which kind its recipients are.
        tables: Names; empty for all tables of the audience.
        columns: By table: the dimensions, from the first on, and the measures that are shown; a table that is not named
            is shown with all of them. Numbers keep their intervals and noise, whatever is cut.
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
