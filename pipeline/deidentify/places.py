"""Where staging lies: a folder of the site, or an object store by its address.

Files are written under fresh names and never renamed; one small object, the manifest, is replaced in one step. A
place knows nothing of what its files mean.
"""

from __future__ import annotations

import abc
import datetime as dt
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb
import pyarrow as pa

from pipeline.disk import sync_folder
from pipeline.errors import ConfigurationError, DemographicsError, SourceError, StagingError
from pipeline.filesystems.addresses import address_of, connected
from pipeline.workspace import STAGING_CONNECTION_VARIABLE, STAGING_VARIABLE, Workspace

PARTIAL: Final = ".partial"  # ending of what a killed run left of a small file that was being replaced
# Bytes of a part that is sent or fetched. The store's own default holds fifty megabytes of each file that is open.
BLOCK: Final = 8 * 1024**2
# What the libraries of stores take their credentials and addresses from.
_TAKEN_FROM: Final = ("AWS_", "FSSPEC_")


class Place(abc.ABC):
    """A folder that staging lies in. Names are relative to it, with slashes."""

    address: str

    @abc.abstractmethod
    def under(self, *parts: str) -> Place:
        """A folder inside of it, which need not be there."""

    def at(self, name: str) -> str:
        """The address of a file, as DuckDB's ``read_parquet`` takes it once the place is attached."""
        return f"{self.address}/{name}"

    @abc.abstractmethod
    def reading(self, name: str) -> Any:
        """A context that yields a file to read from any point on.

        Raises:
            FileNotFoundError: There is none.
        """

    @abc.abstractmethod
    def writing(self, name: str) -> Any:
        """A context that yields a new file to write; where the block ends well it is there, through to the disk."""

    @abc.abstractmethod
    def read(self, name: str) -> bytes | None:
        """A small file; None where there is none."""

    @abc.abstractmethod
    def replace(self, name: str, content: bytes) -> None:
        """Put a small file in the place of another in one step: readers see the one or the other, whole."""

    @abc.abstractmethod
    def names(self) -> list[str]:
        """All files, also inside of folders, sorted."""

    @abc.abstractmethod
    def folders(self) -> list[str]:
        """Folders directly inside, sorted."""

    @abc.abstractmethod
    def modified(self, name: str) -> dt.datetime | None:
        """When a file was written; None where there is none."""

    @abc.abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    @abc.abstractmethod
    def clear(self) -> None:
        """Remove all files and the folder itself, if it is there."""

    @abc.abstractmethod
    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let a connection of DuckDB read addresses of this place."""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return self.modified(name) is not None


@dataclass(frozen=True)
class Folder(Place):
    """A folder on this machine, or one that is mounted."""

    address: str

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.address)

    def under(self, *parts: str) -> Folder:
        """See ``Place``."""
        return Folder("/".join((self.address, *parts)))

    @contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """See ``Place``."""
        with (self.path / name).open("rb") as file:
            yield file

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """See ``Place``."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)

    def read(self, name: str) -> bytes | None:
        """See ``Place``."""
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def replace(self, name: str, content: bytes) -> None:
        """See ``Place``."""
        draft = f".{name}{PARTIAL}"  # who replaces it is alone
        (self.path / draft).unlink(missing_ok=True)
        try:
            with self.writing(draft) as file:
                file.write(content)
            (self.path / draft).replace(self.path / name)
        finally:
            (self.path / draft).unlink(missing_ok=True)
        sync_folder(self.path)

    def names(self) -> list[str]:
        """See ``Place``."""
        return sorted(
            path.relative_to(self.path).as_posix()
            for path in self.path.rglob("*")
            if path.is_symlink() or not path.is_dir()
        )

    def folders(self) -> list[str]:
        """See ``Place``."""
        return sorted(path.name for path in self.path.glob("*") if path.is_dir())

    def modified(self, name: str) -> dt.datetime | None:
        """See ``Place``."""
        try:
            return dt.datetime.fromtimestamp((self.path / name).stat().st_mtime, dt.UTC)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def remove(self, name: str) -> None:
        """See ``Place``; folders that it leaves empty go, too."""
        path = self.path / name
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == self.path:
                break
            try:
                parent.rmdir()
            except OSError:  # something else is in it
                break

    def clear(self) -> None:
        """See ``Place``."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.path)
            sync_folder(self.path.parent)

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """See ``Place``; an engine reads folders by itself."""


@dataclass(frozen=True)
class ObjectStore(Place):
    """A prefix of a bucket. What is put is there at once or not at all."""

    address: str
    files: Any = field(repr=False, compare=False)

    def under(self, *parts: str) -> ObjectStore:
        """See ``Place``."""
        return ObjectStore("/".join((self.address, *parts)), self.files)

    @contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """See ``Place``."""
        with self._told(), self.files.open(self.at(name), "rb") as file:
            yield file

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """See ``Place``."""
        with self._told(FileNotFoundError):
            file = self.files.open(self.at(name), "wb", block_size=BLOCK)
            try:
                yield file
            except BaseException:
                with suppress(Exception):  # where the connection is lost, the store's own rule for what is unfinished
                    file.discard()
                file.closed = True  # closing would put what there is of it
                raise
            file.close()

    def read(self, name: str) -> bytes | None:
        """See ``Place``."""
        with self._told(), suppress(FileNotFoundError):
            return bytes(self.files.cat_file(self.at(name)))
        return None

    def replace(self, name: str, content: bytes) -> None:
        """See ``Place``."""
        with self._told(FileNotFoundError):
            self.files.pipe_file(self.at(name), content)

    def names(self) -> list[str]:
        """See ``Place``."""
        with self._told():
            root = f"{self.files._strip_protocol(self.address)}/"
            return sorted(one.removeprefix(root) for one in self.files.find(self.address) if one.startswith(root))

    def folders(self) -> list[str]:
        """See ``Place``."""
        with self._told(), suppress(FileNotFoundError):
            found = self.files.ls(self.address, detail=True)
            return sorted(one["name"].rpartition("/")[2] for one in found if one["type"] == "directory")
        return []

    def modified(self, name: str) -> dt.datetime | None:
        """See ``Place``."""
        with self._told(), suppress(FileNotFoundError):
            found: dt.datetime = self.files.modified(self.at(name))
            return found.astimezone(dt.UTC)
        return None

    def remove(self, name: str) -> None:
        """See ``Place``."""
        with self._told(), suppress(FileNotFoundError):
            self.files.rm_file(self.at(name))

    def clear(self) -> None:
        """See ``Place``."""
        if found := [self.at(name) for name in self.names()]:
            with self._told(), suppress(FileNotFoundError):
                self.files.rm(found)

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """See ``Place``."""
        connection.register_filesystem(self.files)

    @contextmanager
    def _told(self, *failures: type[Exception]) -> Iterator[None]:
        """Turn what the store's libraries raise into an error without their words, which may quote secrets."""
        try:
            yield
        except (DemographicsError, FileNotFoundError, duckdb.Error, pa.ArrowException) as failure:
            if isinstance(failure, failures):  # no such bucket
                raise self._broken(failure) from None
            raise
        except Exception as failure:  # noqa: BLE001 - each library of a store fails in its own way
            raise self._broken(failure) from None

    def _broken(self, failure: Exception) -> StagingError:
        return StagingError(
            "the store that staging lies in must be reachable, readable and writable",
            value=f"{type(failure).__name__} on {self.address}",
            remedy=f"Check {STAGING_VARIABLE}, whether the store answers, the credentials and their permissions, "
            "then try again.",
        )


