"""Verifies a bundle that somebody received: seal, tables, description, and that its numbers agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.errors import VerificationError
from pipeline.publication import seal
from pipeline.publication.agreement import Check, agreement
from pipeline.publication.datapackage import DATAPACKAGE_NAME
from pipeline.publication.encoding import escaped, read_csv, read_parquet
from pipeline.publication.key_list import KEYS_NAME, Trusted
from pipeline.publication.manifest import MANIFEST_NAME, SIGNATURE_NAME, SUMS_NAME, Manifest
from pipeline.publication.shelf import TOMBSTONE_NAME, TOMBSTONE_SIGNATURE_NAME, Tombstone, tombstone_of
from pipeline.publication.signing import PUBLIC_KEY_NAME, read_public_key
from pipeline.release.artefact import TableFacts

__all__ = ["Check", "keys_for", "verify_bundle"]


def verify_bundle(folder: Path, keys: Trusted | None = None) -> tuple[Check, ...]:
    """Check everything that a bundle promises of itself.

    Args:
        folder: The bundle, ``r{N}``.
        keys: Whose signature counts, ``keys_for``. Without them keys are looked for where the publisher puts them, and
            beside the bundle; the first check says which were used.

    Returns:
        Every check; all of them hold.

    Raises:
        VerificationError: Some do not. The checks build on each other, so those of the first kind that
            fails are named: signature, manifest, files, tables, then what the tables say.
    """
    if not folder.is_dir():
        raise VerificationError("a bundle must be a folder", value=folder, remedy="Give the folder named r1, r2, ...")
    if (folder / TOMBSTONE_NAME).is_file():
        stone = verify_tombstone(folder, keys)
        raise VerificationError(
            "a withdrawn release is not to be used any more",
            value=f"withdrawn on {stone.withdrawn_at[:10]}: {stone.reason}",
            remedy="Delete your copies, and look for a later revision.",
        )
    keys = keys or _keys_near(folder)
    content = seal.read_part(folder, MANIFEST_NAME)
    checks = _require([_signed(MANIFEST_NAME, content, seal.read_part(folder, SIGNATURE_NAME), keys)])
    manifest = Manifest.from_bytes(content)
    checks += _require(_manifest_checks(manifest))
    checks += _require(_file_checks(folder, manifest))
    tables = {facts.name: _table(folder, facts) for facts in manifest.tables}
    checks += _require([check for facts in manifest.tables for check in _table_checks(folder, manifest, facts, tables)])
    return (*checks, *_require([_description(folder), *agreement(manifest, tables)]))


def verify_tombstone(folder: Path, keys: Trusted | None = None) -> Tombstone:
    """What says that a bundle is withdrawn, once its signature holds.

    Args:
        folder: Where the bundle was.
        keys: As for ``verify_bundle``.

    Raises:
        VerificationError: The publisher did not sign it, or other files stand beside it.
    """
    keys = keys or _keys_near(folder)
    content = seal.read_part(folder, TOMBSTONE_NAME)
    others = sorted(path.name for path in folder.iterdir() if path.name not in _OF_TOMBSTONE)
    _require(
        [
            _signed(TOMBSTONE_NAME, content, seal.read_part(folder, TOMBSTONE_SIGNATURE_NAME), keys),
            Check(TOMBSTONE_NAME, "nothing else is left", not others, ", ".join(others[:5])),
        ]
    )
    stone = tombstone_of(folder)
    assert stone is not None
    return stone


_OF_TOMBSTONE = (TOMBSTONE_NAME, TOMBSTONE_SIGNATURE_NAME)


def keys_for(public_key: str | None, listed: Path | None = None) -> Trusted | None:
    """The keys that somebody names: that one, and those that a list leads to from it, where one is given.

    Args:
        public_key: The publisher's key, as base64 or as the path of a ``.pub`` file.
        listed: ``keys.json``, which has its signature beside it.

    Raises:
        VerificationError: They cannot be read, or the list is not to be trusted by who trusts that key.
    """
    if public_key is None:
        if listed is not None:
            raise VerificationError("a list of keys leads on from a key that is trusted", remedy="Give it with --key.")
        return None
    anchor, source = read_public_key(public_key), "the key that was given"
    return Trusted(anchor, source) if listed is None else Trusted.following(anchor, source, listed)


def _keys_near(folder: Path) -> Trusted:
    place = folder.resolve()
    near = [place.parents[3] / PUBLIC_KEY_NAME] if len(place.parents) > 3 else []  # audience/product/period/rN
    for path in (*near, place.parent / PUBLIC_KEY_NAME):
        if path.is_file():
            source = f"the key in {path}; compare it with the one the publisher gave you"
            anchor, listed = read_public_key(str(path)), path.with_name(KEYS_NAME)
            return Trusted.following(anchor, source, listed) if listed.is_file() else Trusted(anchor, source)
    raise VerificationError(
        "the publisher's public key must be given or lie beside the bundle",
        value=f"no {PUBLIC_KEY_NAME}",
        remedy="Ask the publisher for minisign.pub and name it.",
    )


def _require(checks: Sequence[Check]) -> list[Check]:
    if failed := [check for check in checks if not check.success]:
        raise VerificationError(
            "a bundle must be what its manifest and its signature say",
            value=f"{len(failed)} failed: " + "; ".join(check.name for check in failed[:10]),
            remedy="Do not use it; download it again, and tell the publisher if that does not help.",
        )
    return list(checks)


def _signed(name: str, content: bytes, signature: bytes, keys: Trusted) -> Check:
    judged = keys.judge(content, signature)
    told = "; ".join(part for part in (judged.told, keys.source) if part)
    return Check(name, "signed by the publisher", judged.holds, told)


def _manifest_checks(manifest: Manifest) -> list[Check]:
    names = [entry.path for entry in manifest.files]
    wanted = {f"{facts.name}.{ending}" for facts in manifest.tables for ending in ("parquet", "csv")}
    return [
        Check(MANIFEST_NAME, "well-formed", True, manifest.subject),
        Check(MANIFEST_NAME, "lists each file once", len(set(names)) == len(names)),
        Check(MANIFEST_NAME, "lists its tables and their description", wanted | {DATAPACKAGE_NAME} <= set(names)),
    ]


def _file_checks(folder: Path, manifest: Manifest) -> list[Check]:
    broken, stray = set(seal.broken_files(folder, manifest)), seal.stray_files(folder, manifest)
    listed = [entry.path for entry in (*manifest.files, manifest.sums)]
    return [
        *(Check(path, "there, with the listed size and SHA-256", path not in broken) for path in listed),
        Check("bundle", "holds no file that is not listed", not stray, ", ".join(stray[:5])),
        Check(SUMS_NAME, "agrees with the manifest", seal.sums_agree(folder, manifest)),
    ]


def _table(folder: Path, facts: TableFacts) -> pd.DataFrame:
    return read_parquet(seal.read_part(folder, f"{facts.name}.parquet"), facts)


def _table_checks(folder: Path, manifest: Manifest, facts: TableFacts, tables: dict[str, pd.DataFrame]) -> list[Check]:
    frame = tables[facts.name]
    shown = read_csv(seal.read_part(folder, f"{facts.name}.csv"), facts)
    rows = [entry.rows for entry in manifest.files if entry.path.startswith(f"{facts.name}.")]
    return [
        Check(facts.name, "has as many rows as the manifest says", set(rows) == {len(frame)}, f"{len(frame)} rows"),
        Check(facts.name, "reads the same in Parquet and CSV", shown.equals(escaped(frame, facts))),
    ]


def _description(folder: Path) -> Check:
    import frictionless  # noqa: PLC0415 - loading it costs more than all other checks

    try:
        report = frictionless.Package(str(folder.resolve() / DATAPACKAGE_NAME)).validate()
    except frictionless.FrictionlessException as failure:
        return Check(DATAPACKAGE_NAME, "describes the files rightly", False, failure.error.type)
    kinds = sorted({kind for (kind,) in report.flatten(["type"])})
    return Check(DATAPACKAGE_NAME, "describes the files rightly", report.valid, ", ".join(kinds))
