"""What tests of the portal share: a site whose recipients visit its pages, made once in a run of tests."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

import pytest

from tests.delivering import DeliveredSite
from tests.portals import Browser, Portal, serving
from tests.visiting import visited_site, visitor

_MANY = "100000/minute"


@pytest.fixture(scope="session")
def visited(tmp_path_factory: pytest.TempPathFactory) -> DeliveredSite:
    """Nobody may withdraw anything here, or change entitlements; tokens and downloads may be added."""
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    done = folder / "visited.done"
    with (folder / "visited.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        site = DeliveredSite(folder / "visited") if done.exists() else visited_site(folder / "visited")
        done.touch()
    return site


@pytest.fixture(scope="module")
def visits(visited: DeliveredSite) -> Iterator[Portal]:
    """Its portal, in which nobody is slowed down."""
    with serving(visited.workspace, stranger_rate=_MANY, address_rate=_MANY, decision_rate=_MANY) as found:
        yield found


@pytest.fixture(scope="module")
def acme(visited: DeliveredSite, visits: Portal) -> Iterator[Browser]:
    """A browser of a partner that receives all."""
    with visitor(visited, visits) as browser:
        yield browser


@pytest.fixture(scope="module")
def north(visited: DeliveredSite, visits: Portal) -> Iterator[Browser]:
    """A browser of a reseller with rows of its own."""
    with visitor(visited, visits, "north") as browser:
        yield browser
