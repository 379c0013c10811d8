"""What differs between the SQL of the two engines, so that people, bounds and groups are defined once.

All else of a query is what both read alike, and stands in ``relations``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Dialect:
    """Spellings of one engine's SQL.

    Attributes:
        quote: Stands around names, and is doubled inside them.
        text: The type of texts of any length.
        once: Behind the ``AS`` of a common table expression that is to be computed once, where the engine can be told.
        secret: Where the secret stands that keys the choice of groups: never in the SQL.
        person: A person's name as the text that is hashed.
        digest: SHA-256 in lower hexadecimal digits of ``{}``, a text.
        total: The sum of ``{}``, whole numbers of 64 bits, which no number of rows can overflow.
        least: Of rows with a number ``{number}`` and a text ``{value}``, the text of the least pair; a missing text
            comes after all others. ``{where}`` is a FILTER, or nothing.
    """

    quote: str
    text: str
    once: str
    secret: str
    person: str
    digest: str
    total: str
    least: str

    def quoted(self, name: str) -> str:
        """A name of a column or relation."""
        return f"{self.quote}{name.replace(self.quote, 2 * self.quote)}{self.quote}"


DUCKDB: Final = Dialect(
    quote='"',
    text="VARCHAR",
    once="MATERIALIZED ",
    secret="$secret",  # noqa: S106  the name of a parameter
    person="person",
    digest="sha256({})",
    total="sum({})",  # of 128 bits
    least="(min({{'less': {number}, 'value': {value}}}){where}).value",
)
# Spark keeps parameters in its plans, which its pages and event logs show, but not the rows of a relation.
SECRET_RELATION: Final = "bounding_secret"  # noqa: S105  a name
SPARK: Final = Dialect(
    quote="`",
    text="STRING",
    once="",
    secret=f"(SELECT secret FROM {SECRET_RELATION})",
    person="CAST(person AS STRING)",
    digest="sha2({}, 256)",
    total="sum(CAST({} AS DECIMAL(38, 0)))",
    least="(min(struct({number} AS less, {value} IS NULL AS missing, {value} AS value)){where}).value",
)
