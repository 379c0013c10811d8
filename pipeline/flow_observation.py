"""What can be told of a site at a moment, as numbers: what the ledger, requests, notices and the disk say.

As in ``flow``, heavy parts are imported where they are used. No true count of people is in any of it; see
``observation.metrics``.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline import flow
from pipeline.errors import DemographicsError
from pipeline.observation import metrics
from pipeline.observation.metrics import Metric, Sample, in_hundreds, label
from pipeline.observation.settings import ObservationSettings
from pipeline.periods import Period
from pipeline.vocabulary import Population
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.privacy.chain import Entry
    from pipeline.review.decisions import Register
    from pipeline.spec import ReleaseKey

_HOUR = dt.timedelta(hours=1)


def gauges(now: dt.datetime | None = None) -> tuple[Sample, ...]:
    """What is so now. Where the ledger cannot be read, that is told, and what does not need it.

    Args:
        now: The moment, with a time zone; this one if left out.

    Raises:
        ConfigurationError: There is no site, or its file is invalid.
    """
    workspace, now = Workspace.from_environment(), now or dt.datetime.now(dt.UTC)
    told = [*_of_disk(workspace), *_of_backups(now)]
    try:
        told += _of_ledger(workspace, now)
    except DemographicsError:
        return (*told, _sample(metrics.LEDGER_UP, 0))
    return (*told, _sample(metrics.LEDGER_UP, 1))


def ingested(population: str, period: str) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """What an ingestion that has just ended adds to counters, and what it sets.

    Args:
        population: Whose staging.
        period: Of which period.

    Returns:
        Counters by how much they grow, then gauges.

    Raises:
        StagingError: There is no such staging.
    """
    from pipeline.deidentify.staging import load_staging

    who = Population(population)
    manifest = load_staging(Workspace.from_environment(), who, Period.parse(period)).manifest
    told, digits = (in_hundreds, 2) if who is Population.CUSTOMERS else (int, 4)
    counters, shares = [], []
    for name, source in manifest.sources.items():
        labels = {"population": population, "source": label(name)}
        counters += [
            _sample(metrics.LINES_READ, told(source.read - source.carried), **labels),
            _sample(metrics.LINES_STAGED, told(source.used), **labels),
        ]
        counters += [
            _sample(metrics.LINES_REJECTED, told(lines), **labels, reason=label(reason))
            for reason, lines in source.rejected.items()
        ]
        share = sum(source.rejected.values()) / source.read if source.read else 0.0
        shares.append(_sample(metrics.REJECTED_SHARE, round(share, digits), **labels))
    return tuple(counters), tuple(shares)


def _sample(metric: Metric, value: float, **labels: str) -> Sample:
    return Sample(metric, value, labels)


def _of_disk(workspace: Workspace) -> Iterator[Sample]:
    space = shutil.disk_usage(workspace.home)
    yield _sample(metrics.DISK_FREE, space.free)
    yield _sample(metrics.DISK_FREE_SHARE, round(space.free / space.total, 4))


def _of_backups(now: dt.datetime) -> Iterator[Sample]:
    folder = ObservationSettings.from_environment().backups
    made = [path.stat().st_mtime for path in folder.iterdir()] if folder is not None and folder.is_dir() else []
    if made:
        yield _sample(metrics.BACKUP_AGE, _hours(now - dt.datetime.fromtimestamp(max(made), dt.UTC)))


def _of_ledger(workspace: Workspace, now: dt.datetime) -> Iterator[Sample]:
    from pipeline.review.decisions import Register

    register = Register.of(workspace)
    yield from _of_budget(workspace)
    yield from _of_releases(register)
    yield from _of_reviews(register, now)
    yield from _of_requests(workspace, now)
    yield from _of_notices(workspace)


def _of_budget(workspace: Workspace) -> Iterator[Sample]:
    from pipeline.site import load_site

    spent = {facts.population: facts.left for facts in flow.budgets()}
    for population, cap in sorted(load_site(workspace.site_file).budget.items()):
        labels = {"population": population.value}
        yield _sample(metrics.BUDGET_CAP, cap.epsilon, **labels)
        yield _sample(metrics.BUDGET_LEFT, spent.get(population, cap.epsilon), **labels)
        yield _sample(metrics.BUDGET_DELTA, cap.delta, **labels)


def _of_releases(register: Register) -> Iterator[Sample]:
    from pipeline.privacy.chain import EntryKind
    from pipeline.release.artefact import PrivateRelease
    from pipeline.release.figures import people_of, withheld_share

    published, withdrawn = _keys_of(register, EntryKind.PUBLISHED), _keys_of(register, EntryKind.WITHDRAWN)
    yield _sample(metrics.RELEASES_PUBLISHED, len(published - withdrawn))
    yield _sample(metrics.RELEASES_WITHDRAWN, len(withdrawn))
    ends = {key: one.period_end for key, one in register.ledger.reservations()}
    newest = {key.release: key for key in sorted(published - withdrawn, key=lambda key: (ends[key], key.revision))}
    for release, key in sorted(newest.items()):
        drawn = PrivateRelease.from_bytes(register.ledger.artefact(key) or b"")
        people, withheld = people_of(drawn), withheld_share(drawn)
        if people is not None:
            yield _sample(metrics.PEOPLE_RELEASED, people.value, release=release)
        if withheld is not None:
            yield _sample(metrics.WITHHELD_SHARE, round(withheld, 4), release=release)


def _keys_of(register: Register, kind: object) -> set[ReleaseKey]:
    return {key for key, entries in register.histories.items() if any(entry.kind is kind for entry in entries)}


def _of_reviews(register: Register, now: dt.datetime) -> Iterator[Sample]:
    waiting = register.waiting()
    since = [_checked(register.histories[key]) for key in waiting]
    yield _sample(metrics.REVIEWS_WAITING, len(waiting))
    yield _sample(metrics.REVIEWS_OLDEST, _hours(now - min(since)) if since else 0)


def _checked(entries: tuple[Entry, ...]) -> dt.datetime:
    from pipeline.privacy.chain import EntryKind

    return dt.datetime.fromisoformat(next(one.at for one in reversed(entries) if one.kind is EntryKind.CHECKED))


def _of_requests(workspace: Workspace, now: dt.datetime) -> Iterator[Sample]:
    from pipeline.rights.deadlines import look

    seen = look(workspace, now)
    yield _sample(metrics.REQUESTS_WAITING, len(seen.ages))
    yield _sample(metrics.REQUESTS_OLDEST, _hours(seen.ages[0].age) if seen.ages else 0)
    yield _sample(metrics.REQUESTS_LATE, len(seen.warned))
    yield _sample(metrics.REQUESTS_OVERDUE, len(seen.overdue))


def _of_notices(workspace: Workspace) -> Iterator[Sample]:
    from pipeline.delivery.outbox import Outbox, State

    outbox = Outbox.of(workspace)
    yield _sample(metrics.NOTICES_WAITING, outbox.waiting())
    yield _sample(metrics.NOTICES_FAILED, len(outbox.listed(State.FAILED)))


def _hours(age: dt.timedelta) -> float:
    return round(max(age / _HOUR, 0.0), 2)


def text_of(samples: tuple[Sample, ...]) -> str:
    """Samples as Prometheus reads them."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    families = {
        metric: Gauge(metric.name, metric.meaning, metric.labels, registry=registry)
        for metric in dict.fromkeys(sample.metric for sample in samples)
    }
    for sample in samples:
        family = families[sample.metric]
        (family.labels(**sample.labels) if sample.labels else family).set(sample.value)
    return generate_latest(registry).decode()
