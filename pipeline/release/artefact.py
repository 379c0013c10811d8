"""The private release: noisy tables and everything public about how they were made.

This is the last type that any later stage reads. It holds no true count, so nothing after it can tell one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

from pipeline import documents
from pipeline.documents import Document
from pipeline.errors import LedgerError
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import Audience, Population

# Columns of every table after its dimensions, with their pandas types.
ROW_COLUMNS: Final[dict[str, str]] = {
    "kind": "string",  # total | group | remainder
    "value": "Int64",  # displayed count; missing where withheld
    "value_lo": "Int64",  # 95 % interval of the true (bounded) count
    "value_hi": "Int64",
    "estimate": "float64",  # before rounding and clamping; missing where withheld
    "noise_sd": "float64",  # standard deviation of the noise in the estimate
    "obs_status": "string",  # SDMX CL_OBS_STATUS: A normal, Q suppressed
    "conf_status": "string",  # SDMX CL_CONF_STATUS: F free, C under the threshold, D folded to protect another
}


class LevelFacts(Document):
    """How the counts of one level were made; a level is one grouping, drawn once, shared by tables."""

    table: str = ""
    """Empty where tables over people share the level; otherwise the table that has it alone."""
    dimensions: tuple[str, ...]
    """Empty for the total."""
    max_groups: int
    """l0: in how many groups of this level one person counts at most."""
    mechanism: Literal["discrete Laplace", "none"]
    """``none`` only where epsilon is infinite."""
    epsilon: str
    """Of the level; one person's effect on all its groups together."""
    delta_selection: str
    """Probability that a group is released because of one person who is alone beyond k - 1."""
    delta_remainder: str
    """Probability with which the rule for remainders may show."""
    scale: float
    """Scale of the noise, max_groups / epsilon."""
    noise_sd: float
    """Standard deviation of one count."""
    threshold: int
    """Smallest noisy count that is released."""


class TableFacts(Document):
    """One table, as people read it."""

    name: str
    title: str
    dimensions: tuple[str, ...]
    dimension_titles: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    """The closed, public key list of each dimension."""
    max_groups: int
    measure: Literal["people", "people in groups"]
    """``people in groups`` where a person may count in up to max_groups groups."""


class ReleaseHeader(Document):
    """Everything public about a release."""

    release: str
    title: str
    description: str
    owner: str
    purpose: str
    population: Population
    unit: str
    """Privacy unit in words."""
    period: str
    period_start: str
    """ISO date, inclusive."""
    period_end: str
    """ISO date, exclusive."""
    revision: int
    site: str
    publisher: str
    contact: str
    synthetic: bool
    epsilon: str
    delta: str
    k: int
    levels: tuple[LevelFacts, ...]
    tables: tuple[TableFacts, ...]
    audiences: dict[Audience, tuple[str, ...]]
    specification_sha256: str
    code_version: str


@dataclass(frozen=True)
class PrivateRelease:
    """Noisy tables, drawn once.

    Attributes:
        header: Everything public about it.
        tables: By name. One row a group; columns: the table's dimensions, then ``ROW_COLUMNS``.
    """

    header: ReleaseHeader
    tables: Mapping[str, pd.DataFrame]

    @property
    def key(self) -> ReleaseKey:
        """Its identity."""
        return ReleaseKey(self.header.release, self.header.period, self.header.revision)

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal releases have equal bytes."""
        tables = {name: _columns(frame) for name, frame in self.tables.items()}
        content = {"header": self.header.model_dump(mode="json"), "tables": tables}
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> PrivateRelease:
        """Read what ``to_bytes`` wrote.

        Raises:
            LedgerError: It is no such thing.
        """
        try:
            document = json.loads(content)
            header, columns = document["header"], document["tables"]
        except (ValueError, KeyError, TypeError):
            raise LedgerError(
                "an artefact must be canonical JSON", remedy="Restore the ledger from a backup."
            ) from None
        parsed = documents.parse(header, ReleaseHeader, LedgerError, "artefact")
        tables = {facts.name: _frame(columns[facts.name], facts.dimensions) for facts in parsed.tables}
        return cls(parsed, tables)

    @property
    def sha256(self) -> str:
        """Digest of the canonical bytes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def _columns(frame: pd.DataFrame) -> dict[str, list[object]]:
    # column -> list of values, missing ones as None
    return {str(name): [None if pd.isna(item) else item for item in column.tolist()] for name, column in frame.items()}


def _frame(columns: dict[str, list[object]], dimensions: tuple[str, ...]) -> pd.DataFrame:
    types = {**dict.fromkeys(dimensions, "string"), **ROW_COLUMNS}
    return pd.DataFrame({name: pd.array(columns[name], dtype=kind) for name, kind in types.items()})  # type: ignore[call-overload]
