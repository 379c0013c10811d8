"""Visits and movements: what a visitor's requests, in the order of time, say beyond each of them.

Thirty minutes of silence end a visit. Where a visit begins and ends, and where it goes from one section to another,
is told of its page views alone: images and scripts are fetched by the page, and not by the visitor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

# Half an hour, as web analytics agree on (https://support.google.com/analytics/answer/2731565).
SILENCE_SECONDS: Final = 30 * 60
SILENCE: Final = SILENCE_SECONDS * 1_000_000  # microseconds
NOWHERE: Final = -1


@dataclass(frozen=True)
class Requests:
    """Requests of some visitors, all of each of them, in any order; arrays of one length.

    Attributes:
        person: Who (uint64).
        moment: When, in microseconds from any point on (int64).
        place: Order of requests of one moment (int64).
        section: Code of the section, from 0 (int16).
        viewed: Whether it is a page view (bool).
    """

    person: np.ndarray
    moment: np.ndarray
    place: np.ndarray
    section: np.ndarray
    viewed: np.ndarray


@dataclass(frozen=True)
class Steps:
    """What each request is in its visit; arrays of one length, in the order of the requests.

    Attributes:
        begins: Whether the visit begins with it (bool).
        enters: Whether it is the visit's first page view (bool).
        leaves: Whether it is the visit's last page view (bool).
        came_from: Code of the section of the page view before, where that was another one; else ``NOWHERE`` (int16).
    """

    begins: np.ndarray
    enters: np.ndarray
    leaves: np.ndarray
    came_from: np.ndarray

    @classmethod
    def none(cls, rows: int) -> Steps:
        """Of requests that are not followed yet."""
        return cls(np.zeros(rows, bool), np.zeros(rows, bool), np.zeros(rows, bool), np.full(rows, NOWHERE, np.int16))

    def put(self, rows: np.ndarray, steps: Steps) -> None:
        """Write down the steps of some rows."""
        self.begins[rows], self.enters[rows], self.leaves[rows] = steps.begins, steps.enters, steps.leaves
        self.came_from[rows] = steps.came_from


def follow(requests: Requests) -> Steps:
    """Follow visitors through their requests."""
    order = np.lexsort((requests.place, requests.moment, requests.person))
    person, moment = requests.person[order], requests.moment[order]
    begins = np.ones(len(order), bool)
    begins[1:] = (person[1:] != person[:-1]) | (moment[1:] - moment[:-1] > SILENCE)
    visit = np.cumsum(begins)
    views = np.flatnonzero(requests.viewed[order])
    enters, leaves = _edges(visit[views])
    section = requests.section[order][views]
    came_from = np.full(len(views), NOWHERE, np.int16)
    moved = np.zeros(len(views), bool)
    moved[1:] = ~enters[1:] & (section[1:] != section[:-1])
    came_from[moved] = section[np.flatnonzero(moved) - 1]
    found = Steps.none(len(order))
    found.begins[order] = begins
    found.put(order[views], Steps(begins[views], enters, leaves, came_from))
    return found


def _edges(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each element is the first, and the last, of its run."""
    first, last = np.ones(len(group), bool), np.ones(len(group), bool)
    changes = group[1:] != group[:-1]
    first[1:], last[:-1] = changes, changes
    return first, last
