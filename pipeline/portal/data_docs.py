"""Serves what other parts of the product have written as pages: Data Docs, and the reports of releases."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fastapi.responses import FileResponse

from pipeline.errors import LedgerError
from pipeline.portal.failures import RefusedError
from pipeline.spec import ReleaseKey
from pipeline.workspace import Workspace

# These pages carry their style sheet in themselves, and need nothing else.
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_REMEDY: Final = "It was not made yet, or was removed when its time was over. Checks write such pages when they run."
# Of a file or folder: none that is hidden, and none that leads elsewhere.
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_INDEX: Final = "index.html"
_RUNS: Final = "runs"


def served(folder: Path, path: str) -> FileResponse:
    """A page of a folder of pages.

    Raises:
        RefusedError: There is no such page: pages alone are served, no records and no hidden files.
    """
    root = folder.resolve()
    parts = (path or _INDEX).split("/")
    if not all(_NAME.fullmatch(part) for part in parts):
        raise _no_such_page()
    wanted = root.joinpath(*parts).resolve()
    if not wanted.is_relative_to(root) or wanted.suffix != ".html" or not wanted.is_file():
        raise _no_such_page()
    return FileResponse(
        wanted, media_type="text/html", headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    )


def _no_such_page() -> RefusedError:
    return RefusedError(404, LedgerError("there must be such a page", remedy=_REMEDY))


def report(workspace: Workspace, key: ReleaseKey) -> FileResponse:
    """The report of a release that was checked.

    Raises:
        RefusedError: There is none.
    """
    path = workspace.report(key.release, key.period, key.revision)
    return served(path.parent, path.name)


def run_of(workspace: Workspace, key: ReleaseKey) -> str:
    """Address of the newest page about the checks of a release; empty where there is none any more."""
    folder = workspace.data_docs
    name = str(key).replace("/", ".")
    pages = sorted((folder / _RUNS).glob(f"*/{name}/*.html"), key=lambda path: path.stem)
    return f"/data-docs/{pages[-1].relative_to(folder).as_posix()}" if pages else ""
