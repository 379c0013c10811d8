"""Cheap lines: those of the corpus, cut, spliced with each other and with what breaks parsers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

from tests.fuzz.corpus import ERROR_LINES, KINDS, NASTY, Kind

_EVERY_LINE: Final = tuple(
    line.encode() for line in (*ERROR_LINES, *(line for kind in KINDS for line in (*kind.head, *kind.lines)))
)


def spliced(chance: random.Random, kind: Kind, count: int, own: Sequence[bytes] = ()) -> bytes:
    """Text of so many lines: the kind's head first, one line in three as it should be.

    Args:
        chance: Where choices come from.
        kind: Whose lines.
        count: Number of lines, those of the head among them.
        own: Lines and pieces that a fuzzer made up; put in here and there.
    """
    good = _encoded(kind.lines)
    heads = _encoded(kind.head)
    lines = [*heads]
    changes = _CHANGES if not own else (*_CHANGES, _with(own), _with(own))
    while len(lines) < count:
        line = chance.choice(good)
        luck = chance.random()
        if luck < 5 / count and heads:  # its meaning changes in mid-file, which takes time
            line = changed(chance, chance.choice(heads), changes)
        elif luck < 0.6:
            line = changed(chance, line, changes)
        elif luck < 0.66:
            line = changed(chance, changed(chance, line, changes), changes)
        lines.append(line.replace(b"\n", b""))
    return b"\n".join(lines) + b"\n"


Change = Callable[[random.Random, bytes], bytes]


def changed(chance: random.Random, line: bytes, changes: Sequence[Change]) -> bytes:
    """A line with one change."""
    return chance.choice(changes)(chance, line)


@cache
def _encoded(lines: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(line.encode() for line in lines)


def _place(chance: random.Random, line: bytes) -> int:
    return chance.randrange(len(line) + 1)


def _cut(chance: random.Random, line: bytes) -> bytes:
    return line[: _place(chance, line)]


def _without(chance: random.Random, line: bytes) -> bytes:
    start = _place(chance, line)
    return line[:start] + line[start + chance.randrange(1, 30) :]


def _put_in(chance: random.Random, line: bytes) -> bytes:
    place = _place(chance, line)
    return line[:place] + chance.choice(NASTY) + line[place:]


def _put_over(chance: random.Random, line: bytes) -> bytes:
    start, piece = _place(chance, line), chance.choice(NASTY)
    return line[:start] + piece + line[start + len(piece) :]


def _field_replaced(chance: random.Random, line: bytes) -> bytes:
    """One field of the line, between blanks, quotes, tabs or the like, is another thing."""
    mark = chance.choice((b" ", b'"', b"\t", b"|", b","))
    fields = line.split(mark)
    fields[chance.randrange(len(fields))] = chance.choice(NASTY)
    return mark.join(fields)


def _joined(chance: random.Random, line: bytes) -> bytes:
    other = chance.choice(_EVERY_LINE)
    return line[: _place(chance, line)] + other[_place(chance, other) :]


def _other(chance: random.Random, _line: bytes) -> bytes:
    return chance.choice(_EVERY_LINE)


def _flipped(chance: random.Random, line: bytes) -> bytes:
    if not line:
        return line
    place = chance.randrange(len(line))
    return line[:place] + bytes([line[place] ^ (1 << chance.randrange(8))]) + line[place + 1 :]


def _repeated(chance: random.Random, line: bytes) -> bytes:
    start = _place(chance, line)
    piece = line[start : start + chance.randrange(1, 9)]
    return line[:start] + piece * (chance.choice((2, 3, 50)) if chance.random() < 0.97 else 3_000) + line[start:]


def _with(own: Sequence[bytes]) -> Change:
    def put(chance: random.Random, line: bytes) -> bytes:
        start, piece = _place(chance, line), chance.choice(own)
        return line[:start] + piece + line[start + chance.choice((0, len(piece), len(line))) :]

    return put


_CHANGES: Final[tuple[Change, ...]] = (
    _cut, _without, _put_in, _put_over, _field_replaced, _field_replaced, _joined, _other, _flipped, _repeated,
)  # fmt: skip
