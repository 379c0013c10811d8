"""A published site whose keys are changed, and what is asked of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from pipeline.privacy.ledger import Ledger
from pipeline.publication.cuts import Cut
from pipeline.publication.key_list import KeyList
from pipeline.publication.key_ring import list_of
from pipeline.publication.seal import sealed_manifest
from pipeline.publication.signing import signer_id
from pipeline.publication.verify import keys_for
from pipeline.vocabulary import Audience
from pipeline.workspace import Workspace

CUT = Cut(Audience.RESELLER, tables=("countries",))
STOLEN = "a laptop was stolen"
EARLY = "2020-01-01T09:00:00+00:00"  # decided before any key is retired


def folders(site: Workspace) -> list[Path]:
    found = sorted(site.published.glob("*/audience_weekly/2026-W41/r1"))
    assert len(found) == 5, "four audiences and a part"
    return found


def listed(site: Workspace) -> KeyList:
    found = list_of(Ledger.open(site.ledger))
    assert found is not None
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def pinned(site: Workspace, tmp_path: Path, name: str = "pinned.pub") -> Path:
    """The public key as a recipient keeps it from today on."""
    return Path(shutil.copy(site.published / "minisign.pub", tmp_path / name))


def signers(site: Workspace) -> set[str]:
    """Who signed what stands; by the keys that recipients find, all of it holds."""
    shown = keys_for(str(site.published / "minisign.pub"), site.published / "keys.json")
    assert shown is not None
    assert all(sealed_manifest(folder, shown) for folder in folders(site))
    return {signer_id((folder / "manifest.json.minisig").read_bytes()) for folder in folders(site)}


def states(site: Workspace) -> list[str]:
    return [one.state for one in listed(site).keys]
