"""Takes what was withdrawn back from recipients' stores, behind the page: no store that is slow delays a reviewer."""

from __future__ import annotations

import logging
from typing import Final

from fastapi import FastAPI

from pipeline.delivery import sending
from pipeline.errors import kind_and_place
from pipeline.portal.background import Background
from pipeline.spec import ReleaseKey

_LOG: Final = logging.getLogger("pipeline.portal")


def install(app: FastAPI) -> None:
    """Make the thread in which it is done."""
    app.state.taking_back = Background("taking back")


def soon(app: FastAPI, key: ReleaseKey) -> None:
    """Take a withdrawn release back; what cannot be reached now is left to ``demographics deliver``."""
    app.state.taking_back.soon(key, lambda: _take_back(app, key))


def _take_back(app: FastAPI, key: ReleaseKey) -> None:
    try:
        found = sending.take_back(app.state.workspace, app.state.approvals.in_force(), key)
    except Exception as failure:
        _LOG.warning("%s may still be in stores: %s", key, kind_and_place(failure))
        raise  # then it is done again if somebody asks again
    for problem in found.problems:
        _LOG.warning("%s may still be in a store: %s", key, problem)
