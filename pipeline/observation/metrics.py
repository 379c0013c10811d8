"""Every metric of the product: name, kind, unit, labels and meaning. Nothing else may be told.

None tells how many people there are, or are in a group, but for what a published release tells: that is noisy, and
has been paid for. Counts of lines of logs are exact, because a line is no person. Of customers and orders, where a row
is a person or belongs to one, lines are told in hundreds, so that two readings do not show that somebody was erased.
Labels are names of populations, sources, reasons, releases and stages, out of closed lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "demographics_"
_COARSE: Final = 100
_WORD: Final = re.compile(r"[^a-z0-9_]+")


class Kind(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"


class Unit(StrEnum):
    """What a metric is counted in."""

    LINES = "lines"
    SHARE = "share, 0 to 1"
    PEOPLE = "people, with noise"
    EPSILON = "epsilon"
    DELTA = "delta"
    REQUESTS = "requests"
    RELEASES = "releases"
    NOTICES = "notices"
    HOURS = "hours"
    BYTES = "bytes"
    SECONDS = "seconds since 1970"
    FAILURES = "failures"
    YES = "1 or 0"


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: As Prometheus has it.
        kind: Counters only grow; gauges are what is so now.
        unit: Of its values.
        labels: What there is one value for each of.
        meaning: In words.
    """

    name: str
    kind: Kind
    unit: Unit
    labels: tuple[str, ...]
    meaning: str

    @property
    def stat(self) -> str:
        """As StatsD and OpenTelemetry have it, behind Airflow's own prefix: ``demographics.lines_read_total``."""
        return self.name.replace("_", ".", 1)


@dataclass(frozen=True)
class Sample:
    """One value of a metric.

    Attributes:
        metric: Which.
        value: In its unit.
        labels: A word for each of its labels.
    """

    metric: Metric
    value: float
    labels: Mapping[str, str]

    def __post_init__(self) -> None:
        if set(self.labels) != set(self.metric.labels):
            raise AssertionError(f"{self.metric.name} has the labels {self.metric.labels}, not {tuple(self.labels)}")


def _counter(name: str, unit: Unit, labels: tuple[str, ...], meaning: str) -> Metric:
    return Metric(f"{PREFIX}{name}_total", Kind.COUNTER, unit, labels, meaning)


def _gauge(name: str, unit: Unit, labels: tuple[str, ...], meaning: str) -> Metric:
    return Metric(f"{PREFIX}{name}", Kind.GAUGE, unit, labels, meaning)


_SOURCE: Final = ("population", "source")

