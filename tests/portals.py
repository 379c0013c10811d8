"""A portal that listens, and browsers that ask it over HTTP."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import uvicorn
from fastapi import FastAPI

from pipeline.portal.app import create_app
from pipeline.portal.settings import PortalSettings
from pipeline.review.accounts import Accounts
from pipeline.workspace import Workspace
from tests.accounts import PASSWORD, quick

_PATIENCE: Final = 20  # seconds


@dataclass(frozen=True)
class Portal:
    """One that listens."""

    app: FastAPI
    settings: PortalSettings

    @property
    def accounts(self) -> Accounts:
        """Its accounts."""
        found: Accounts = self.app.state.accounts
        return found

    def browser(self, address: str = "127.0.0.1", **headers: str) -> Browser:
        """A new browser, on that address of this machine."""
        port = self.app.state.port
        return Browser(f"http://127.0.0.1:{port}", address, {"Origin": self.settings.origin, **headers})


class Browser(httpx.Client):
    """Sends forms as a browser does: with where they come from, and without following where they lead."""

    def __init__(self, place: str, address: str, headers: dict[str, str]) -> None:
        transport = httpx.HTTPTransport(local_address=address)
        super().__init__(base_url=place, headers=headers, transport=transport, timeout=_PATIENCE)

    def log_in(self, name: str = "ana", secret: str = PASSWORD, after: str = "/releases") -> httpx.Response:
        """Open the form of log-in and send it."""
        shown = self.get("/login")
        return self.send_log_in(hidden(shown.text), name=name, secret=secret, next=after)

    def send_log_in(self, csrf: str, **fields: str) -> httpx.Response:
        """Send the form of log-in."""
        return self.post("/login", data={"csrf": csrf, "name": "ana", "secret": PASSWORD, **fields})


@contextmanager
def serving(
    workspace: Workspace, change: Callable[[FastAPI], Any] | None = None, **settings: object
) -> Iterator[Portal]:
    """Serve a site's pages on a free port; ``change`` may add routes before."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        given = PortalSettings.from_environment(port=port, **settings)
        app = create_app(workspace, given, quick())
        app.state.port = port
        if change:
            change(app)
        server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            _wait_for(server)
            yield Portal(app, given)
        finally:
            server.should_exit = True
            thread.join(_PATIENCE)


def hidden(content: str, name: str = "csrf") -> str:
    """The value of a hidden field of a page."""
    found = re.search(f'<input type="hidden" name="{name}" value="([^"]*)">', content)
    assert found, f"the page has no field {name}"
    return found[1]


def _wait_for(server: uvicorn.Server) -> None:
    end = time.monotonic() + _PATIENCE
    while not server.started:
        assert time.monotonic() < end, "the portal does not start"
        time.sleep(0.01)
