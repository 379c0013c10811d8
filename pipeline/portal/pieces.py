"""Sends files in pieces, however slowly they are read, and lets nobody else wait for it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import IO, Final

import anyio
from fastapi.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

PIECE: Final = 2**18  # bytes of a file in memory for each client that reads it
_READERS: Final = 4  # threads that read pieces; those that look up tokens are others


class InPieces(Response):
    """A file that is open, from its beginning to its end; it is closed when it was sent or nobody takes it any more.

    Args:
        file: To be read.
        size: In bytes.
        headers: Of the answer.
    """

    def __init__(self, file: IO[bytes], size: int, headers: Mapping[str, str]) -> None:
        super().__init__(headers={**headers, "Accept-Ranges": "bytes", "Content-Length": str(size)})
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; the next piece is read when the one before is on its way."""
        with self._file as file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            wanted = scope["method"] != "HEAD"
            while wanted and (piece := await anyio.to_thread.run_sync(file.read, PIECE, limiter=_readers())):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class Parts(FileResponse):
    """Some ranges of a file."""

    chunk_size = PIECE


@functools.cache
def _readers() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(_READERS)
