"""A release explains itself: every step from the sources to the numbers, in words that a privacy reviewer can follow.

Reads the artefact and plain facts that it is given; no true count is among them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from pipeline.privacy.budget import Epsilon
from pipeline.privacy.noise import DiscreteLaplace
from pipeline.release.artefact import LevelFacts, PrivateRelease, ReleaseHeader, TableFacts
from pipeline.vocabulary import UNIT_NAMES, Population

VISITOR_ORIGINS: Final = {
    "country": "the network address, looked up offline; the address is not kept",
    "operating_system": "the user agent, its family without a version; the agent is not kept",
    "browser": "the user agent, its family without a version; the agent is not kept",
    "language": "the language field of the log, the most wanted one without its region",
    "referrer_class": "the referring address, as one of a few classes; the address is not kept",
    "referrer_domain": "the referring address, named only where the site file names its registered domain",
    "section": "the path, as the section of the site that the site file's rules put it into; no path is kept",
    "status_class": "the status of the answer, its first digit",
    "hour": "the time of the request in the site's time zone, its hour",
    "weekday": "the time of the request in the site's time zone, its day of the week",
}
# Of this source a line is a person, so that its counts of lines would be true counts of people.
_ONE_LINE_A_PERSON: Final = "customers"
_WIDTH: Final = 110
_IDENTITIES: Final = {
    Population.VISITORS: "Visitors are told apart by network address and user agent",
    Population.CUSTOMERS: "Customers are told apart by the key column that the site file declares",
}
_FOLDING: Final = {
    Population.VISITORS: "What a visitor has one of (country, system, ...) is the value that most of the visitor's "
    "requests in the period have, of equals the first by alphabet. It depends on nobody else's requests.",
    Population.CUSTOMERS: "A customer has one record, of which each dimension is one value; of repeated keys one "
    "record is kept.",
}


class LineCounts(Protocol):
    """What became of the lines of one source."""

    @property
    def read(self) -> int:
        """Lines read."""

    @property
    def used(self) -> int:
        """Lines that went into staging."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """Lines that are fine but not wanted, by reason."""

    @property
    def rejected(self) -> Mapping[str, int]:
        """Lines that could not be used, by reason."""


@dataclass(frozen=True)
class Cost:
    """What a release costs, and its population's year.

    Attributes:
        epsilon: Of this release alone, composed, at ``delta``; infinite without noise.
        delta: Of the population's cap.
        spent: Epsilon of the year to the end of the period, this release included.
        cap: Epsilon that may be spent in it.
        year_to: Day on which that year ends, ISO date.
    """

    epsilon: float
    delta: float
    spent: float
    cap: float
    year_to: str


@dataclass(frozen=True)
class Checks:
    """The newest verdicts.

    Attributes:
        at: When they were recorded.
        passed: How many checks hold.
        of: How many there are.
        failed: Those that do not hold, in words.
        sha256: Of the verdicts.
    """

    at: str
    passed: int
    of: int
    failed: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class Decision:
    """The newest decision.

    Attributes:
        at: When.
        verb: ``approved`` or ``rejected``.
        reviewer: Who decided.
        reason: Why.
        scripted: True where a script decided.
        stands: False where the candidate has changed since.
        candidate_sha256: What was decided on.
    """

    at: str
    verb: str
    reviewer: str
    reason: str
    scripted: bool
    stands: bool
    candidate_sha256: str


@dataclass(frozen=True)
class History:
    """What the ledger says of a release.

    Attributes:
        reserved_at: When its budget was reserved.
        drawn_at: When its noise was drawn.
        artefact_sha256: Of the noisy tables.
        cost: In epsilon and delta.
        checks: None where it was not checked yet.
        decision: None where nobody decided yet.
        published_at: Empty where it is not published.
        manifests: Digests of the bundles' manifests by audience.
    """

    reserved_at: str
    drawn_at: str
    artefact_sha256: str
    cost: Cost
    checks: Checks | None = None
    decision: Decision | None = None
    published_at: str = ""
    manifests: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Step:
    """One step of the way, as sentences."""

    title: str
    lines: tuple[str, ...]


def explain(
    release: PrivateRelease,
    sources: Mapping[str, LineCounts] | None = None,
    history: History | None = None,
    origins: Mapping[str, str] = VISITOR_ORIGINS,
) -> str:
    """Every step from source to number, in words.

    Args:
        release: The artefact.
        sources: What became of the lines of each source; None where staging is there no more.
        history: What the ledger says; None leaves these steps out.
        origins: From what each dimension is made.

    Returns:
        Numbered steps, one sentence or row a line.
    """
    header = release.header
    found = [*_making(header, sources, origins), *_counting(header), *_showing(release)]
    found += _keeping(header, history) if history else ()
    parts = [f"{number}. {step.title}\n" + _indented(step) for number, step in enumerate(found, start=1)]
    return "\n\n".join([f"{release.key}: {header.title}\n{_summary(header)}", *parts])


def _summary(header: ReleaseHeader) -> str:
    synthetic = " The sources are synthetic: nobody in them exists." if header.synthetic else ""
    return f"How its numbers came about, step by step. No true count of people is told here.{synthetic}"


def _indented(step: Step) -> str:
    # Sentences are wrapped; rows of tables begin with a space and are left as they are.
    lines = (
        [line] if line.startswith(" ") else textwrap.wrap(line, _WIDTH, break_on_hyphens=False) for line in step.lines
    )
    return "\n".join(f"   {line}" for wrapped in lines for line in wrapped)


def _making(
    header: ReleaseHeader, sources: Mapping[str, LineCounts] | None, origins: Mapping[str, str]
) -> Iterator[Step]:
    yield Step("Sources: what was read and what was left out", tuple(_source_lines(sources)))
    named = dict.fromkeys(name for table in header.tables for name in table.dimensions)
    made = (f"{name}: {origins.get(name, 'a column that the site file declares no more')}." for name in named)
    key = "; what remains is a pseudonym, an HMAC-SHA-256 under a secret key of the period."
    yield Step("De-identification, in the memory of the reading task", (_IDENTITIES[header.population] + key, *made))
    unit = f"The privacy unit is {header.unit}: what is hidden is whether one of them was there, and all they did."
    yield Step("People", (unit, _FOLDING[header.population]))


def _source_lines(sources: Mapping[str, LineCounts] | None) -> Iterator[str]:
    if sources is None:
        yield "The period's staging is there no more, so how many lines were read cannot be told."
        return
    for name, counts in sources.items():
        if name == _ONE_LINE_A_PERSON:
            yield f"{name}: a line is a person here, so no number of lines is told, only why some were not used."
        else:
            yield f"{name}: {counts.read:,} lines read, {counts.used:,} used."
        yield f"  left out (fine, but not wanted): {_reasons(name, counts.left_out)}"
        yield f"  rejected (could not be used): {_reasons(name, counts.rejected)}"
    yield "Lines of the staging that is there now; the period may have been ingested again since the draw."


def _reasons(source: str, counts: Mapping[str, int]) -> str:
    told = "" if source == _ONE_LINE_A_PERSON else " {:,}"
    return ", ".join(reason + told.format(count) for reason, count in sorted(counts.items()) if count) or "none"


def _counting(header: ReleaseHeader) -> Iterator[Step]:
    yield Step("Bounding: how often one person counts", tuple(_bounds(header)))
    lists = (f"{table.name}: {_lists(table)}." for table in header.tables)
    closed = "Every dimension has a closed, public list of keys. That a key is listed says nothing about anybody."
    yield Step("Grouping by closed public lists", (closed, *lists))
    yield Step("Selection: which groups are released", tuple(_selection(header)))
    yield Step("Noise", tuple(_noise(header)))


def _bounds(header: ReleaseHeader) -> Iterator[str]:
    person = UNIT_NAMES[header.population]
    for table in header.tables:
        if table.measure == "people":
            yield f"{table.name}: max_groups 1; a {person} is in one group and counts once."
        else:
            yield f"{table.name}: max_groups {table.max_groups}; a {person} counts once in each of at most so many."
    if any(table.measure != "people" for table in header.tables):
        yield (
            f"Who is in more groups than that counts in a choice of them, by a keyed hash of {person} and group. "
            "The choice of one does not depend on who else is there."
        )


def _lists(table: TableFacts) -> str:
    return ", ".join(f"{name} has {len(keys):,} keys" for name, keys in zip(table.dimensions, table.keys, strict=True))


def _selection(header: ReleaseHeader) -> Iterator[str]:
    yield f"Hard minimum: a group of fewer than k = {header.k:,} people never meets the noise, and is never released."
    if any(level.mechanism == "none" for level in header.levels):
        yield "There is no noise in this release, so the minimum is all that decides."
        return
    yield "Of the others those are released whose noisy count, the one that is shown, reaches the level's threshold."
    yield "It lies so far above k that one person alone makes a group appear with a probability of delta at most."
    rows = ((_words(level, header), f"{level.threshold:,}", level.delta_selection) for level in header.levels)
    yield from _columns(("level", "threshold", "delta"), rows)


def _noise(header: ReleaseHeader) -> Iterator[str]:
    if any(level.mechanism == "none" for level in header.levels):
        yield "None (epsilon is infinite): made for comparing with exact answers, and for nobody to receive."
        return
    yield "One draw of discrete Laplace noise for each count, from the operating system's random source, once."
    yield (
        "Its scale is max_groups / epsilon of the level; sd is its standard deviation. A level is one grouping: "
        "tables over people share it, so that a total costs once and reads the same in all of them."
    )
    rows = (
        (
            _words(level, header),
            f"{float(level.epsilon):.4g}",
            f"{level.scale:.2f}",
            f"{level.noise_sd:.2f}",
            f"{_half(level):,}",
        )
        for level in header.levels
    )
    yield from _columns(("level", "epsilon", "scale", "sd", "95 % within +-"), rows)


def _half(level: LevelFacts) -> int:
    return DiscreteLaplace(Epsilon.of(level.epsilon), level.max_groups).half_width()


def _words(level: LevelFacts, header: ReleaseHeader) -> str:
    what = ", ".join(level.dimensions) or f"all {header.population}"
    return f"{what} (in {level.table})" if level.table else what


def _columns(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    # The first column is words, to the left; the others are numbers, to the right.
    every = [heads, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(heads))]
    for first, *numbers in every:
        cells = (number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True))
        yield "  " + "  ".join([first.ljust(widths[0]), *cells])


def _showing(release: PrivateRelease) -> Iterator[Step]:
    k, levels = release.header.k, release.header.levels
    yield Step("Withheld rows", tuple(_withheld(release)))
    yield Step(
        "Remainders",
        (
            "What a row has beyond its listed parts is told as 'all other', and never speaks of fewer than k people. "
            "It stands alone only where the noisy numbers themselves show that it is large enough; otherwise the "
            "smallest listed part, which surely has k people, is folded into it (D above). That rule costs no epsilon; "
            f"of delta it is paid {max(levels, key=lambda one: float(one.delta_remainder)).delta_remainder} a level.",
        ),
    )
    yield Step(
        "Consistency, from noisy numbers alone",
        (
            "The parts of a row, 'all other' included, add up to it. Where every part is listed, what is missing is "
            f"spread evenly; values are whole numbers of at least {k:,}. 'estimate' is the number before that.",
        ),
    )
    yield Step(
        "Intervals",
        (
            "95 % intervals are of the bounded count: the estimate, give or take the width of its noise (for a "
            f"remainder, of the sum of noises), from {k:,} upwards, and wide enough to hold the value that is shown.",
        ),
    )


def _withheld(release: PrivateRelease) -> Iterator[str]:
    yield "C: fewer than k people, or a noisy count under the threshold; which of the two, or nobody, is not told."
    yield "D: released, but folded into 'all other' to protect a remainder. Rows below a withheld row are not listed."
    rows = (_tally(release, table) for table in release.header.tables)
    yield from _columns(("table", "rows", "listed", "all other", "C", "D"), rows)


def _tally(release: PrivateRelease, table: TableFacts) -> tuple[str, ...]:
    frame = release.tables[table.name]
    rest = int((frame["kind"] == "remainder").sum())
    free, under, folded = (int((frame["conf_status"] == mark).sum()) for mark in ("F", "C", "D"))
    return (table.name, *(f"{count:,}" for count in (len(frame), free - rest, rest, under, folded)))


def _keeping(header: ReleaseHeader, history: History) -> Iterator[Step]:
    cost = history.cost
    yield Step(
        "Budget",
        (
            f"Reserved {history.reserved_at}, before any noise was drawn: epsilon {header.epsilon} at delta "
            f"{header.delta}, for all tables and audiences together.",
            f"Composed: epsilon {cost.epsilon:.4g} at delta {cost.delta:.3g}, the delta of the yearly cap.",
            f"The year to {cost.year_to}: epsilon {cost.spent:.4g} of {cost.cap:g} is spent on {header.population}, "
            "this release included.",
        ),
    )
    drawn = f"Drawn {history.drawn_at}, once; every later run returns these bytes, SHA-256 {history.artefact_sha256}."
    specified = f"By the specification with SHA-256 {header.specification_sha256}, version {header.code_version}."
    yield Step("Draw", (drawn, specified))
    yield Step("Checks", tuple(_checks(history.checks)))
    yield Step("Decision", tuple(_decision(history.decision)))
    yield Step("Publication", tuple(_publication(header, history)))


def _checks(checks: Checks | None) -> Iterator[str]:
    if checks is None:
        yield "Not checked yet."
        return
    yield f"{checks.at}: {checks.passed:,} of {checks.of:,} checks passed, SHA-256 of the verdicts {checks.sha256}."
    yield from (f"failed: {check}" for check in checks.failed)


def _decision(decision: Decision | None) -> Iterator[str]:
    if decision is None:
        yield "Not decided yet: nothing is published without a reviewer's approval."
        return
    who = f"{decision.reviewer}, a script, not a person" if decision.scripted else decision.reviewer
    yield f"{decision.at}: {decision.verb} by {who}. Reason: {decision.reason}"
    yield f"Decided on specification, tables and checks together, SHA-256 {decision.candidate_sha256}."
    if not decision.stands:
        yield "It holds no more: the candidate has changed since."


def _publication(header: ReleaseHeader, history: History) -> Iterator[str]:
    if not history.published_at:
        yield "Not published yet."
        return
    yield f"Published {history.published_at}. All audiences hold rows of the one draw; SHA-256 of each manifest:"
    yield from _columns(("audience", "manifest"), iter(sorted((history.manifests or {}).items())))
    unread = sorted({str(audience) for audience in header.audiences} - set(history.manifests or {}))
    yield from (f"{audience}: no bundle" for audience in unread)
