"""A folder that bundles are put into: each file whole or not at all, and none in the place of another."""

from __future__ import annotations

import abc
import contextlib
import errno
from collections.abc import Iterator
from typing import Any, Final

from pipeline.errors import DeliveryError, DemographicsError, SourceError
from pipeline.publication.files import PARTIAL

_LOCAL_FAILURES: Final = {
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "a file may not be so large",
    errno.EROFS: "it is read-only",
    errno.EACCES: "permission is denied",
}


class OccupiedError(DeliveryError):
    """Another file stands where one is to be put."""


class Store(abc.ABC):
    """A folder behind an fsspec file system; for one thread at a time.

    Paths are relative to the folder, with slashes. A file under its final name is always whole: whatever is cut leaves
    nothing, or a hidden file that ends with ``.partial``.

    Args:
        files: The file system, connected.
        root: The folder, as the file system calls it.
        address: The folder, for people to read.
    """

    def __init__(self, files: Any, root: str, address: str) -> None:
        self._files, self._root, self.address = files, root.rstrip("/"), address.rstrip("/")

    def sizes(self, folder: str) -> dict[str, int]:
        """The files of a folder and their bytes, hidden ones too; none where there is no such folder.

        Raises:
            DeliveryError: The store cannot be reached or read.
        """
        place = self._at(folder)
        with self._told(folder), contextlib.suppress(FileNotFoundError):
            found = self._files.ls(place, detail=True)
            inside = [entry for entry in found if entry["type"] == "file" and entry["name"].startswith(f"{place}/")]
            return {entry["name"].rpartition("/")[2]: int(entry["size"]) for entry in inside}
        return {}

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder, without hidden ones; none where there is no such folder.

        Raises:
            DeliveryError: The store cannot be reached or read.
        """
        place = self._at(folder)
        with self._told(folder), contextlib.suppress(FileNotFoundError):
            found = self._files.ls(place, detail=True)
            names = {entry["name"].rstrip("/").rpartition("/")[2] for entry in found if entry["type"] == "directory"}
            return sorted(name for name in names if not name.startswith("."))
        return []

    def read(self, path: str) -> bytes | None:
        """The content of a file; None where there is none.

        Raises:
            DeliveryError: The store cannot be reached or read.
        """
        with self._told(path), contextlib.suppress(FileNotFoundError):
            return self._read(self._at(path))
        return None

    def put(self, path: str, content: bytes) -> None:
        """Put a new file. One that stands there already with exactly this content is left as it is.

        Raises:
            OccupiedError: Another file stands there.
            DeliveryError: The store cannot be reached or written.
        """
        try:
            with self._told(path):
                self._create(self._at(path), content)
        except FileExistsError:  # perhaps of an earlier try, whose answer was lost
            if self.read(path) != content:
                raise self.occupied(path) from None

    def replace(self, path: str, content: bytes) -> None:
        """Put a file that changes, in the place of its former content in one step.

        Raises:
            DeliveryError: The store cannot be reached or written.
        """
        with self._told(path):
            self._replace(self._at(path), content)

    def remove(self, path: str) -> None:
        """Remove a file, if it is there.

        Raises:
            DeliveryError: The store cannot be reached or written.
        """
        with self._told(path), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._at(path))

    def sweep(self, folder: str) -> dict[str, int]:
        """Remove what cut transfers left among the files of a folder.

        Returns:
            The files that are there, and their bytes, as ``sizes`` has them.

        Raises:
            DeliveryError: The store cannot be reached or written.
        """
        there = self.sizes(folder)
        for name in [name for name in there if name.startswith(".") and name.endswith(PARTIAL)]:
            self.remove(f"{folder}/{name}".lstrip("/"))
            del there[name]
        return there

    def occupied(self, path: str) -> OccupiedError:
        """The error for another file in the place of one that is to be put there."""
        return OccupiedError(
            "nothing in a store is overwritten, and each file there must be the one that was published",
            value=f"another file at {self.address}/{path}",
            remedy="Ask who else writes there; move it away, then: demographics deliver",
        )

    def close(self) -> None:  # noqa: B027 - most have none
        """End the connection, if there is one."""

    @abc.abstractmethod
    def _create(self, place: str, content: bytes) -> None:
        """Put a new file; raises FileExistsError where one stands."""

    @abc.abstractmethod
    def _replace(self, place: str, content: bytes) -> None:
        """Put a file in the place of another, or where none is."""

    def _read(self, place: str) -> bytes:
        content: bytes = self._files.cat_file(place)
        return content

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")

    @contextlib.contextmanager
    def _told(self, path: str) -> Iterator[None]:
        with told(f"{self.address}/{path}"):
            yield


@contextlib.contextmanager
def told(place: str) -> Iterator[None]:
    """Turn failures into errors that say where and of which kind, and not what a library says: it may quote secrets.

    Raises:
        DeliveryError: Something failed; that a file is there already passes as it is.
    """
    try:
        yield
    except SourceError as failure:  # of the file system's opening, which sources share
        raise DeliveryError(failure.rule, value=failure.value, remedy=failure.remedy) from None
    except (DemographicsError, FileExistsError):
        raise
    except Exception as failure:  # noqa: BLE001 - each store fails in its own way
        kind = _LOCAL_FAILURES.get(getattr(failure, "errno", None) or 0, type(failure).__name__)
        raise DeliveryError(
            "a store must be reachable and writable",
            value=f"{place} ({kind})",
            remedy="Check whether it answers, its credentials, its permissions and its free space; what is not there "
            "yet is sent by the next demographics deliver.",
        ) from None
