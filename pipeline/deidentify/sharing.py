"""Shares out the logs of a period into units of work, which any process may read in any order, at any time.

A unit is some files, or a span of one that is large; small files share one. Files that may hold the same lines are of
one unit, which reads each content once, so that no unit need know what another one reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Final

from pipeline.deidentify.staging import ContentRead
from pipeline.deidentify.units import ERRORS, SOURCE, Plan, PlannedFile, PlannedSpan, Unit, digest_of, sources_of
from pipeline.periods import Period
from pipeline.site import LogSource, SiteFile
from pipeline.sources.blocks import cut, first_lines
from pipeline.sources.formats import is_line_by_line, open_format
from pipeline.sources.formats.detection import LOOKED_AT
from pipeline.sources.heads import Head, PrefixDigest, families, heads_of
from pipeline.sources.logs import LogFile

# Half-filled ones among them there may be twice as many; Airflow maps a task over a thousand values at most.
MOST_UNITS: Final = 400
# Who plans reads a file once to cut it. That is worth it where the others would wait for who reads it.
_LARGE: Final = 2  # times of what a unit holds
_FEW: Final = 64  # so many units have enough to do for all machines there are
_AT_ONCE: Final = 8  # files that are cut at the same time
_TIMES_UNPACKED: Final = 8  # the bytes of a log that is unpacked, in those of the packed one, about


@dataclass(frozen=True)
class Logs:
    """The logs of a period, as they were found: visitor logs and error logs; and of each what was read before."""

    files: Mapping[str, Sequence[LogFile]]
    earlier: Mapping[str, Sequence[ContentRead]]


def in_one(site: SiteFile, period: Period, logs: Logs) -> Plan:
    """The plan that one process reads everything, in one unit."""
    assert site.visitors is not None
    sources = sources_of(site.visitors)
    files = {
        what: tuple(
            PlannedFile(address=file.address, label=file.label, source=sources[what].index(file.source), size=file.size)
            for file in logs.files[what]
        )
        for what in sources
    }
    everything = Unit(logs=tuple(range(len(files[SOURCE]))), errors=tuple(range(len(files[ERRORS]))))
    earlier = {what: tuple(logs.earlier.get(what, ())) for what in sources}
    return Plan(period=str(period), site=digest_of(site), files=files, earlier=earlier, units=(everything,))


def shared_out(site: SiteFile, period: Period, logs: Logs, unit_bytes: int) -> Plan:
    """The plan that many processes read the logs.

    Args:
        site: Its ``visitors``.
        period: Which.
        logs: Of the period.
        unit_bytes: Of unpacked logs, what a unit holds, about; more where there would be more than ``MOST_UNITS``.

    Raises:
        SourceError: A file cannot be read.
    """
    return _Sharing(site, logs, unit_bytes).plan(in_one(site, period, logs))


class _Sharing:
    """The making of one plan."""

    def __init__(self, site: SiteFile, logs: Logs, unit_bytes: int) -> None:
        self._site, self._logs = site, logs
        self._heads = {what: heads_of(files) for what, files in logs.files.items()}
        self._sets = {what: families(files, self._heads[what]) for what, files in logs.files.items()}
        self._total = sum(self._weight(what, places) for what, found in self._sets.items() for places in found)
        self._most = max(unit_bytes, -(-self._total // MOST_UNITS))

    def plan(self, whole: Plan) -> Plan:
        files = {what: [*map(_begun, whole.files[what], self._heads[what])] for what in whole.files}
        large = [places[0] for places in self._sets[SOURCE] if self._is_cut(places)]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="cutting") as threads:
            found = dict(zip(large, threads.map(self._cut, large), strict=True))
        for place, (told, _) in found.items():
            files[SOURCE][place] = files[SOURCE][place].model_copy(update=told)
        units = [Unit(logs=(place,), span=span) for place, (_, spans) in found.items() for span in spans]
        units += self._filled(found)
        return whole.model_copy(update={"files": {what: tuple(f) for what, f in files.items()}, "units": tuple(units)})

    def _filled(self, without: Mapping[int, object]) -> Iterator[Unit]:
        """Units of whole files, each filled up before the next one is begun."""
        unit, weight = Unit(), 0
        for what, field in ((SOURCE, "logs"), (ERRORS, "errors")):
            for places in self._sets[what]:
                if what == SOURCE and places[0] in without:
                    continue
                more = self._weight(what, places)
                if weight and weight + more > self._most:
                    yield unit
                    unit, weight = Unit(), 0
                unit = unit.model_copy(update={field: (*getattr(unit, field), *places)})
                weight += more
        if weight:
            yield unit

    def _weight(self, what: str, places: Sequence[int]) -> int:
        return sum(
            self._logs.files[what][place].size * (_TIMES_UNPACKED if self._heads[what][place].is_packed else 1)
            for place in places
        )

    def _is_cut(self, places: Sequence[int]) -> bool:
        """Whether a file is read in spans: lines of one must mean the same without those before them."""
        file, head = self._logs.files[SOURCE][places[0]], self._heads[SOURCE][places[0]]
        if len(places) > 1 or head.is_packed or file.size < max(_LARGE * self._most, self._total // _FEW):
            return False
        assert isinstance(file.source, LogSource)
        return is_line_by_line(open_format(file.source, self._site.zone, first_lines(file, LOOKED_AT)))

    def _cut(self, place: int) -> tuple[dict[str, object], list[PlannedSpan]]:
        """What is known of the file when it was cut, and its spans."""
        earlier, file = self._logs.earlier.get(SOURCE, ()), self._logs.files[SOURCE][place]
        digest = PrefixDigest({content.bytes for content in earlier})
        spans = cut(file, -(-file.size // self._most), digest.update)
        found = digest.finish()
        met = tuple(number for number, one in enumerate(earlier) if found.get(one.bytes) == one.sha256)
        told: dict[str, object] = {"sha256": digest.sha256, "met": met}
        return told, [PlannedSpan(**asdict(span)) for span in spans]


def _begun(file: PlannedFile, head: Head) -> PlannedFile:
    return file.model_copy(update={"begins": head.longest})
