"""What is counted in one go, whichever engine counts it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.deidentify.staging import Staging
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import Population


@dataclass(frozen=True)
class Counting:
    """One specification on one period's staging.

    Attributes:
        bound: What is counted.
        staging: Of the population and period.
        covering: Of customers, the versions of the policy that cover the release.
        secret: Keys the choice of groups.
    """

    bound: BoundSpecification
    staging: Staging
    covering: frozenset[str]
    secret: bytes = field(repr=False)

    @property
    def of_customers(self) -> bool:
        """Whether those alone count whom a covering version binds."""
        return self.staging.population is Population.CUSTOMERS

    @property
    def subject(self) -> str:
        """For messages: ``visitors of 2026-W41``."""
        return f"{self.staging.population} of {self.staging.period}"

    def covered(self, versions: Iterable[str | None]) -> list[str]:
        """Of the values of ``policy_versions``, those of customers who count.

        A value without any version is one empty name, ``policy.NO_VERSION``.
        """
        told = [value for value in versions if value is not None]
        return [value for value in told if self.covering.intersection(value.split(" "))]
