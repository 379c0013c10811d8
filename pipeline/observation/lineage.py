"""OpenLineage events of the DAGs: which data sets a task reads and writes, and nothing of people, runs or code.

Two settings of Airflow's provider lead here; docs/observe.md has them. ``StageExtractor`` names the data sets of
each task. ``OnlyDataSets`` stands before whatever transport carries events away, and takes everything else out: Airflow
would tell what somebody gave a run, who started it, owners, paths and messages of errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
from airflow.providers.openlineage import conf
from airflow.providers.openlineage.extractors.base import BaseExtractor, OperatorLineage
from openlineage.client.event_v2 import Dataset, InputDataset, Job, OutputDataset, Run, RunEvent
from openlineage.client.transport.transform import EventTransformer

from pipeline.observation.redaction import redacted
from pipeline.vocabulary import Audience, Population

SCHEME: Final = "demographics://"
# Facets that hold closed words, times and ids alone.
_RUN_FACETS: Final = frozenset({"nominalTime", "parent", "processing_engine"})
_JOB_FACETS: Final = frozenset({"jobType"})
_STAGING: Final = tuple(f"staging/{population.value}" for population in Population)
# Of each task: what it reads, and what it writes. ``{release}``, ``{staging}`` and ``{published}`` are the DAG's.
_FLOWS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "ingest_visitors.plan": (("sources/visitor_logs",), ()),
    "ingest_visitors.read": (("sources/visitor_logs",), ()),
    "ingest_visitors.finish": (("sources/visitor_logs",), ("staging/visitors",)),
    "ingest_visitors.check": (("staging/visitors",), ()),
    "ingest_customers.stage": (("sources/customers", "sources/orders"), ("staging/customers",)),
    "ingest_customers.check": (("staging/customers",), ()),
    "export.draw": (("{staging}",), ("releases/{release}",)),
    "export.validate": (("releases/{release}",), ()),
    "export.await_review": (("releases/{release}",), ()),
    "export.publish": (("releases/{release}",), ("{published}",)),
    "subject_requests.collect": (("sources/requests",), ("requests",)),
    "subject_requests.apply": (("requests",), _STAGING),
    "subject_requests.watch": (("requests",), ()),
    "retention.purge": ((), _STAGING),
    "periodic_review.review": (("published",), ()),
    "deliver.send": (("published",), ("delivered",)),
}
_EXPORT: Final = "export_"


def data_sets(dag: str, task: str, tags: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of what a task reads and writes.

    Args:
        dag: Its id.
        task: Its id.
        tags: Of the DAG: an export's name its population and its audiences.

    Returns:
        Inputs and outputs; none of a task that is not known.
    """
    kind = "export" if dag.startswith(_EXPORT) else dag
    reads, writes = _FLOWS.get(f"{kind}.{task}", ((), ()))
    release, words = dag.removeprefix(_EXPORT), frozenset(tags)
    names = {
        "{staging}": tuple(f"staging/{one.value}" for one in Population if one.value in words),
        "{published}": tuple(f"published/{one.value}/{release}" for one in Audience if f"for {one.value}" in words),
    }
    return _filled(reads, release, names), _filled(writes, release, names)


def _filled(patterns: Iterable[str], release: str, names: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(name for pattern in patterns for name in names.get(pattern, (pattern.replace("{release}", release),)))


class StageExtractor(BaseExtractor):
    """Tells the provider which data sets a task of ours reads and writes."""

    @classmethod
    def get_operator_classnames(cls) -> list[str]:
        """Of ``@task``, and of the task that waits for reviewers."""
        return ["_PythonDecoratedOperator", "PythonDecoratedOperator", "AwaitReview", "EmptyOperator"]

    def _execute_extraction(self) -> OperatorLineage[Any, Any]:
        reads, writes = data_sets(self.operator.dag_id, self.operator.task_id, self.operator.dag.tags)
        return OperatorLineage(inputs=[_named(name) for name in reads], outputs=[_named(name) for name in writes])


def _named(name: str) -> Dataset:
    return Dataset(f"{SCHEME}{conf.namespace()}", name)


class OnlyDataSets(EventTransformer):
    """Leaves of an event its job, its run's id and times, and our data sets; everything else is taken out."""

    def transform(self, event: Any) -> RunEvent | None:
        """An event that names no person; None where it is of a kind that tells of no run."""
        if not isinstance(event, RunEvent):
            return None
        job = event.job
        return attrs.evolve(
            event,
            run=Run(event.run.runId, _kept(event.run.facets, _RUN_FACETS)),
            job=Job(redacted(job.namespace), redacted(job.name), _kept(job.facets, _JOB_FACETS)),
            inputs=[InputDataset(one.namespace, one.name) for one in _ours(event.inputs)],
            outputs=[OutputDataset(one.namespace, one.name) for one in _ours(event.outputs)],
        )


def _kept(facets: Mapping[str, Any] | None, names: frozenset[str]) -> dict[str, Any]:
    return {name: facet for name, facet in (facets or {}).items() if name in names}


def _ours(found: Iterable[Any] | None) -> Iterable[Any]:
    return (one for one in found or () if one.namespace.startswith(SCHEME))
