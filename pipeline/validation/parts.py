"""What a part of an audience's tables must show, worked out once more, apart from what writes such parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from pipeline.release.artefact import PrivateRelease, TableFacts
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY, Audience


@dataclass(frozen=True)
class Part:
    """What of an audience's tables a bundle is to show; without anything named, all of them.

    Attributes:
        tables: Names; empty for all.
        columns: By table: the dimensions and further measures to show.
        rows: By dimension: the keys to show.
        totals: Whether rows about all keys and all other keys of these dimensions are shown.
    """

    tables: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    totals: bool = False

    def tables_of(self, release: PrivateRelease, audience: Audience) -> list[TableFacts]:
        """What is public about the tables that are to be there."""
        granted = release.header.audiences.get(audience, ())
        every = [facts for facts in release.header.tables if facts.name in granted]
        shown = [self._shown(facts) for facts in every if facts.name in (self.tables or granted)]
        return [facts for facts in shown if facts.dimensions and self._is_to_be_there(facts)]

    def rows_of(self, release: PrivateRelease, facts: TableFacts) -> pd.DataFrame:
        """The released rows of one of these tables."""
        frame = release.tables[facts.name]
        (before,) = (table.dimensions for table in release.header.tables if table.name == facts.name)
        wanted = pd.Series(True, index=frame.index)
        for name in before:
            allowed = self.rows.get(name)
            if name not in facts.dimensions:
                wanted &= frame[name].eq(TOTAL_KEY)
            elif allowed is not None and self.totals:
                wanted &= frame[name].isin({*allowed, TOTAL_KEY, REMAINDER_KEY})
            elif allowed is not None:
                wanted &= frame[name].isin(set(allowed))
        told = {measure.name for measure in facts.measures}
        return frame.loc[wanted & frame["measure"].isin(told)].reset_index(drop=True)

    def _is_to_be_there(self, facts: TableFacts) -> bool:
        return facts.name in self.tables or all(name in facts.dimensions for name in self.rows)

    def _shown(self, facts: TableFacts) -> TableFacts:
        told = self.columns.get(facts.name)
        if told is None:
            deep, measures = len(facts.dimensions), facts.measures
        else:
            deep = 0
            while deep < len(facts.dimensions) and facts.dimensions[deep] in told:
                deep += 1
            measures = tuple(one for one in facts.measures if one.kind == "people" or one.name in told)
        content = facts.model_dump() | {
            "dimensions": facts.dimensions[:deep],
            "dimension_titles": facts.dimension_titles[:deep],
            "private": [name for name in facts.private if name in facts.dimensions[:deep]],
            "keys": [
                [key for key in listed if key in self.rows.get(name, listed)]
                for name, listed in zip(facts.dimensions[:deep], facts.keys[:deep], strict=True)
            ],
            "measures": [measure.model_dump() for measure in measures],
        }
        return TableFacts.model_validate(content)
