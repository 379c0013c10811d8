"""nginx on a free port of this machine, in a folder of its own, with nobody's rights but ours."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

NGINX: Final = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
with_nginx = pytest.mark.skipif(
    NGINX is None and not os.environ.get("CI"), reason="nginx is not installed (Debian: nginx-light)"
)
_PATIENCE: Final = 20  # seconds
_MAIN: Final = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
{user}
events {{ worker_connections 1024; }}
http {{
    access_log off;
    types {{ }}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {servers}
}}
"""


@contextmanager
def nginx(folder: Path, servers: str, port: int) -> Iterator[int]:
    """Run nginx.

    Args:
        folder: For its files; made.
        servers: What its ``http`` block has.
        port: On which they listen.

    Yields:
        The process's id.
    """
    assert NGINX is not None, "nginx is not installed (Debian: nginx-light)"
    folder.mkdir(parents=True)
    user = "user root;" if os.geteuid() == 0 else ""  # who alone reads the folders of root's tests
    path = folder / "nginx.conf"
    path.write_text(_MAIN.format(folder=folder, servers=servers, user=user), "utf-8")
    running = subprocess.Popen([NGINX, "-p", folder, "-c", path], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, folder)
        yield running.pid
    finally:
        running.terminate()
        running.wait(_PATIENCE)


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int, folder: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            log = folder / "error.log"
            assert time.monotonic() < end, log.read_text("utf-8") if log.exists() else "nginx does not start"
            time.sleep(0.02)