def staging_place(workspace: Workspace, *parts: str) -> Place:
    """The place that all staging of a site lies in, or a folder inside of it.

    Args:
        workspace: Whose.
        parts: Population, and period.

    Raises:
        ConfigurationError: ``DEMOGRAPHICS_STAGING`` is no address of an object store, or its connection is not there.
    """
    address = workspace.staging_address
    if not address:
        return Folder(str(workspace.home / "staging")).under(*parts)
    environment = frozenset((name, value) for name, value in os.environ.items() if name.startswith(_TAKEN_FROM))
    return _opened(address, workspace.staging_connection, environment, os.getpid()).under(*parts)


@lru_cache(maxsize=8)
def _opened(address: str, connection: str | None, _environment: frozenset[tuple[str, str]], _pid: int) -> ObjectStore:
    """Opened once a process, for what the environment says: a connection of a process's parent is none of its own."""
    try:
        if not address.startswith("s3://"):
            raise SourceError("it must have the form s3://bucket/folder")
        place = address_of(address.rstrip("/"))
        return ObjectStore(
            f"{place.root}/{place.path}",
            connected(place, connection, use_listings_cache=False, default_block_size=BLOCK),
        )
    except SourceError as failure:
        raise ConfigurationError(
            f"{STAGING_VARIABLE} must be an address that can be opened: {failure.rule}",
            value=failure.value,
            remedy=f"Write s3://bucket/folder, with credentials in the environment or in the Airflow connection that "
            f"{STAGING_CONNECTION_VARIABLE} names.",
        ) from None
