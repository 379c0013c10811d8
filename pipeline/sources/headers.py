"""Names of columns: the words in them, and how they may be shown."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ORDINARY: Final = re.compile(r"[^\W\d][\w ./()#&%$£€,:+?*-]{0,39}")


def words_of(name: str) -> tuple[str, ...]:
    """The words of a column's name, lower case, without accents: ``EmailAddress`` is ``email``, ``address``."""
    letters = unicodedata.normalize("NFKD", name)
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return tuple(word.lower() for word in _WORD.findall(bare))


def show_name(name: str, place: int) -> str:
    """A column's name for people, or its place (from 1): where a file has no header, a name is somebody's record."""
    return f"column {name!r}" if is_ordinary(name) else f"column number {place}"


def is_ordinary(name: str) -> bool:
    """Whether a name is one that people give to columns, and can be nobody's record."""
    return _ORDINARY.fullmatch(name) is not None and sum(sign.isdigit() for sign in name) < 5
