"""What editors and people look up: JSON Schemas of the YAML files, a page about them, and one about settings.

Everything here is made from the models, so that it cannot say anything else than the program does. The files are
committed; a test and ``demographics reference`` tell when one is out of date.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import ConfigurationError
from pipeline.reference.page import specification_page
from pipeline.reference.schemas import (
    entitlements_schema,
    policy_schema,
    release_schema,
    schema_text,
    site_schema,
)
from pipeline.reference.settings_page import settings_page

COMMAND = "demographics reference --write"


def reference_files() -> dict[str, str]:
    """The text of each file, by its path in the folder of documents."""
    return {
        "schema/entitlements.schema.json": schema_text(entitlements_schema()),
        "schema/policy.schema.json": schema_text(policy_schema()),
        "schema/release.schema.json": schema_text(release_schema()),
        "schema/site.schema.json": schema_text(site_schema()),
        "settings.md": settings_page(),
        "specification.md": specification_page(),
    }


def check_reference(docs: Path) -> None:
    """Compare the files with the program.

    Raises:
        ConfigurationError: A file is missing, or is not what the program says now.
    """
    stale = [name for name, text in reference_files().items() if _read(docs / name) != text]
    if stale:
        raise ConfigurationError(
            "the reference must say what the program does",
            value=f"other text in {', '.join(stale)}",
            remedy=f"Run: {COMMAND}",
        )


def write_reference(docs: Path) -> tuple[Path, ...]:
    """Bring the files up to date.

    Returns:
        The paths of all files, whether they changed or not.

    Raises:
        ConfigurationError: There is no folder of documents, because the program runs outside its source tree.
    """
    if not docs.is_dir():
        raise ConfigurationError(
            "the reference must have its folder", value=f"none at {docs}", remedy="Run this in a clone of the project."
        )
    texts = reference_files()
    for name, text in texts.items():
        (docs / name).parent.mkdir(exist_ok=True)
        (docs / name).write_text(text, encoding="utf-8", newline="\n")
    return tuple(docs / name for name in texts)


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None
