"""From staging to bounded groups, in SQL, in DuckDB or on Spark.

People first: attributes of a person are folded to one value a person, so that a table over them counts everybody
once. Where a person may be in many groups, at most max_groups of them are kept, chosen by a keyed hash: everybody's
choice is their own and does not depend on who else is there.

Of customers those count whom a version of the privacy policy binds that covers the release; nobody else of them, and
nothing that anybody else did.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pyarrow as pa

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.deidentify.staging import Staging
from pipeline.errors import StagingError
from pipeline.people.counting import Counting
from pipeline.people.duckdb_staging import duckdb_levels
from pipeline.people.groups import BoundedGroups
from pipeline.people.settings import EngineName, EngineSettings
from pipeline.people.spark_staging import spark_levels
from pipeline.progress import Progress, silent
from pipeline.site import POLICY_VERSIONS
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import EVENTS, PEOPLE, Population


def bounded_groups(
    bound: BoundSpecification,
    staging: Staging,
    key: PeriodKey,
    spill: Path,
    progress: Progress = silent,
    *,
    covering: Collection[str] = (),
) -> BoundedGroups:
    """Fold, bound and group one period's staging, in the engine of ``EngineSettings``.

    Args:
        bound: What is counted.
        staging: Of the population and period.
        key: Of the period; the choice of groups is keyed with a secret derived from it for this release.
        spill: Folder for the engine's temporary files.
        progress: Told after each share of the people.
        covering: Of customers, the versions of the policy that cover the release, as ``Policy.covering`` has them. Who
            is bound by none of them does not count; without any nobody does. Visitors are bound by none by name.

    Returns:
        All levels of the specification, exact counts.

    Raises:
        StagingError: A column is not of the kind it must be, or there is no room for temporary files.
        ConfigurationError: Spark is not there, or not what its settings say; or the engine has too little memory.
    """
    settings = EngineSettings.from_environment()
    secret = key.derive(f"bounding/{bound.specification.release}/{staging.period}")
    counting = Counting(bound, staging, frozenset(covering), secret)
    if settings.engine is EngineName.SPARK:
        levels = spark_levels(counting, settings, spill, progress)
    else:
        levels = duckdb_levels(counting, settings, spill, progress)
    return BoundedGroups(staging.population, staging.period, levels)


def require_dimensions(bound: BoundSpecification, staging: Staging) -> None:
    """Check that staging has a column for each dimension and each quantity of the tables, and one for who may count.

    Raises:
        StagingError: The site file, or the program, has changed since the period was ingested.
    """
    events = staging.events.schema if staging.events else None
    held = {name for table in (staging.events, staging.persons) if table for name in table.columns}
    missing = {d.name for table in bound.tables for d in table.dimensions} - held
    if staging.population is Population.CUSTOMERS:
        missing |= {POLICY_VERSIONS} - held
    if events is not None:
        whole = {field.name for field in events if pa.types.is_integer(field.type)}
        missing |= (
            {total.measured.quantity for table in bound.tables for total in table.totals} - {PEOPLE, EVENTS} - whole
        )
    if missing:
        raise StagingError(
            "staging must hold every dimension and every quantity of the release's tables",
            value=f"no {', '.join(sorted(missing))} in {staging.population} of {staging.period}",
            remedy="Ingest the period again: the site file or the program has changed since.",
        )
