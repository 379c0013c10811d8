"""The list of releases: what waits for a decision first, then everything else, by name and state, in pages."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.portal.archive import Archive, PageRegister
from pipeline.privacy.chain import EntryKind
from pipeline.publication.words import day
from pipeline.review.decisions import Register
from pipeline.review.standing import Standing, State
from pipeline.spec import ReleaseKey
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import AUDIENCE_TITLES

ROWS: Final = 20  # a page

# What can be chosen, in words, and the states that it stands for.
GROUPS: Final[Mapping[str, tuple[str, frozenset[State]]]] = {
    "waiting": ("Waiting", frozenset({State.WAITING})),
    "decided": ("Decided, not published", frozenset({State.APPROVED, State.REJECTED})),
    "published": ("Published", frozenset({State.PUBLISHED})),
    "withdrawn": ("Withdrawn", frozenset({State.WITHDRAWN})),
    "unready": (
        "Not to be decided",
        frozenset({State.FAILED, State.UNCHECKED, State.UNDRAWN, State.REPLACED, State.UNREADABLE}),
    ),
}


@dataclass(frozen=True)
class Row:
    """One release in the list.

    Attributes:
        key: Of the release.
        title: Its heading; its name, where the ledger does not hold what it was drawn from.
        days: Its period in words.
        people: Who is counted.
        audiences: For whom, in words.
        standing: Where it stands.
        verdicts: The newest checks.
    """

    key: ReleaseKey
    title: str
    days: str
    people: str
    audiences: str
    standing: Standing
    verdicts: Verdicts

    @property
    def address(self) -> str:
        """Of its page."""
        return address_of(self.key)


@dataclass(frozen=True)
class Listing:
    """One page of the list.

    Attributes:
        waiting: All that wait, oldest first; none where something else was chosen.
        rows: Of the page.
        number: Of the page, from 1.
        pages: How many there are.
        total: How many releases were chosen, those in ``waiting`` left out.
        counts: How many releases there are of each group, of the chosen name.
        names: Of all releases.
    """

    waiting: tuple[Row, ...]
    rows: tuple[Row, ...]
    number: int
    pages: int
    total: int
    counts: Mapping[str, int]
    names: tuple[str, ...]


def address_of(key: ReleaseKey) -> str:
    """The page of a release."""
    return f"/releases/{key.release}/{key.period}/r{key.revision}"


def listing(archive: Archive, register: PageRegister, release: str, group: str, number: int) -> Listing:
    """One page of the list.

    Args:
        archive: Of the site.
        register: The ledger as it is now.
        release: The name that was chosen; empty for all.
        group: One of ``GROUPS``; empty for all.
        number: Of the page; the nearest there is where there are not so many.
    """
    states = {key: register.standing(key).state for key in register.histories if release in ("", key.release)}
    counts = {name: sum(state in held for state in states.values()) for name, (_, held) in GROUPS.items()}
    waiting = _by_age(register, [key for key, state in states.items() if state is State.WAITING])
    if group == "waiting":
        chosen = waiting
    else:
        wanted = GROUPS[group][1] if group else frozenset(State) - {State.WAITING}
        chosen = _by_age(register, [key for key, state in states.items() if state in wanted])[::-1]
    pages = max(1, math.ceil(len(chosen) / ROWS))
    number = min(max(number, 1), pages)
    shown = chosen[(number - 1) * ROWS : number * ROWS]
    return Listing(
        tuple(row_of(archive, register, key) for key in waiting) if not group and number == 1 else (),
        tuple(row_of(archive, register, key) for key in shown),
        number,
        pages,
        len(chosen),
        counts,
        tuple(sorted({key.release for key in register.histories})),
    )


def row_of(archive: Archive, register: PageRegister, key: ReleaseKey) -> Row:
    """One release in the list."""
    specification = archive.specification(register, key)
    reserved = register.history(key)[0].payload
    return Row(
        key,
        specification.title if specification else key.release,
        days_of(reserved["period_start"], reserved["period_end"]),
        str(reserved["population"]),
        ", ".join(AUDIENCE_TITLES[one] for one in specification.audiences) if specification else "",
        register.standing(key),
        archive.verdicts(register, key),
    )


def days_of(start: str, end: str) -> str:
    """``5 October 2026 to 11 October 2026``, of a first day and the day after the last."""
    first, last = dt.date.fromisoformat(start), dt.date.fromisoformat(end) - dt.timedelta(days=1)
    return day(first) if first == last else f"{day(first)} to {day(last)}"


def _by_age(register: Register, keys: Sequence[ReleaseKey]) -> list[ReleaseKey]:
    """Releases by their newest entry about draw or checks, the oldest first."""
    kinds = (EntryKind.RESERVED, EntryKind.DRAWN, EntryKind.CHECKED)
    newest = {key: max(entry.number for entry in register.history(key) if entry.kind in kinds) for key in keys}
    return sorted(keys, key=newest.__getitem__)
