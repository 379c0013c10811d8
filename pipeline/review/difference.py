"""What a reviewer approved last of a release's specification, and what differs since."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

import yaml

from pipeline.errors import LedgerError
from pipeline.privacy.chain import EntryKind
from pipeline.review.decisions import Register
from pipeline.review.standing import Said, said_of
from pipeline.spec import ReleaseKey, ReleaseSpecification

CONTEXT: Final = 3  # lines
_WIDTH: Final = 88


@dataclass(frozen=True)
class Line:
    """One line of a specification: whether it is new, gone, or as it was; or a place where lines are left out."""

    kind: Literal["added", "removed", "same", "skipped"]
    text: str


@dataclass(frozen=True)
class ApprovedBefore:
    """The newest earlier approval of a release of the same name.

    Attributes:
        key: The release that was approved.
        said: The approval that completed it.
    """

    key: ReleaseKey
    said: Said


def approved_before(register: Register, key: ReleaseKey) -> ApprovedBefore | None:
    """What was approved last under the same name, other than the release at hand; None where nothing was.

    What was rejected afterwards, or approved by fewer than it needs, is passed over; what was withdrawn is not: its
    specification was read and approved.
    """
    drawn = _number(register, key, EntryKind.DRAWN)
    others = [other for other in register.histories if other.release == key.release and other != key]
    found = [(number, other) for other in others if (number := _number(register, other, EntryKind.APPROVED))]
    for number, other in sorted(found, reverse=True):
        if drawn and number > drawn and other > key:
            continue  # a later release than the one at hand
        if approval := _completed(register, other):
            return ApprovedBefore(other, approval)
    return None


def _completed(register: Register, key: ReleaseKey) -> Said | None:
    """The approval by which a release had as many as it needs; None where it has not, or somebody rejected it."""
    made = [one for one in said_of(register, key) if one.verb != EntryKind.WITHDRAWN]
    approvals = [one for one in made if one.verb == EntryKind.APPROVED]
    if len(approvals) < len(made):
        return None
    try:
        needed = register.specification(key).reviewers
    except LedgerError:  # an earlier program kept no specification beside the draw
        return None
    return approvals[-1] if len({one.reviewer for one in approvals}) >= needed else None


def difference(before: ReleaseSpecification | None, now: ReleaseSpecification) -> tuple[Line, ...]:
    """All lines of a specification, as YAML, against those of an earlier one; as new, where there is none."""
    if before is None:
        return tuple(Line("same", text) for text in yaml_lines(now))
    return tuple(_told(yaml_lines(before), yaml_lines(now)))


def yaml_lines(specification: ReleaseSpecification) -> list[str]:
    """What a specification's canonical form holds, as YAML, in the order in which specifications are written."""
    content = specification.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=_WIDTH).splitlines()


def hunks(lines: Sequence[Line], context: int = CONTEXT) -> tuple[Line, ...]:
    """The lines that differ with some about them; of the others only how many they are."""
    marked = [place for place, line in enumerate(lines) if line.kind != "same"]
    near = {place for one in marked for place in range(one - context, one + context + 1)}
    found: list[Line] = []
    for is_near, group in groupby(enumerate(lines), key=lambda item: item[0] in near):
        part = [line for _, line in group]
        found += part if is_near else [Line("skipped", f"{len(part)} lines as before" if len(part) > 1 else "1 line")]
    return tuple(found)


def _told(before: list[str], now: list[str]) -> Iterator[Line]:
    for change, first, last, start, end in difflib.SequenceMatcher(None, before, now, autojunk=False).get_opcodes():
        if change == "equal":
            yield from (Line("same", text) for text in now[start:end])
        else:
            yield from (Line("removed", text) for text in before[first:last])
            yield from (Line("added", text) for text in now[start:end])


def _number(register: Register, key: ReleaseKey, kind: EntryKind) -> int:
    """Number of the newest entry of a kind about a release; 0 where there is none."""
    return max((entry.number for entry in register.history(key) if entry.kind is kind), default=0)
