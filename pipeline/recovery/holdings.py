"""Which files of a site go into a backup.

Not among them is what must not live longer than was declared (staging, keys of periods, access packets, what lies in
the drop folder, Data Docs) and what is made again (temporary files, Airflow's own).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.workspace import Workspace

RELEASES: Final = "releases"
PUBLISHED: Final = "published"
SENT: Final = "sent"
REPORTS: Final = "reports"
KEYS: Final = "keys/"
_FILES: Final = ("site.yaml", "policy.yaml", "entitlements.yaml", "settings.yaml")
_KEYS: Final = ("portal.key", "webhooks.key", "subjects.key")
_KEY_FOLDERS: Final = ("signing", "reviewers")


def small_files(workspace: Workspace) -> dict[str, bytes]:
    """What the site declares, and the keys that outlive periods: content by the path in the site's folder."""
    keys = workspace.subject_key.parent
    places = {name: workspace.home / name for name in _FILES}
    places |= {f"keys/{name}": keys / name for name in _KEYS}
    for name in _KEY_FOLDERS:
        places |= {f"keys/{name}/{path.name}": path for path in _visible(keys / name)}
    places |= {f"{RELEASES}/{path.name}": path for path in _visible(workspace.releases) if path.suffix == ".yaml"}
    return {name: path.read_bytes() for name, path in sorted(places.items()) if path.is_file()}


def files_in(workspace: Workspace, folder: str) -> list[tuple[str, Path]]:
    """The files beneath a folder of the site, by their path in it, in order; hidden ones are drafts and locks."""
    return [(path.relative_to(workspace.home).as_posix(), path) for path in _visible(workspace.home / folder)]


def what_is_there(home: Path) -> Iterator[str]:
    """The paths of all files in a site's folder that a restore would have to mind, in order."""
    for path in sorted(home.rglob("*")):
        parts = path.relative_to(home).parts
        if path.is_file() and not parts[0].startswith(".") and parts[0] != "lost+found":
            yield "/".join(parts)


def _visible(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
