"""Takes out of everything that is logged what may name a person or open something.

Fixed words stand in its place, never a hash: whoever guesses an address could find its hash. Messages of exceptions
that are not the product's own are withheld as a whole, because libraries quote records in them and no pattern knows a
name. What is left is the class of the exception and its places.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, MutableMapping
from enum import Enum
from typing import Any, Final
from uuid import UUID

from pipeline.observation.patterns import RULES, tells_rules

WITHHELD: Final = "[withheld]"
UNTOLD: Final = "[a message that cannot be told]"
_MOST: Final = 20_000  # characters of one text
_DEEPEST: Final = 12  # levels of what is inside of something
_LARGEST: Final = 10**12  # of a whole number; cards and accounts are larger
_TRACEBACK: Final = "Traceback (most recent call last):"
_NEXT: Final = (_TRACEBACK, "During handling of", "The above exception")
_SAYING: Final = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception|Warning|Failure|Interrupt))(: |\((?=['\"]))(.+)$")
_KEPT: Final = frozenset({"timestamp", "level"})
_PLAIN: Final = (bool, float, dt.date, dt.timedelta, UUID, type(None))


def redacted(text: str) -> str:
    """A text without identifiers, secrets and messages of libraries' exceptions.

    Args:
        text: Of any length; it is cut after 20,000 characters.
    """
    if len(text) > _MOST:
        text = f"{text[:_MOST].rpartition(' ')[0]} [cut]"  # not within a word: half an address is none
    text = _without_messages(text)
    for rule in RULES:
        text = rule.pattern.sub(rule.replace, text)
    return text


def redacted_tree(value: Any, depth: int = 0) -> Any:
    """The same of all that is inside of something that is logged; what is neither text nor number becomes a text."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return WITHHELD if depth > _DEEPEST else _of_many(value, depth + 1)
    if isinstance(value, int):
        return value if abs(value) < _LARGEST else "[number]"
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {_message(type(value).__name__, str(value))}"
    return redacted(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What a logger has to tell, redacted: a processor as structlog has them. It tells too little rather than fail."""
    try:
        if found := event.pop("exc_info", None):
            event["exception"] = _of_exception(found)
        for key in [key for key in event if key not in _KEPT and not key.startswith("_")]:
            event[key] = redacted_tree(event[key])
    except Exception:  # noqa: BLE001 - whatever it is, what it is about must not be told instead
        kept = {key: event[key] for key in event if key in _KEPT or key.startswith("_")}
        event.clear()
        event.update(kept, event=UNTOLD)
    return event


def _of_many(value: Any, depth: int) -> Any:
    if not isinstance(value, Mapping):
        return [redacted_tree(one, depth) for one in value]
    told = {redacted(str(key)): redacted_tree(one, depth) for key, one in value.items()}
    if "exc_type" in value and "exc_value" in value:  # as structlog has exceptions
        told["exc_value"] = _message(str(value["exc_type"]), str(value["exc_value"]))
        told |= {"exc_notes": [WITHHELD for _ in value.get("exc_notes") or ()]} if "exc_notes" in value else {}
        told |= {"syntax_error": None} if "syntax_error" in value else {}
    return told


def _message(name: str, message: str) -> str:
    return redacted(message) if tells_rules(name, message) else WITHHELD


def _of_exception(found: object) -> str:
    from structlog.processors import format_exc_info  # noqa: PLC0415 - see logs

    told = format_exc_info(None, "", {"exc_info": found})
    return redacted(str(dict(told).get("exception", "")))


def _without_messages(text: str) -> str:
    """A text whose exceptions say their class, and not what they say."""
    if _TRACEBACK not in text:
        return "\n".join(_without_message(line) for line in text.split("\n"))
    told, place = [], _Place.OUTSIDE
    for line in text.split("\n"):
        if place is _Place.MESSAGE and not line.startswith(_NEXT):
            continue  # the rest of a message
        if place is _Place.FRAMES and line[:1] not in (" ", ""):
            told.append(_last_line(line))
            place = _Place.MESSAGE
            continue
        place = _Place.FRAMES if _TRACEBACK in line else _Place.OUTSIDE if place is _Place.MESSAGE else place
        told.append(_without_message(line))
    return "\n".join(told)


class _Place(Enum):
    """Where a line of a text stands."""

    OUTSIDE = 0
    FRAMES = 1
    MESSAGE = 2


def _last_line(line: str) -> str:
    """The line of a traceback that names the exception, whatever that is called."""
    name, _, message = line.partition(": ")
    named = name if name.replace(".", "").isidentifier() else WITHHELD
    return named if not message else f"{named}: {message if tells_rules(name, message) else WITHHELD}"


def _without_message(line: str) -> str:
    found = _SAYING.search(line)
    if found is None or tells_rules(found[1], found[3]):
        return line
    return f"{line[: found.start()]}{found[1]}: {WITHHELD}"
