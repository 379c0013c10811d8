"""Log files in object stores and on SFTP servers, through fsspec.

What a library says of a failure is dropped: it may quote credentials. Only the failure's kind is told.
"""

from __future__ import annotations

import contextlib
import glob
import io
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final

from pipeline.errors import DemographicsError, SourceError
from pipeline.filesystems.addresses import Address, address_of, connected
from pipeline.site import ErrorLogSource, LogSource
from pipeline.sources.places import LogFile, changed, not_regular, shown, unreadable

PROTOCOLS: Final = ("s3", "sftp")
_PATIENCE: Final = 60.0  # seconds that an SFTP server may be silent
_REMEDY: Final = "Check the address, the connection's credentials, and whether the store answers; then run again."


class Stores:
    """The stores of one search; each is connected to once, when it is first asked, and closed with its last file."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _Store] = {}

    def find(self, pattern: str, source: LogSource | ErrorLogSource) -> list[LogFile]:
        """The files at an address, which may be a glob; none, if there are none.

        Raises:
            SourceError: The address or the connection is none that is known, the store does not answer or refuses, or
                there is a folder.
        """
        return self._asked(pattern, source, _Store.find)

    def at(self, address: str, source: LogSource | ErrorLogSource) -> list[LogFile]:
        """The file at the address of one that was found before, see ``places.found_again``; none is taken for a glob.

        Raises:
            SourceError: As ``find``, or it is gone.
        """
        return self._asked(address, source, _Store.again)

    def _asked(
        self, text: str, source: LogSource | ErrorLogSource, ask: Callable[[_Store, Address, Any], list[LogFile]]
    ) -> list[LogFile]:
        address = _address(text)
        place = (address.protocol, address.server, source.connection)
        with _told(f"{address.root}/{address.path}"):
            if place not in self._known:
                self._known[place] = _Store(address, source.connection)
            return ask(self._known[place], address, source)


def _address(pattern: str) -> Address:
    protocol, _, _ = pattern.partition("://")
    if protocol not in PROTOCOLS:
        raise SourceError(
            "logs must be files, or lie at an address that begins with s3:// or sftp://",
            value=repr(f"{shown(protocol)[:20]}://"),
            remedy="Fetch them first, and name the files.",
        )
    return address_of(pattern)


class _Store:
    """One connected file system."""

    def __init__(self, address: Address, connection: str | None) -> None:
        self._protocol = address.protocol
        self._connection = connection
        self._files = connected(address, connection)
        self._turn: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if self._protocol == "sftp":
            # paramiko's client is for one thread at a time: it throws away an answer that another one waits for.
            self._turn = threading.Lock()
            self._files.ftp.get_channel().settimeout(_PATIENCE)
            # Without this its thread and its socket would stay until the process ends.
            weakref.finalize(self._files, self._files.client.close)

    def find(self, address: Address, source: LogSource | ErrorLogSource) -> list[LogFile]:
        entries = self._globbed(address.pattern) if glob.has_magic(address.pattern) else []
        if not entries:
            literal = self._literal(address.pattern)
            if literal and literal["type"] == "directory":
                raise not_regular(f"{address.root}/{address.path}", folder=True)
            entries = [literal] if literal else []
        return [self._log(entry, address, source) for entry in entries]

    def again(self, address: Address, source: LogSource | ErrorLogSource) -> list[LogFile]:
        return [self._log(self._files.info(address.pattern), address, source)]

    def _globbed(self, pattern: str) -> list[Any]:
        found = [self._followed(entry) for entry in self._files.glob(pattern, detail=True).values()]
        # A name that ends with a slash is how consoles of S3 write an empty folder.
        return [entry for entry in found if entry["type"] == "file" and not entry["name"].endswith("/")]

    def _followed(self, entry: Any) -> Any:
        return self._files.info(entry["name"]) if entry["type"] == "link" else entry

    def _literal(self, pattern: str) -> Any:
        try:
            return self._files.info(pattern)
        except FileNotFoundError:
            return None

    def _log(self, entry: Any, address: Address, source: LogSource | ErrorLogSource) -> LogFile:
        path, size = str(entry["name"]), int(entry["size"] or 0)
        whole = f"s3://{path}" if self._protocol == "s3" else f"{address.root}{path}"
        label = shown(whole)
        user = dict(address.server).get("username")
        found_at = whole.replace("://", f"://{user}@", 1) if user else whole

        def opener(span: int) -> io.BufferedReader:
            return io.BufferedReader(self._opened(path, label, size), max(min(span, size), 1))

        return LogFile(label, source, size, (label, address.server, self._connection), opener, found_at)

    def _opened(self, path: str, label: str, size: int) -> _RemoteFile:
        if not size:  # a pipe on a server has no size either, and would be waited for
            return _RemoteFile(label, 0, lambda _start, _count: b"", lambda: None)
        with _told(label), self._turn:
            if self._protocol == "s3":
                file = self._files.open(path, "rb", cache_type="none")
                now = int(file.size)
            else:
                file = self._files.open(path, "rb")
                now = int(file.stat().st_size)
            if now < size:
                file.close()
                raise changed(label)
        return _RemoteFile(label, now, self._fetcher(file), self._closer(file))

    def _fetcher(self, file: Any) -> Callable[[int, int], bytes]:
        def fetch(start: int, count: int) -> bytes:
            with self._turn:
                if self._protocol == "sftp":
                    return b"".join(file.readv([(start, count)]))  # many requests under way at once
                file.seek(start)
                return bytes(file.read(count))

        return fetch

    def _closer(self, file: Any) -> Callable[[], None]:
        def close() -> None:
            with self._turn:  # closing waits for an answer, too
                file.close()

        return close


class _RemoteFile(io.RawIOBase):
    """A file in a store, as far as it went when it was opened; to end before is a failure."""

    def __init__(self, label: str, size: int, fetch: Callable[[int, int], bytes], close: Callable[[], object]) -> None:
        self._label, self._size, self._at = label, size, 0
        self._fetch, self._close = fetch, close

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), self._size - self._at)
        if count <= 0:
            return 0
        with _told(self._label):
            fetched = self._fetch(self._at, count)
            if not fetched:
                raise EOFError
        buffer[: len(fetched)] = fetched
        self._at += len(fetched)
        return len(fetched)

    def close(self) -> None:
        if not self.closed:
            with contextlib.suppress(Exception):  # a lost connection was told of already
                self._close()
        super().close()


@contextlib.contextmanager
def _told(label: str) -> Iterator[None]:
    try:
        yield
    except DemographicsError:
        raise
    except Exception as failure:  # noqa: BLE001 - each store fails in its own way, and may quote credentials
        raise unreadable(shown(label), failure, _REMEDY) from None
