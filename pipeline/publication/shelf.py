"""The three files of an audience that change: what there is, what is newest, what has happened.

They are made from the bundles that stand on the disk, so that making them again puts right what a killed run left.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipeline.documents import Document
from pipeline.errors import PublicationError, VerificationError
from pipeline.publication import files
from pipeline.publication.manifest import MANIFEST_NAME, Manifest, file_entry, json_bytes, revision_number
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import AUDIENCE_TITLES, NAME_PATTERN, Audience

LATEST_NAME = "latest.json"
INDEX_NAME = "index.json"
CHANGELOG_NAME = "CHANGELOG.md"
TOMBSTONE_NAME = "WITHDRAWN.json"
TOMBSTONE_SIGNATURE_NAME = "WITHDRAWN.json.minisig"
WITHDRAWN = "withdrawn"  # status of an edition
_PERIOD = r"[0-9]{4}-[0-9W-]{2,5}"
_MOST_REVISIONS = 10**6


class Tombstone(Document):
    """What stays where a bundle was that is withdrawn."""

    release: str
    period: str
    revision: int
    audience: Audience
    title: str
    issued: str
    """When what stood here was approved."""
    withdrawn_at: str
    """ISO 8601, UTC."""
    reason: str
    """In the reviewer's words."""
    manifest_sha256: str
    """Of what stood here: who has a copy can tell that it is the one."""

    def to_bytes(self) -> bytes:
        """JSON for people to read, the same bytes for the same tombstone."""
        return json_bytes(self.model_dump(mode="json"))


@dataclass(frozen=True, order=True)
class Edition:
    """One published bundle of one audience; editions sort by product, period and revision."""

    product: str
    period: str
    revision: int
    title: str
    status: str
    issued: str
    manifest_sha256: str
    withdrawn_at: str = ""
    reason: str = ""

    @property
    def path(self) -> str:
        """Where it is, from the audience's folder."""
        return f"{self.product}/{self.period}/r{self.revision}"


def refresh(published: Path, shelves: Iterable[str], product: str) -> None:
    """Write ``latest.json`` of one product and ``index.json`` and ``CHANGELOG.md`` of these shelves.

    Args:
        published: The folder of all shelves.
        shelves: Names of audiences, and of parts of what they receive (``Cut.shelf``).
        product: Whose editions changed.
    """
    for name in shelves:
        shelf = published / name
        pages = pages_of(editions_of(shelf), audience_of(name))
        for path, content in pages.items():
            _write(shelf / path, content)
        if f"{product}/{LATEST_NAME}" not in pages:
            (shelf / product / LATEST_NAME).unlink(missing_ok=True)


def pages_of(editions: tuple[Edition, ...], audience: Audience) -> dict[str, bytes]:
    """The files that change, by their path from the shelf: ``latest.json`` of each product that has any, and two more.

    Args:
        editions: All that are told of, by product, period and revision.
        audience: Whose they are.
    """
    newest = {edition.product: edition for edition in editions if edition.status != WITHDRAWN}
    pages = {f"{product}/{LATEST_NAME}": json_bytes(_latest(one, audience)) for product, one in newest.items()}
    pages[INDEX_NAME] = json_bytes(_index(editions, audience))
    pages[CHANGELOG_NAME] = _changelog(editions, audience).encode()
    return pages


def audience_of(shelf: str) -> Audience:
    """The audience that a shelf is for, whole or in part."""
    return Audience(shelf.partition("-")[0])


def place_of(folder: Path) -> str:
    """A bundle's place beneath the published folder: ``partner/weekly_audience/2026-W41/r1``."""
    return "/".join(folder.parts[-4:])


def key_at(folder: Path) -> ReleaseKey:
    """The release that a bundle's place says it is of."""
    _, release, period, revision = folder.parts[-4:]
    return ReleaseKey(release, period, revision_number(revision) or 0)


def bundle_folders(published: Path) -> Iterator[Path]:
    """The folders of all bundles and tombstones on all shelves, in order; hidden ones are drafts."""
    for folder in sorted(published.glob("*/*/*/r*")):
        if revision_number(folder.name) and _visible(folder, published):
            yield folder


def editions_of(shelf: Path, product: str = "*") -> tuple[Edition, ...]:
    """All bundles of one shelf, or those of one product, by product, period and revision.

    Raises:
        PublicationError: A manifest there cannot be read.
    """
    found = [path for path in shelf.glob(f"{product}/*/r*") if revision_number(path.name) and _visible(path, shelf)]
    return tuple(sorted(edition for path in found if (edition := _edition_in(path))))


def edition_at(shelf: Path, product: str, period: str, revision: int) -> Edition | None:
    """One bundle, or its tombstone; None where there is none.

    Args:
        shelf: Where to look.
        product: Name of the release, as somebody asked for it.
        period: Likewise; whatever is no name of a period is of none.
        revision: Likewise.

    Raises:
        PublicationError: Its manifest cannot be read.
    """
    if not (re.fullmatch(NAME_PATTERN, product) and re.fullmatch(_PERIOD, period) and 0 < revision < _MOST_REVISIONS):
        return None
    return _edition_in(shelf / product / period / f"r{revision}")


