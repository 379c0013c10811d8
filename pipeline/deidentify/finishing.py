"""What units left of a period's logs, put together: its staging, and what became of every line."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.deidentify import errors, requests
from pipeline.deidentify.accounting import Accounting, Verdicts
from pipeline.deidentify.drafts import write_events
from pipeline.deidentify.error_lines import ERRORS as TOLD
from pipeline.deidentify.obeying import obey
from pipeline.deidentify.places import Place
from pipeline.deidentify.reading import FileRead, Reading, UnitRead
from pipeline.deidentify.requests import NO_REQUEST, OUTSIDE
from pipeline.deidentify.staging import ContentRead, SourceCounts, StagingManifest
from pipeline.deidentify.tables import EVENTS
from pipeline.deidentify.tombstones import Effects, Tombstones, effects_of
from pipeline.deidentify.units import ERRORS, SOURCE
from pipeline.errors import SourceError, StagingError
from pipeline.periods import Period
from pipeline.progress import Progress
from pipeline.sources.contents import without_lines
from pipeline.vocabulary import Population

_ASKED = pa.schema([("person", pa.string()), ("digest", pa.string())])


@dataclass(frozen=True)
class Finish:
    """The end of one reading of a period.

    Attributes:
        reading: Whose units were read.
        read: The facts of each unit, in order.
        tombstones: Those that the units looked for.
    """

    reading: Reading
    read: Sequence[UnitRead]
    tombstones: Tombstones

    def write(self, target: Place, progress: Progress) -> StagingManifest:
        """Write the events of those who did not ask to be left out, and say what they were made of.

        Args:
            target: The place of the period.
            progress: Told of visits that are followed.

        Raises:
            SourceError: The logs hold no line, what was read before is gone, or (RejectShareError) too many lines were
                rejected.
            StagingError: No line is of the period, or none is a person's.
        """
        manifest = obey(target, self._written(target, progress), self._effects())
        if not manifest.sources[SOURCE].used:
            raise _of_nobody(self.reading.period)
        return manifest

    def _written(self, target: Place, progress: Progress) -> StagingManifest:
        visitors, period = self.reading.site.visitors, self.reading.period
        assert visitors is not None
        contents = {SOURCE: self._contents(SOURCE)}
        if not contents[SOURCE]:
            raise without_lines()
        self._require_earlier(SOURCE, contents[SOURCE])
        counts = {SOURCE: requests.accounting_of(self._verdicts(SOURCE), self._labels(SOURCE))}
        counts[SOURCE].require_share(SOURCE, visitors.max_rejected_share)
        _require_visitors(counts[SOURCE], period, self._covered())
        told = None
        if visitors.error_logs:
            contents[ERRORS] = self._contents(ERRORS)
            self._require_earlier(ERRORS, contents[ERRORS])
            told = self.reading.rows_of((one.errors for one in self.read), TOLD)
        sections = self.reading.site.dimensions(Population.VISITORS)["section"].keys
        drafts = [one.requests for one in self.read if one.requests]
        written = write_events(self.reading.drafts, drafts, target, sections, told, progress)
        if visitors.error_logs:
            counts[ERRORS] = errors.accounting_of(self._verdicts(ERRORS), written.errors, self._labels(ERRORS))
            counts[ERRORS].require_share(ERRORS, visitors.max_rejected_share)
        return StagingManifest(
            population=Population.VISITORS,
            period=str(period),
            sources={name: SourceCounts.of(accounting) for name, accounting in counts.items()},
            contents=contents,
            formats=dict(Counter(file.format for one in self.read for file in one.files if file.format)),
            buckets=written.buckets,
            files={EVENTS: written.files},
        )

    def _effects(self) -> Effects:
        asked = self.reading.rows_of((one.asked for one in self.read), _ASKED)
        pairs = zip(*(asked.column(name).to_pylist() for name in _ASKED.names), strict=True)
        return effects_of(self.tombstones.stones, set(pairs))

    def _verdicts(self, what: str) -> Verdicts:
        return Verdicts.together(one.of_requests if what == SOURCE else one.of_errors for one in self.read)

    def _labels(self, what: str) -> list[str]:
        return [file.label for file in self.reading.plan.files[what]]

    def _contents(self, what: str) -> tuple[ContentRead, ...]:
        """What was read, in the order in which the files were found; spans of a file are one content."""
        read: dict[int, list[FileRead]] = {}
        for file in (file for one in self.read for file in one.files if file.what == what):
            read.setdefault(file.file, []).append(file)
        return tuple(self._content(what, number, read[number]) for number in sorted(read))

    def _content(self, what: str, number: int, parts: Sequence[FileRead]) -> ContentRead:
        planned, lines = self.reading.plan.files[what][number], sum(part.lines for part in parts)
        if planned.sha256:
            return ContentRead(sha256=planned.sha256, bytes=planned.size, lines=lines)
        return ContentRead(sha256=parts[0].sha256, bytes=parts[0].bytes, lines=lines)

    def _require_earlier(self, what: str, contents: Sequence[ContentRead]) -> None:
        earlier = self.reading.plan.earlier[what]
        met = {number for file in self.reading.plan.files[what] for number in file.met}
        met |= {number for one in self.read for number in one.met.get(what, ())}
        gone = [one for number, one in enumerate(earlier) if number not in met]
        if gone:
            raise SourceError(
                f"what the {what} of {self.reading.period} held when they were read before must still be there",
                value=f"{len(gone)} of {len(gone) + len(contents)} files gone or changed, with "
                f"{sum(one.lines for one in gone):,} lines",
                remedy="Put them back where the site file looks for them. To begin the period anew without them, "
                "remove its folder of staging.",
            )

    def _covered(self) -> tuple[dt.date, dt.date] | None:
        """First and last day of the lines with a readable time, in the site's zone."""
        times = [time for one in self.read if one.times for time in one.times]
        if not times:
            return None
        zone = self.reading.site.zone
        first, last = (dt.datetime.fromtimestamp(edge(times), zone).date() for edge in (min, max))
        return first, last


def _require_visitors(accounting: Accounting, period: Period, covered: tuple[dt.date, dt.date] | None) -> None:
    if accounting.used:
        return
    if covered is None:
        raise StagingError(
            f"the visitor logs must have lines of {period}",
            value="none: no line has a readable time",
            remedy="Check the format in the site file.",
        )
    if set(accounting.left_out) - {OUTSIDE, NO_REQUEST}:
        raise _of_nobody(period)
    first, last = covered
    periods = " to ".join(dict.fromkeys(str(Period.containing(day, period.kind)) for day in covered))
    raise StagingError(
        f"the visitor logs must have lines of {period}",
        value=f"none: the logs cover {first} to {last}",
        remedy=f"Name a period of {periods}, or add logs.",
    )


def _of_nobody(period: Period) -> StagingError:
    return StagingError(
        "a period must have at least one request of a person with a browser",
        value="only bots, monitors, one's own networks, requests without an agent, and people who asked to be left "
        f"out, in {period}",
        remedy="Name another period.",
    )
