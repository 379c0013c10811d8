"""A person's request, in memory: who asks for what. How it waits and is forgotten stands in ``store``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pipeline.vocabulary import Population

# The privacy notice: in force within 48 hours of being received.
DEADLINE: Final = dt.timedelta(hours=48)


class RequestKind(StrEnum):
    """What a person asks for."""

    ACCESS = "access"
    """To be told what is held about them."""
    CORRECT = "correct"
    """That attributes of theirs are corrected."""
    ERASE = "erase"
    """That what is held about them is removed, and nothing is held again."""
    OPT_OUT = "opt-out"
    """That they are not counted any more."""


@dataclass(frozen=True)
class SubjectRequest:
    """A request that was understood. What names the person is never shown.

    Attributes:
        kind: What is asked for.
        population: Among whom the person is.
        received: When the company received it; the deadline counts from here.
        customer: What tells customers apart, or empty.
        email: A customer's e-mail address, or empty.
        address: A visitor's network address in its normal form, or empty.
        agent: A visitor's user agent as ingestion cuts it.
        since: From when on address and agent are the visitor's.
        until: Until when, exclusive; None for an opt-out without an end.
        values: Corrections, dimension -> key of its closed list.
    """

    kind: RequestKind
    population: Population
    received: dt.datetime
    customer: str = field(default="", repr=False)
    email: str = field(default="", repr=False)
    address: str = field(default="", repr=False)
    agent: str = field(default="", repr=False)
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