def _edition_in(folder: Path) -> Edition | None:
    """What a folder holds; None where it is taken away just now, or never was there."""
    for name in (TOMBSTONE_NAME, MANIFEST_NAME):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            stamp = (folder / name).stat()
            return _remembered(folder, stamp.st_mtime_ns, stamp.st_ino)
    return None


@functools.lru_cache(maxsize=4096)
def _remembered(folder: Path, _changed: int, _inode: int) -> Edition:
    return _edition(folder)  # neither a manifest nor a tombstone ever changes


def _visible(path: Path, shelf: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(shelf).parts)


def tombstone_of(folder: Path) -> Tombstone | None:
    """What says that a bundle is withdrawn; None where it is not.

    Raises:
        PublicationError: It cannot be read.
    """
    path = folder / TOMBSTONE_NAME
    if not path.is_file():
        return None
    try:
        return Tombstone.model_validate_json(path.read_bytes())
    except ValidationError:
        raise PublicationError(
            "a tombstone on the shelf must be one that this program wrote", value=path, remedy="Restore it."
        ) from None


def _edition(folder: Path) -> Edition:
    if stone := tombstone_of(folder):
        return Edition(
            stone.release,
            stone.period,
            stone.revision,
            stone.title,
            WITHDRAWN,
            stone.issued,
            stone.manifest_sha256,
            stone.withdrawn_at,
            stone.reason,
        )
    content = (folder / MANIFEST_NAME).read_bytes()
    try:
        manifest = Manifest.from_bytes(content)
    except VerificationError:
        raise PublicationError(
            "every bundle on the shelf must have a manifest that can be read",
            value=folder,
            remedy="Restore the bundle from a backup.",
        ) from None
    identity = manifest.identity
    return Edition(
        identity.release,
        identity.period,
        identity.revision,
        identity.title,
        identity.status,
        manifest.provenance.approval.decided_at,
        file_entry(MANIFEST_NAME, content).sha256,
    )


def _latest(newest: Edition, audience: Audience) -> dict[str, object]:
    return {
        "audience": audience,
        "product": newest.product,
        "title": newest.title,
        "period": newest.period,
        "revision": newest.revision,
        "path": f"{newest.period}/r{newest.revision}",
        "issued": newest.issued,
        "manifest_sha256": newest.manifest_sha256,
    }


def _index(editions: tuple[Edition, ...], audience: Audience) -> dict[str, object]:
    products: dict[str, dict[str, list[dict[str, object]]]] = {}
    titles = {edition.product: edition.title for edition in editions}
    for edition in editions:
        entry: dict[str, object] = {
            "revision": edition.revision,
            "status": edition.status,
            "path": edition.path,
            "issued": edition.issued,
            "manifest_sha256": edition.manifest_sha256,
        }
        if edition.status == WITHDRAWN:
            entry |= {"withdrawn_at": edition.withdrawn_at, "reason": edition.reason}
        products.setdefault(edition.product, {}).setdefault(edition.period, []).append(entry)
    shown = [
        {
            "product": product,
            "title": titles[product],
            "periods": [{"period": period, "revisions": revisions} for period, revisions in periods.items()],
        }
        for product, periods in products.items()
    ]
    return {"audience": audience, "products": shown}


def _changelog(editions: tuple[Edition, ...], audience: Audience) -> str:
    told = [(edition.issued, edition, _line(edition, editions)) for edition in editions]
    told += [(one.withdrawn_at, one, _withdrawal(one)) for one in editions if one.status == WITHDRAWN]
    lines = [f"# What was published for {AUDIENCE_TITLES[audience]}", ""]
    lines += [line for *_, line in sorted(told, reverse=True)]
    return "\n".join(lines) + "\n"


def _withdrawal(edition: Edition) -> str:
    what = f"{edition.title}, {edition.period}, r{edition.revision}"
    return f"- {_day(edition.withdrawn_at)}: {what}: withdrawn, do not use it any more: {edition.reason}"


def _day(instant: str) -> str:
    return dt.datetime.fromisoformat(instant).date().isoformat()


def _line(edition: Edition, editions: tuple[Edition, ...]) -> str:
    # A revision may come after one that was never published.
    same = [one for one in editions if (one.product, one.period) == (edition.product, edition.period)]
    earlier = max((one.revision for one in same if one.revision < edition.revision), default=None)
    what = "first published" if earlier is None else f"replaces r{earlier}"
    return (
        f"- {_day(edition.issued)}: {edition.title}, {edition.period}, r{edition.revision}: {what} (`{edition.path}`)"
    )


def _write(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        files.replace(path, content)
