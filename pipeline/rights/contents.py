"""What is sealed of a request while it waits: the request, or what came in and could not be understood as one."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from typing import Final

from pipeline.rights.parsing import Fields
from pipeline.rights.requests import RequestKind, SubjectRequest
from pipeline.vocabulary import Population

# The first byte says what the others are.
_REQUEST, _FIELDS, _BYTES = b"R", b"F", b"B"
_INSTANTS: Final = ("received", "since", "until")


@dataclass(frozen=True)
class Unusable:
    """Something that came in as a request and cannot be used.

    Attributes:
        content: Its fields, or the bytes of a line or a file whose fields cannot be told.
        reason: Which rule it breaks; names nobody.
        kind: What it asks for; empty where that cannot be read.
        population: Of whom; empty where that cannot be read.
        received: When.
    """

    content: Fields | bytes = field(repr=False)
    reason: str
    received: dt.datetime
    kind: str = ""
    population: str = ""

    def to_bytes(self) -> bytes:
        """What is sealed."""
        if isinstance(self.content, bytes):
            return _BYTES + self.content
        return _FIELDS + _json(dict(self.content))


def request_bytes(request: SubjectRequest) -> bytes:
    """A request as it is sealed."""
    return _REQUEST + _json(_plain(request))


def request_of(content: bytes) -> SubjectRequest:
    """The request that ``request_bytes`` made these bytes of."""
    assert content.startswith(_REQUEST)
    found = json.loads(content[1:])
    instants = {name: dt.datetime.fromisoformat(found[name]) if found[name] else None for name in _INSTANTS}
    named = {"kind": RequestKind(found["kind"]), "population": Population(found["population"])}
    return SubjectRequest(**(found | instants | named))


def fields_of(content: bytes) -> dict[str, object] | None:
    """The fields of something unusable; None where they could not be told."""
    if not content.startswith(_FIELDS):
        return None
    found = json.loads(content[1:])
    assert isinstance(found, dict)
    return found


def sameness(content: SubjectRequest | Unusable) -> str:
    """A text that two of them share if they ask for the same of the same person, whenever they were received."""
    if isinstance(content, Unusable):
        return hashlib.sha256(content.to_bytes()).hexdigest()
    return _json(_plain(content) | {"received": ""}).decode()


def _plain(request: SubjectRequest) -> dict[str, object]:
    found = dataclasses.asdict(request)
    return found | {name: found[name].isoformat() if found[name] else None for name in _INSTANTS}


def _json(content: dict[str, object]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()  # ASCII, so that half a character does no harm
