"""Real stores on 127.0.0.1: an S3 server, an SFTP server, and a wire before them that is cut after so many bytes."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncssh
import fsspec
import httpx
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

KEY: Final = "AKIA-of-the-store"
PASSWORD: Final = "hunter2-of-the-store"


def _whole_only(served: Any) -> Any:
    """An application that, as S3 does and moto does not, refuses a request that ended too early."""

    def answer(environ: dict[str, Any], start: Any) -> Any:
        wanted = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(wanted) if wanted else b""
        unsaid = environ["REQUEST_METHOD"] == "PUT" and not environ.get("CONTENT_LENGTH")  # its head was cut
        if unsaid or len(body) < wanted:
            start("400 Bad Request", [("Content-Length", "0")])
            return [b""]
        return served(environ | {"wsgi.input": io.BytesIO(body)}, start)

    return answer


@contextlib.contextmanager
def s3_server() -> Iterator[int]:
    """An empty S3 server; its port."""
    backend = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, _whole_only(backend), threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    # All such servers of a process share one store.
    httpx.post(f"http://127.0.0.1:{server.server_port}/moto-api/reset").raise_for_status()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)


class _Silent(MotoRequestHandler):
    def log_request(self, *_: object) -> None:
        pass


def s3_files(port: int) -> Any:
    """The file system of an S3 server, without a cache."""
    client = {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": "eu-central-1"}
    settings = {"client_kwargs": client, "skip_instance_cache": True, "use_listings_cache": False}
    return fsspec.filesystem("s3", key=KEY, secret=PASSWORD, **settings)


class _Passwords(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("sender", PASSWORD)


@dataclass(frozen=True)
class SftpServer:
    """Where it listens, and the key by which it is known."""

    port: int
    host_key: str


@contextlib.contextmanager
def sftp_server(folder: Path, files: type[asyncssh.SFTPServer] = asyncssh.SFTPServer) -> Iterator[SftpServer]:
    """An SFTP server over a folder, which ``sender`` may write by password."""
    key, loop = asyncssh.generate_private_key("ssh-ed25519"), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncssh.SSHAcceptor:
        settings = {"server_host_keys": [key], "sftp_factory": lambda channel: files(channel, chroot=bytes(folder))}
        return await asyncssh.create_server(_Passwords, "127.0.0.1", 0, **settings)

    async def stop() -> None:
        acceptor.close()
        await acceptor.wait_closed()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    acceptor = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        yield SftpServer(acceptor.get_port(), key.export_public_key().decode().strip())
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


@dataclass
class Wire:
    """Passes bytes on to a server, and counts them; once ``left`` are through it is cut, and stays so until mended.

    Attributes:
        port: Where it listens.
        passed: Bytes from the client to the server so far.
        left: How many more may pass; any number where it is None.
    """

    port: int
    passed: int = 0
    left: int | None = None
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def mend(self, left: int | None = None) -> None:
        """Let bytes pass again, and count anew."""
        self.passed, self.left = 0, left

    def take(self, count: int) -> int:
        """How many of so many bytes may pass."""
        with self._lock:
            allowed = count if self.left is None else min(count, self.left)
            self.passed += allowed
            if self.left is not None:
                self.left -= allowed
            return allowed

    def cut(self) -> None:
        """End every connection at once, as a lost line does."""
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def carry(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on what goes from one to the other, both ways."""
        with self._lock:
            self._open |= {client, server}
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=self._pump, args=(server, client, False), daemon=True)
        back.start()
        self._pump(client, server, counted=True)
        back.join()
        client.close()
        server.close()

    def _pump(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                allowed = self.take(len(chunk)) if counted else len(chunk)
                target.sendall(chunk[:allowed])
                if allowed < len(chunk):
                    self.cut()
                    return
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def wire_to(port: int) -> Iterator[Wire]:
    """A wire to a port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    wire = Wire(listener.getsockname()[1])

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                if wire.left == 0:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", port))
                threading.Thread(target=wire.carry, args=(client, server), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        wire.cut()
        thread.join(10)
