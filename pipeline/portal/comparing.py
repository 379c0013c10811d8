"""What changed since the release before, as a page shows it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

import pandas as pd

from pipeline.portal.archive import Archive, PageRegister, digest_of
from pipeline.privacy.chain import EntryKind
from pipeline.publication.words import heading_of, key_label, number_of
from pipeline.release.artefact import MeasureFacts, TableFacts
from pipeline.review.changes import EXCEEDS, Changes, TableChange, changes, previous_key
from pipeline.review.decisions import Register
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import TOTAL_KEY

LARGEST: Final = 15
_FAR: Final = 4.0  # standard deviations: of ten thousand numbers that only noise moves, one goes as far or so
_NAMED: Final = 60


@dataclass(frozen=True)
class Moved:
    """One number that both releases tell.

    Attributes:
        table: Title of the table.
        group: Of whom, in words.
        measure: Of what.
        before: As it was.
        now: As it is.
        difference: With its sign.
        share: The difference in percent of what was before; empty where that is 0.
        z: The difference in standard deviations of both noises together.
        words: Whether that exceeds the noise.
        exceeds: The same for programs.
    """

    table: str
    group: str
    measure: str
    before: str
    now: str
    difference: str
    share: str
    z: float
    words: str
    exceeds: bool


@dataclass(frozen=True)
class Came:
    """Groups of one table that are listed now and were not before, or the other way about."""

    table: str
    groups: tuple[str, ...]
    more: int


@dataclass(frozen=True)
class Comparison:
    """A release beside the one before.

    Attributes:
        before: Which that is.
        largest: The numbers that moved most against their noise, the most of all first.
        compared: How many numbers both tell.
        exceeding: How many of these moved by more than their noise explains.
        appeared: Groups that are new.
        vanished: Groups that are gone.
        withheld: Share of groups withheld before, in percent, by table; of tables that tell it.
        apart: Titles of tables that the release before does not tell alike.
    """

    before: ReleaseKey
    largest: tuple[Moved, ...]
    compared: int
    exceeding: int
    appeared: tuple[Came, ...]
    vanished: tuple[Came, ...]
    withheld: Mapping[str, str]
    apart: tuple[str, ...]

    @property
    def by_chance(self) -> int:
        """How many of the compared numbers noise alone takes beyond the same line, about."""
        return round(0.05 * self.compared)


def comparison_of(archive: Archive, register: PageRegister, key: ReleaseKey) -> Comparison | None:
    """A drawn release beside the one before, as that stood when this one was first checked; None where there was none.

    Raises:
        LedgerError: Something that the ledger recorded is missing, or is another thing.
    """
    before = archive.once(("before", register.stamp, key), lambda: before_of(register, key))
    if before is None:
        return None

    def compare() -> Comparison:
        now, then = archive.drawn(register, key).release, archive.drawn(register, before).release
        return compared(changes(now, then), now.header.tables)

    digests = (digest_of(register, one, EntryKind.DRAWN, "artefact_sha256") for one in (key, before))
    return archive.once(("comparison", key, *digests), compare)


def before_of(register: Register, key: ReleaseKey) -> ReleaseKey | None:
    """The release before, as the ledger stood when this one was checked for the first time."""
    every = sorted((entry for entries in register.histories.values() for entry in entries), key=lambda one: one.number)
    return previous_key(takewhile(lambda one: (one.kind, one.key) != (EntryKind.CHECKED, key), every), key)


def compared(found: Changes, tables: tuple[TableFacts, ...]) -> Comparison:
    """Changes in words."""
    told = [(table, table.rows.assign(far=table.rows["z"].abs())) for table in found.tables]
    every = _numbers(told)
    largest = every.nlargest(LARGEST, "far") if len(every) else every
    return Comparison(
        found.before,
        tuple(_moved(told[int(row["place"])][0].facts, row) for row in largest.to_dict("records")),
        len(every),
        int(every["exceeds_noise"].sum()),
        tuple(_came(found, "value_before", "value")),
        tuple(_came(found, "value", "value_before")),
        {one.facts.title: f"{100 * one.withheld_before:.0f} %" for one in found.tables if _is_told(one)},
        tuple(one.title for one in tables if one.name not in {table.facts.name for table in found.tables}),
    )


def _numbers(told: list[tuple[TableChange, pd.DataFrame]]) -> pd.DataFrame:
    """Every number that both releases tell; one that stands in several tables once, as it was drawn once."""
    if not told:
        return pd.DataFrame({"far": [], "exceeds_noise": []})
    numbers = [
        rows[rows["far"].notna()].assign(place=place, who=_members(table.facts, rows))
        for place, (table, rows) in enumerate(told)
    ]
    every = pd.concat(numbers, ignore_index=True)
    return every.drop_duplicates(["who", "kind", "measure", "value", "value_before", "z"], ignore_index=True)


def _members(facts: TableFacts, rows: pd.DataFrame) -> pd.Series[str]:
    """Whom each row is of, the same in whatever order a table drills down."""
    who = pd.Series("", index=rows.index)
    for name in sorted(facts.dimensions):
        who = who + (f"{name}=" + rows[name].astype(str) + "\x1f").where(rows[name] != TOTAL_KEY, "")
    return who


def _is_told(table: TableChange) -> bool:
    return not table.facts.private and not math.isnan(table.withheld_before)


def _moved(facts: TableFacts, row: Mapping[Hashable, Any]) -> Moved:
    measure = next(one for one in facts.measures if one.name == row["measure"])
    z, before = float(row["z"]), float(row["value_before"])
    return Moved(
        facts.title,
        _group(facts, row),
        _measure(facts, measure),
        number_of(measure, row["value_before"]),
        number_of(measure, row["value"]),
        _signed(number_of(measure, abs(row["difference"])), float(row["difference"])),
        _signed(f"{abs(100 * float(row['difference']) / before):.0f} %", float(row["difference"])) if before else "",
        z,
        _words(abs(z)),
        bool(row["exceeds_noise"]),
    )


def _signed(text: str, value: float) -> str:
    return f"+{text}" if value > 0 else f"\u2212{text}" if value < 0 else text


def _words(far: float) -> str:
    if far <= EXCEEDS:
        return "no more than noise"
    return "far more than noise" if far > _FAR else "more than noise"


def _measure(facts: TableFacts, measure: MeasureFacts) -> str:
    return facts.measure if measure.kind == "people" else heading_of(measure)


def _came(found: Changes, missing: str, there: str) -> Iterator[Came]:
    for table in found.tables:
        rows, facts = table.rows, table.facts
        of_people = rows["kind"].eq("group") & rows["measure"].eq(facts.measure)
        came = rows[of_people & rows[missing].isna() & rows[there].notna()]
        if len(came):
            names = [_group(facts, row) for row in came.head(_NAMED).to_dict("records")]
            yield Came(facts.title, tuple(names), max(0, len(came) - _NAMED))


def _group(facts: TableFacts, row: Mapping[Hashable, Any]) -> str:
    labels = [key_label(name, str(row[name])) for name in facts.dimensions if row[name] != TOTAL_KEY]
    return ", ".join(labels) or "All"
