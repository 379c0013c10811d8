"""The three kinds of stores: a folder on this machine, S3, and SFTP."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.delivery.stores.store import Store
from pipeline.disk import sync_folder
from pipeline.publication import files
from pipeline.publication.files import PARTIAL

_PATIENCE: Final = 60.0  # seconds that an SFTP server may be silent


class LocalStore(Store):
    """A folder on this machine, or one that is mounted: written under a hidden name, synced, renamed, synced."""

    def _create(self, place: str, content: bytes) -> None:
        if Path(place).exists():
            raise FileExistsError
        self._replace(place, content)

    def _replace(self, place: str, content: bytes) -> None:
        path = Path(place)
        files.replace(path, content)
        for parent in path.parents[1:]:  # that may be new, too
            if not parent.is_relative_to(self._root):
                break
            sync_folder(parent)


class S3Store(Store):
    """A folder of a bucket. What is put is there at once or not at all, and nothing is ever renamed."""

    def _create(self, place: str, content: bytes) -> None:
        if self._files.exists(place):  # not every server knows the condition below
            raise FileExistsError
        self._files.pipe_file(place, content, mode="create")

    def _replace(self, place: str, content: bytes) -> None:
        self._files.pipe_file(place, content)


class SftpStore(Store):
    """A folder of an SFTP server: written under a hidden name, compared in size, and renamed."""

    def __init__(self, opened: object, root: str, address: str) -> None:
        super().__init__(opened, root, address)
        self._files.ftp.get_channel().settimeout(_PATIENCE)

    def close(self) -> None:
        """End the connection: otherwise its thread would stay until the process ends."""
        self._files.client.close()

    def _create(self, place: str, content: bytes) -> None:
        if self._stands(place):
            raise FileExistsError
        with self._written(place, content) as hidden:
            try:
                self._files.ftp.rename(hidden, place)  # servers refuse it where there is such a file
            except OSError:
                if self._stands(place):
                    raise FileExistsError from None
                raise

    def _replace(self, place: str, content: bytes) -> None:
        with self._written(place, content) as hidden:
            try:
                self._files.ftp.posix_rename(hidden, place)
            except OSError:  # a server that does not know it: for a moment there is no such file
                with contextlib.suppress(FileNotFoundError):
                    self._files.ftp.remove(place)
                self._files.ftp.rename(hidden, place)

    @contextlib.contextmanager
    def _written(self, place: str, content: bytes) -> Iterator[str]:
        folder, _, name = place.rpartition("/")
        hidden = f"{folder}/.{name}.{secrets.token_hex(4)}{PARTIAL}"
        self._files.makedirs(folder, exist_ok=True)
        try:
            with self._files.ftp.open(hidden, "wbx") as file:
                file.write(content)  # not pipelined: paramiko loses answers that come in another order
            if self._files.ftp.stat(hidden).st_size != len(content):
                raise EOFError
            yield hidden
        except BaseException:
            with contextlib.suppress(Exception):  # where the connection is lost, the next run sweeps
                self._files.ftp.remove(hidden)
            raise

    def _stands(self, place: str) -> bool:
        try:
            self._files.ftp.lstat(place)
        except FileNotFoundError:
            return False
        return True
