"""The three files of an audience that change: what there is, what is newest, what has happened.

They are made from the bundles that stand on the disk, so that making them again puts right what a killed run left.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PublicationError, VerificationError
from pipeline.publication import files
from pipeline.publication.manifest import MANIFEST_NAME, Manifest, file_entry, json_bytes, revision_number
from pipeline.vocabulary import AUDIENCE_TITLES, Audience

LATEST_NAME = "latest.json"
INDEX_NAME = "index.json"
CHANGELOG_NAME = "CHANGELOG.md"


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

    @property
    def path(self) -> str:
        """Where it is, from the audience's folder."""
        return f"{self.product}/{self.period}/r{self.revision}"


def refresh(published: Path, audiences: tuple[Audience, ...], product: str) -> None:
    """Write ``latest.json`` of one product and ``index.json`` and ``CHANGELOG.md`` of these audiences."""
    for audience in audiences:
        shelf = published / audience
        editions = editions_of(shelf)
        newest = max(edition for edition in editions if edition.product == product)
        _write(shelf / product / LATEST_NAME, json_bytes(_latest(newest, audience)))
        _write(shelf / INDEX_NAME, json_bytes(_index(editions, audience)))
        _write(shelf / CHANGELOG_NAME, _changelog(editions, audience).encode())


def editions_of(shelf: Path) -> tuple[Edition, ...]:
    """All bundles of one audience, by product, period and revision.

    Raises:
        PublicationError: A manifest there cannot be read.
    """
    found = [path for path in shelf.glob("*/*/r*") if revision_number(path.name) and _visible(path, shelf)]
    return tuple(sorted(_edition(path) for path in found))


def _visible(path: Path, shelf: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(shelf).parts)


def _edition(folder: Path) -> Edition:
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
    newest_first = sorted(editions, key=lambda edition: (edition.issued, edition), reverse=True)
    lines = [f"# What was published for {AUDIENCE_TITLES[audience]}", ""]
    lines += [_line(edition, editions) for edition in newest_first]
    return "\n".join(lines) + "\n"


def _line(edition: Edition, editions: tuple[Edition, ...]) -> str:
    day = dt.datetime.fromisoformat(edition.issued).date().isoformat()
    # A revision may come after one that was never published.
    same = [one for one in editions if (one.product, one.period) == (edition.product, edition.period)]
    earlier = max((one.revision for one in same if one.revision < edition.revision), default=None)
    what = "first published" if earlier is None else f"replaces r{earlier}"
    return f"- {day}: {edition.title}, {edition.period}, r{edition.revision}: {what} (`{edition.path}`)"


def _write(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        files.replace(path, content)