LINES_READ: Final = _counter(
    "lines_read", Unit.LINES, _SOURCE, "Lines or rows read from a source; of customers and orders in hundreds."
)
LINES_STAGED: Final = _counter(
    "lines_staged", Unit.LINES, _SOURCE, "Those that went into staging; of customers and orders in hundreds."
)
LINES_REJECTED: Final = _counter(
    "lines_rejected",
    Unit.LINES,
    (*_SOURCE, "reason"),
    "Those that could not be used, by reason; of customers and orders in hundreds.",
)
REJECTED_SHARE: Final = _gauge(
    "rejected_share",
    Unit.SHARE,
    _SOURCE,
    "Rejected lines of all that were read, at the last ingestion; of customers and orders in hundredths.",
)
STAGE_FAILURES: Final = _counter(
    "stage_failures", Unit.FAILURES, ("stage", "error"), "Tasks that stopped, by stage and by class of the error."
)
STAGE_SUCCESS: Final = _gauge(
    "stage_last_success_timestamp_seconds", Unit.SECONDS, ("stage",), "When a stage last came to its end."
)
PEOPLE_RELEASED: Final = _gauge(
    "people_released", Unit.PEOPLE, ("release",), "The total of the newest published period, as recipients read it."
)
WITHHELD_SHARE: Final = _gauge(
    "withheld_share",
    Unit.SHARE,
    ("release",),
    "Withheld groups of all groups of closed lists, in the newest published period.",
)
BUDGET_CAP: Final = _gauge(
    "budget_cap_epsilon", Unit.EPSILON, ("population",), "What all releases of a year may cost together."
)
BUDGET_LEFT: Final = _gauge(
    "budget_left_epsilon",
    Unit.EPSILON,
    ("population",),
    "What is left of it in the year to the end of the newest period that has a release, at the cap's delta.",
)
BUDGET_DELTA: Final = _gauge(
    "budget_delta", Unit.DELTA, ("population",), "The cap's delta, at which epsilons are composed."
)
REQUESTS_WAITING: Final = _gauge(
    "requests_waiting", Unit.REQUESTS, (), "People's requests that are not in force yet, refused ones included."
)
REQUESTS_OLDEST: Final = _gauge("requests_oldest_hours", Unit.HOURS, (), "The age of the oldest; 0 without one.")
REQUESTS_LATE: Final = _gauge("requests_past_24_hours", Unit.REQUESTS, (), "Those past 24 hours, and not past 48.")
REQUESTS_OVERDUE: Final = _gauge("requests_overdue", Unit.REQUESTS, (), "Those past 48 hours.")
REVIEWS_WAITING: Final = _gauge("reviews_waiting", Unit.RELEASES, (), "Releases that wait for a reviewer's decision.")
REVIEWS_OLDEST: Final = _gauge(
    "reviews_oldest_hours", Unit.HOURS, (), "For how long the first of them has waited; 0 without one."
)
RELEASES_PUBLISHED: Final = _gauge(
    "releases_published", Unit.RELEASES, (), "Revisions of releases that are published and not withdrawn."
)
RELEASES_WITHDRAWN: Final = _gauge("releases_withdrawn", Unit.RELEASES, (), "Revisions of releases that are withdrawn.")
NOTICES_WAITING: Final = _gauge("notices_waiting", Unit.NOTICES, (), "Notices to recipients that are not sent yet.")
NOTICES_FAILED: Final = _gauge("notices_failed", Unit.NOTICES, (), "Notices that were given up and not put back.")
LEDGER_UP: Final = _gauge("ledger_up", Unit.YES, (), "Whether the ledger can be read, and its chain holds.")
DISK_FREE: Final = _gauge("disk_free_bytes", Unit.BYTES, (), "Free space where the site's folder is.")
DISK_FREE_SHARE: Final = _gauge("disk_free_share", Unit.SHARE, (), "The same, of all space there.")
BACKUP_AGE: Final = _gauge(
    "backup_age_hours",
    Unit.HOURS,
    (),
    "The age of what was put last into the folder DEMOGRAPHICS_BACKUPS; untold without one.",
)

CATALOGUE: Final = (
    LINES_READ,
    LINES_STAGED,
    LINES_REJECTED,
    REJECTED_SHARE,
    STAGE_FAILURES,
    STAGE_SUCCESS,
    PEOPLE_RELEASED,
    WITHHELD_SHARE,
    BUDGET_CAP,
    BUDGET_LEFT,
    BUDGET_DELTA,
    REQUESTS_WAITING,
    REQUESTS_OLDEST,
    REQUESTS_LATE,
    REQUESTS_OVERDUE,
    REVIEWS_WAITING,
    REVIEWS_OLDEST,
    RELEASES_PUBLISHED,
    RELEASES_WITHDRAWN,
    NOTICES_WAITING,
    NOTICES_FAILED,
    LEDGER_UP,
    DISK_FREE,
    DISK_FREE_SHARE,
    BACKUP_AGE,
)


def label(text: str) -> str:
    """A word that every monitor takes as a label: ``visitor logs`` is ``visitor_logs``."""
    return _WORD.sub("_", text.lower()).strip("_")


def in_hundreds(lines: int) -> int:
    """A number of rows of people, rounded to hundreds."""
    return round(lines / _COARSE) * _COARSE


def table() -> str:
    """The catalogue as a table in Markdown."""
    rows = [
        f"| `{one.name}` | {one.kind} | {one.unit} | {', '.join(f'`{name}`' for name in one.labels)} | {one.meaning} |"
        for one in CATALOGUE
    ]
    return "\n".join(["| metric | kind | unit | labels | meaning |", "|---|---|---|---|---|", *rows])
