"""Tells Airflow's own metrics what a stage came to: StatsD, DogStatsD or OpenTelemetry, as Airflow is configured.

Whatever goes wrong here stops no task.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import opentelemetry.metrics
from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats
from opentelemetry.sdk.metrics import MeterProvider

from pipeline import flow_observation
from pipeline.errors import DemographicsError, kind_and_place
from pipeline.observation import metrics
from pipeline.observation.metrics import Kind, Sample
from pipeline.vocabulary import Population

_WATCHING: Final = frozenset({"deliver_everything", "watch_requests"})  # these run by the clock, and often
_PATIENCE: Final = 5_000  # milliseconds
_SWITCHES: Final = ("statsd_on", "statsd_datadog_enabled", "otel_on")

_About = TypeVar("_About")

_log: Final = logging.getLogger(__name__)


def succeeded(stage: str, *references: str) -> None:
    """A stage came to its end.

    Args:
        stage: Its name.
        references: What it was called with.
    """
    _told(_of_success, stage, references)


def failed(stage: str, failure: BaseException) -> None:
    """A stage stopped; of the failure the class alone is told."""
    _told(_of_failure, stage, failure)


def _told(samples: Callable[[str, _About], Iterable[Sample]], stage: str, about: _About) -> None:
    try:
        if any(conf.getboolean("metrics", switch, fallback=False) for switch in _SWITCHES):
            for sample in samples(stage, about):
                _tell(sample)
            _send()
    except Exception as failure:  # noqa: BLE001 - a number that is missing is no reason to stop
        _log.warning("Metrics of %s cannot be told: %s", stage, kind_and_place(failure))


def _tell(sample: Sample) -> None:
    tags = dict(sample.labels)
    if sample.metric.kind is Kind.COUNTER:
        stats.incr(sample.metric.stat, int(sample.value), tags=tags)
    else:
        stats.gauge(sample.metric.stat, sample.value, tags=tags)


def _send() -> None:
    """Send at once what OpenTelemetry collects: the process of a task ends without sending it."""
    if conf.getboolean("metrics", "otel_on", fallback=False):
        provider = opentelemetry.metrics.get_meter_provider()
        if isinstance(provider, MeterProvider):
            provider.force_flush(_PATIENCE)


def _of_success(stage: str, references: tuple[str, ...]) -> Iterable[Sample]:
    yield Sample(metrics.STAGE_SUCCESS, int(time.time()), {"stage": stage})
    if stage == "finish_reading":
        yield from _of_ingestion(Population.VISITORS.value, references[0])
    elif stage == "stage":
        yield from _of_ingestion(*references)
    elif stage in _WATCHING:
        yield from flow_observation.gauges()


def _of_ingestion(population: str, period: str) -> Iterable[Sample]:
    counters, shares = flow_observation.ingested(population, period)
    yield from counters
    yield from shares


def _of_failure(stage: str, failure: BaseException) -> Iterable[Sample]:
    error = type(failure).__name__ if isinstance(failure, DemographicsError) else "other"
    yield Sample(metrics.STAGE_FAILURES, 1, {"stage": stage, "error": error})
    if stage in _WATCHING:  # a request is overdue, or a store does not answer: that is when numbers are looked at
        yield from flow_observation.gauges()
