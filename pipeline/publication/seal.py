"""What holds a bundle together: signature, manifest, and the digests of its files. Reads no table."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.errors import VerificationError
from pipeline.publication.key_list import Trusted
from pipeline.publication.manifest import MANIFEST_NAME, SIGNATURE_NAME, SUMS_NAME, FileEntry, Manifest, sums_bytes


def sealed_manifest(folder: Path, keys: Trusted) -> Manifest:
    """The manifest of a bundle whose seal holds.

    Raises:
        VerificationError: The signature, the manifest or a file does not hold; says which.
    """
    content = read_part(folder, MANIFEST_NAME)
    judged = keys.judge(content, read_part(folder, SIGNATURE_NAME))
    if not judged.holds:
        raise _broken(judged.told or f"{SIGNATURE_NAME} is no signature of {MANIFEST_NAME} by this key")
    manifest = Manifest.from_bytes(content)
    broken = [*broken_files(folder, manifest), *stray_files(folder, manifest)]
    if not sums_agree(folder, manifest):
        broken.append(SUMS_NAME)
    if broken:
        raise _broken(", ".join(broken[:5]))
    return manifest


def read_part(folder: Path, name: str) -> bytes:
    """One file of a bundle.

    Raises:
        VerificationError: It is missing or cannot be read, or is a link to elsewhere.
    """
    path = folder / name
    try:
        if path.is_symlink():
            raise _broken(f"{name} is a link")
        return path.read_bytes()
    except OSError as failure:
        raise VerificationError(
            f"a bundle must hold a readable {name}", value=type(failure).__name__, remedy="Download it again."
        ) from None


def broken_files(folder: Path, manifest: Manifest) -> list[str]:
    """Names of listed files that are missing or have other bytes than the manifest says."""
    return [entry.path for entry in (*manifest.files, manifest.sums) if not _holds(folder, entry)]


def stray_files(folder: Path, manifest: Manifest) -> list[str]:
    """Names of entries of the folder that the manifest does not list."""
    listed = {MANIFEST_NAME, SIGNATURE_NAME, manifest.sums.path, *(entry.path for entry in manifest.files)}
    return sorted(path.name for path in folder.iterdir() if path.name not in listed)


def sums_agree(folder: Path, manifest: Manifest) -> bool:
    """Whether SHA256SUMS says what the manifest says."""
    path = folder / SUMS_NAME
    return manifest.sums.path == SUMS_NAME and path.is_file() and path.read_bytes() == sums_bytes(manifest.files)


def _holds(folder: Path, entry: FileEntry) -> bool:
    path = folder / entry.path
    if path.is_symlink() or not path.is_file() or path.stat().st_size != entry.bytes:
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256


def _broken(what: str) -> VerificationError:
    return VerificationError(
        "a bundle must be what its manifest and its signature say", value=what, remedy="Download it again."
    )
