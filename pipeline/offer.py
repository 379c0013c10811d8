"""What a population offers to a release: dimensions, quantities, the period of a person, and the year's budget.

A site file offers this for a deployment; whoever uses the package on a frame of their own writes it down directly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.periods import PeriodKind
from pipeline.site import BudgetCap, SiteFile
from pipeline.vocabulary import Dimension, Population, Quantity


@dataclass(frozen=True)
class Publisher:
    """Who publishes.

    Attributes:
        site: Name for people to read.
        name: Of the publisher; the site's if it has none.
        contact: Where recipients turn to.
        synthetic: True where nobody in the sources exists.
    """

    site: str
    name: str = ""
    contact: str = ""
    synthetic: bool = False


@dataclass(frozen=True)
class Offer:
    """What a specification may ask for.

    Attributes:
        period: In which a person is one person (the privacy unit).
        dimensions: By name.
        quantities: What events carry and can be added up, by name.
        cap: What all releases about the population may spend together over a rolling year.
        publisher: Who publishes.
    """

    period: PeriodKind
    dimensions: Mapping[str, Dimension]
    quantities: Mapping[str, Quantity]
    cap: BudgetCap
    publisher: Publisher


def offer_of(site: SiteFile, population: Population) -> Offer:
    """What a site offers of a population.

    Raises:
        ConfigurationError: The site has no such population.
    """
    publisher = Publisher(site.site, site.publisher or site.site, site.contact, site.synthetic)
    return Offer(
        site.period_kind(population),
        site.dimensions(population),
        site.quantities(population),
        site.budget[population],
        publisher,
    )
