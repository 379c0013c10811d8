"""Connections that are not kept for who sends or takes nothing."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Patient(HttpToolsProtocol):
    """Closes a connection whose headers do not come, or whose answer is not taken, within some seconds.

    The server itself waits for both without end (it minds only connections that are idle between two requests), and a
    connection that stays open is one of few.
    """

    seconds: float = 30
    _headers: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Headers have to come from now on."""
        super().connection_made(transport)
        self._headers = self.loop.call_later(self.seconds, transport.abort)

    def on_message_begin(self) -> None:
        """Likewise for what is asked later, on the same connection."""
        super().on_message_begin()
        if self._headers is None:
            self._headers = self.loop.call_later(self.seconds, self.transport.abort)

    def on_headers_complete(self) -> None:
        """They came; what the body may take is limited elsewhere."""
        _end(self._headers)
        self._headers = None
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """More is to be sent than is taken: some of it has to be taken from now on."""
        super().pause_writing()
        self._taking = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Enough of it was taken."""
        _end(self._taking)
        self._taking = None
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        _end(self._headers)
        _end(self._taking)
        super().connection_lost(exc)


def patient(seconds: float) -> type[Patient]:
    """Connections that wait for so many seconds."""
    return type("Patient", (Patient,), {"seconds": seconds})


def _end(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
