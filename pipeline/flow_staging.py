"""From sources to checked staging: what DAG tasks and the command line share.

Arguments and results are references, as in ``flow``.
"""

from __future__ import annotations

from typing import Final

from pipeline.periods import Period
from pipeline.progress import Progress, silent
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

_ALL: Final = "all"  # units of a plan


def stage(population: str, period: str, progress: Progress = silent) -> str:
    """Ingest one period of one population; returns ``visitors/2026-W41``."""
    from pipeline.deidentify.customers import stage_customers
    from pipeline.deidentify.visitors import stage_visitors
    from pipeline.site import load_site

    workspace = Workspace.from_environment()
    site = load_site(workspace.site_file)
    who, when = Population(population), Period.parse(period)
    run = stage_visitors if who is Population.VISITORS else stage_customers
    run(workspace, site, when, progress)
    return f"{population}/{period}"


def plan_reading(period: str) -> str:
    """Share out a period's visitor logs into units of work; returns references to them, with blanks between them.

    Where Spark is the engine, it spreads them itself, and one reference stands for all.
    """
    from pipeline.deidentify.settings import ReadingSettings
    from pipeline.deidentify.visitors import plan_visitors
    from pipeline.people.settings import EngineName, EngineSettings
    from pipeline.site import load_site

    workspace, settings = Workspace.from_environment(), ReadingSettings.from_environment()
    on_spark = EngineSettings.from_environment().engine is EngineName.SPARK
    token, units = plan_visitors(workspace, load_site(workspace.site_file), Period.parse(period), settings.unit_bytes)
    return " ".join(f"{token}.{unit}" for unit in ([_ALL] if on_spark else range(units)))


def read_unit(period: str, unit: str, progress: Progress = silent) -> str:
    """Read a unit of a period's visitor logs, or all on Spark; returns the reference to it."""
    from pipeline.deidentify.visitors import read_visitors
    from pipeline.site import load_site

    workspace, when = Workspace.from_environment(), Period.parse(period)
    token, _, number = unit.partition(".")
    if number == _ALL:
        from pipeline.people.spark_reading import read_on_spark

        read_on_spark(workspace, when, token)
    else:
        read_visitors(workspace, load_site(workspace.site_file), when, token, int(number), progress)
    return unit


def finish_reading(period: str, unit: str, progress: Progress = silent) -> str:
    """Put together what the units of a run have left, of which ``unit`` is one; returns ``visitors/2026-W41``."""
    from pipeline.deidentify.visitors import finish_visitors
    from pipeline.site import load_site

    workspace = Workspace.from_environment()
    site, token = load_site(workspace.site_file), unit.partition(".")[0]
    finish_visitors(workspace, site, Period.parse(period), token, progress)
    return f"{Population.VISITORS}/{period}"


def check_staging(population: str, period: str) -> str:
    """Run the suites on how a period was read and on its staging; without these verdicts nothing is drawn from it.

    Raises:
        ChecksFailedError: A check failed.
    """
    from pipeline.deidentify.locks import held
    from pipeline.deidentify.obeying import settled
    from pipeline.deidentify.staging import write_checks
    from pipeline.site import load_site
    from pipeline.validation import staging as suites

    workspace, who, when = Workspace.from_environment(), Population(population), Period.parse(period)
    with held(workspace, who, when):
        staging = settled(workspace, who, when)
        verdicts = suites.check_staging(workspace, load_site(workspace.site_file), staging)
        write_checks(staging, verdicts.to_bytes())
    verdicts.require()
    return f"{population}/{period}"
