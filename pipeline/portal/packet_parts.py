"""The long parts of a review packet. They change with what is recorded alone, so that each is filled in once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from markupsafe import Markup

from pipeline.portal.archive import Archive, Drawn, PageRegister, digest_of
from pipeline.portal.figures import figures_of
from pipeline.portal.packet import Packet, series_of
from pipeline.portal.templates import fragment
from pipeline.privacy.chain import EntryKind
from pipeline.publication.manifest import not_covered
from pipeline.publication.words import ROUGH
from pipeline.review.series import CheckSeries, Outcome
from pipeline.vocabulary import AUDIENCE_TITLES, UNIT_NAMES

_FIRST_ROWS: Final = 11  # of a table, beside its figure; the others are folded away
_NAMED_WITHHELD: Final = 300

_Context = dict[str, object]


@dataclass(frozen=True)
class CheckGroup:
    """The checks on one subject by one suite, what failed first."""

    suite: str
    subject: str
    checks: tuple[CheckSeries, ...]

    @property
    def held(self) -> int:
        """How many hold."""
        return sum(check.outcome is Outcome.HELD for check in self.checks)


@dataclass(frozen=True)
class Withheld:
    """How much of one table is withheld.

    Attributes:
        title: Of the table.
        shown: Groups that are listed.
        withheld: Groups of the public lists that are not.
        folded: Of these, those that would give away a smaller neighbour.
        private: Whether some list of keys is private, so that the number of withheld groups is not told.
    """

    title: str
    shown: int
    withheld: int
    folded: int
    private: bool

    @property
    def share(self) -> str:
        """Of all groups of the lists, in words."""
        every = self.shown + self.withheld
        return f"{100 * self.withheld / every:.0f} %" if every and not self.private else "not told"


def parts(archive: Archive, register: PageRegister, packet: Packet) -> Mapping[str, Markup]:
    """The parts of a packet's page by name: ``person``, ``checks``, ``tables``, ``changes``, ``specification``."""
    before = packet.comparison.before if packet.comparison else None
    drawn = partial(archive.drawn, register, packet.key)
    checks = partial(series_of, archive, register, packet.key, packet.earlier)
    # Of each part: on what it depends beside the draw, and what its template shows.
    wanted: dict[str, tuple[tuple[object, ...], Callable[[], _Context]]] = {
        "person": ((), lambda: _person(drawn())),
        "checks": (packet.checked, lambda: _checks(checks(), packet)),
        "tables": ((before,), lambda: _tables(drawn(), packet)),
        "changes": ((before,), lambda: {"found": packet.comparison}),
        "specification": ((packet.specification,), lambda: {"change": packet.specification}),
    }
    artefact = digest_of(register, packet.key, EntryKind.DRAWN, "artefact_sha256")
    return {
        name: archive.fragment((name, packet.key, artefact, *on), partial(_filled, name, packet, context))
        for name, (on, context) in wanted.items()
    }


def _filled(name: str, packet: Packet, context: Callable[[], _Context]) -> str:
    header = packet.header
    return fragment(f"packet_{name}.html.j2", header=header, person=UNIT_NAMES[header.population], **context())


def _person(drawn: Drawn) -> _Context:
    header = drawn.header
    covered = not_covered(header.population, header.unit)
    return {"sections": drawn.sections, "levels": drawn.levels, "not_covered": covered}


def _checks(rows: Sequence[CheckSeries], packet: Packet) -> _Context:
    groups = tuple(_groups(rows, [facts.name for facts in packet.header.tables]))
    return {
        "groups": groups,
        "attention": [check for group in groups for check in group.checks if check.outcome is not Outcome.HELD],
        "earlier": packet.earlier,
        "titles": {facts.name: facts.title for facts in packet.header.tables},
        "suites": len({group.suite for group in groups}),
    }


def _groups(rows: Sequence[CheckSeries], tables: Sequence[str]) -> Iterator[CheckGroup]:
    found: dict[tuple[str, str], list[CheckSeries]] = {}
    for row in rows:
        found.setdefault((row.verdict.suite, row.verdict.subject), []).append(row)
    groups = [CheckGroup(suite, subject, tuple(checks)) for (suite, subject), checks in found.items()]
    places = {name: place for place, name in enumerate(tables)}
    # What is of no table first; what does not hold before all.
    yield from sorted(groups, key=lambda one: (one.held == len(one.checks), places.get(one.subject, -1)))


def _tables(drawn: Drawn, packet: Packet) -> _Context:
    return {
        "sections": drawn.sections,
        "figures": figures_of(drawn, packet.address),
        "withheld": tuple(_withheld(drawn)),
        "comparison": packet.comparison,
        "audience_titles": AUDIENCE_TITLES,
        "first_rows": _FIRST_ROWS,
        "named_withheld": _NAMED_WITHHELD,
        "rough": ROUGH,
    }


def _withheld(drawn: Drawn) -> Iterator[Withheld]:
    for section in drawn.sections:
        private = bool(section.facts.private)
        yield Withheld(section.facts.title, section.shown, len(section.withheld), section.folded, private)
