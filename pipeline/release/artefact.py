"""The private release: noisy tables and everything public about how they were made.

This is the last type that any later stage reads. It holds no true count, so nothing after it can tell one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import pandas as pd

from pipeline import documents
from pipeline.documents import Document
from pipeline.errors import LedgerError
from pipeline.measures import Scope
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import PEOPLE, Audience, Population

# Columns of every table after its dimensions, with their pandas types.
ROW_COLUMNS: Final[dict[str, str]] = {
    "kind": "string",  # total | group | remainder
    "measure": "string",  # what is told of the group: the name of one of the table's measures
    "value": "Int64",  # displayed number; missing where withheld; Float64 in tables with a mean
    "value_lo": "Int64",  # 95 % interval of the true (bounded) number
    "value_hi": "Int64",
    "estimate": "float64",  # least-squares estimate before rounding and clamping; missing where withheld
    "noise_sd": "float64",  # standard deviation of the noise in the estimate
    # SDMX CL_OBS_STATUS: A normal, U low reliability (near the threshold, where selection biases upwards), Q suppressed
    "obs_status": "string",
    "conf_status": "string",  # SDMX CL_CONF_STATUS: F free, C under the threshold, D folded to protect another
}
_NUMBERS: Final = ("value", "value_lo", "value_hi")


class LevelFacts(Document):
    """How the counts of one level were made; a level is one grouping, drawn once, shared by tables."""

    table: str = ""
    """Empty where tables over people share the level; otherwise the table that has it alone."""
    dimensions: tuple[str, ...]
    """Empty for the total."""
    max_groups: int
    """l0: in how many groups of this level one person counts at most."""
    quantity: str = PEOPLE
    """What is counted: ``people``, ``events``, or a quantity of the site."""
    limit: int = 1
    """The most that one person adds, in each group or in all groups together."""
    scope: Scope = Scope.GROUP
    """Over what the limit reaches."""
    largest: int = 1
    """By how much one person can change one count."""
    cells: int = 1
    """In how many counts one person can make the largest change at once."""
    mechanism: Literal["discrete Laplace", "discrete Gaussian", "none"]
    """``none`` only where epsilon is infinite."""
    epsilon: str
    """Of the level, one person's effect on all its groups together; empty for Gaussian noise, which has none alone."""
    delta_selection: str
    """Probability that a group is released because of one person who is alone beyond k - 1; 0 where people are not
    counted, which selects nothing."""
    delta_remainder: str
    """Probability with which the rule for remainders may show; 0 likewise."""
    scale: float
    """Scale of the noise: L1 sensitivity / epsilon for Laplace, sigma for Gaussian noise."""
    noise_sd: float
    """Standard deviation of the noise of one count."""
    threshold: int
    """Smallest noisy count that is released; 0 where people are not counted: the people of a group decide."""


class MeasureFacts(Document):
    """One measure of a table, as people read it."""

    name: str
    """What stands in the column ``measure``."""
    title: str
    unit: str
    """What one of it is."""
    kind: Literal["people", "events", "sum", "mean"]
    quantity: str = ""
    """What is counted; empty for a mean."""
    limit: int = 0
    """The most that one person adds; 0 for a mean."""
    scope: Scope = Scope.GROUP
    """Over what the limit reaches."""
    numerator: str = ""
    """Of a mean: name of the measure that is divided."""
    denominator: str = ""
    """Of a mean: name of the measure by which it is divided."""


class TableFacts(Document):
    """One table, as people read it."""

    name: str
    title: str
    dimensions: tuple[str, ...]
    dimension_titles: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    """The closed, public key list of each dimension."""
    private: tuple[str, ...] = ()
    """Dimensions whose keys are not public: of these only released groups are listed."""
    max_groups: int
    measure: Literal["people", "people in groups"]
    """What the table counts: ``people in groups`` where a person may count in up to max_groups groups."""
    measures: tuple[MeasureFacts, ...]
    """What is told of each group; people first, under the name ``measure``."""


class ReleaseHeader(Document):
    """Everything public about a release."""

    release: str
    title: str
    description: str
    owner: str
    purpose: str
    """Its name in the privacy policy; in own words where there is none."""
    purpose_text: str = ""
    """The policy's words for it."""
    policy_version: str = ""
    """The version of the policy that was in force when it was drawn."""
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
    noise: str
    """The mechanism of the counts: ``discrete Laplace``, ``discrete Gaussian``, or ``none``."""
    delta_noise: str = "0"
    """Of delta, what the composition of the noise takes; selection and remainders take the rest."""
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
        tables: By name. One row a group and measure; columns: the table's dimensions, then ``ROW_COLUMNS``.
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
        return cls(parsed, {facts.name: _frame(columns[facts.name], facts) for facts in parsed.tables})

    @property
    def sha256(self) -> str:
        """Digest of the canonical bytes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def _columns(frame: pd.DataFrame) -> dict[str, list[object]]:
    # column -> list of values, missing ones as None
    return {str(name): _values(column) for name, column in frame.items()}


def _values(column: pd.Series[Any]) -> list[object]:
    # a value that differs from itself is NaN
    return [None if value is pd.NA or value != value else value for value in column.tolist()]  # noqa: PLR0124


def column_types(facts: TableFacts) -> dict[str, str]:
    """Pandas types of a table's columns, in their order."""
    types = {**dict.fromkeys(facts.dimensions, "string"), **ROW_COLUMNS}
    fractions = any(measure.kind == "mean" for measure in facts.measures)
    return types | dict.fromkeys(_NUMBERS, "Float64") if fractions else types


def _frame(columns: dict[str, list[object]], facts: TableFacts) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.array(columns[name], dtype=kind) for name, kind in column_types(facts).items()}  # type: ignore[call-overload]
    )
