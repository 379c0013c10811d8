"""Works out beforehand what reviewers are going to look at: figures of candidates that wait, and budgets."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator
from typing import Final

from fastapi import FastAPI

from pipeline.errors import kind_and_place
from pipeline.portal import budget, figures, packet_page
from pipeline.portal.archive import Archive, archive_of
from pipeline.portal.packet_page import is_drawn
from pipeline.vocabulary import Population

_LOG: Final = logging.getLogger("pipeline.portal")
_LOOK_AGAIN: Final = 15.0  # seconds
_BREATH: Final = 0.02  # seconds: pages that somebody asks for go first
_MOST: Final = 20  # candidates; what waits for longest is read first
_MOST_OTHERS: Final = 100  # the newest


@contextlib.asynccontextmanager
async def warming(app: FastAPI) -> AsyncIterator[None]:
    """Keep an application's archive warm for as long as it runs."""
    archive, over = archive_of(app), threading.Event()
    thread = threading.Thread(target=_watch, args=(archive, over), name="warming", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def warm(archive: Archive) -> None:
    """Have everything worked out that the pages of waiting candidates show, and the budgets.

    Raises:
        DemographicsError: The ledger or the site file cannot be read.
    """
    register = archive.register()
    waiting = register.waiting()[:_MOST]
    periods = [(Population(register.history(key)[0].payload["population"]), key.period) for key in waiting]
    budget.warm(archive, register, periods)
    others = [key for key in reversed(register.histories) if is_drawn(register, key) and key not in waiting]
    for key in waiting:
        packet_page.warm((archive, register, key))
        figures.warm(archive, register, key)
    for key in others[:_MOST_OTHERS]:
        packet_page.warm((archive, register, key))
        time.sleep(_BREATH)


def _watch(archive: Archive, over: threading.Event) -> None:
    seen = (-1, "")
    while not over.is_set():
        try:
            newest = archive.ledger.head()
            if newest != seen:
                warm(archive)
                archive.warmed.set()
                seen = newest
        except Exception as failure:  # noqa: BLE001  pages say what is wrong when they are asked for
            _LOG.warning("Nothing can be worked out beforehand: %s", kind_and_place(failure))
        over.wait(_LOOK_AGAIN)
