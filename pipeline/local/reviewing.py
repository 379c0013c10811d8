"""The reviewer of trial runs: a script, which says so, and whose key lies open on this machine."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.delivery.approvals import Approvals, digest_of
from pipeline.disk import replace_file
from pipeline.review.reviewers import Reviewer, Reviewers, Signer
from pipeline.workspace import Workspace

SCRIPTED_REVIEWER: Final = "scripted-reviewer"


def entitle(workspace: Workspace) -> bool:
    """Put a site's first entitlements into force, where there is a file of them; later ones wait for a person.

    Raises:
        ConfigurationError: The file breaks a rule, or gives what no specification grants.
    """
    approvals = Approvals.of(workspace)
    content = approvals.file()
    if content is None or approvals.newest() is not None:
        return False
    approvals.approve(scripted_reviewer(workspace), digest_of(content))
    return True


def scripted_reviewer(workspace: Workspace) -> Signer:
    """The scripted reviewer of a trial run, made where there is none yet. A site that publishes in earnest has none."""
    place = workspace.reviewer_keys / f"{SCRIPTED_REVIEWER}.key"
    if not place.exists():
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw().hex()
        Reviewers(workspace.reviewer_keys).put(Reviewer(name=SCRIPTED_REVIEWER, public_key=public, scripted=True))
        replace_file(place, key.private_bytes_raw(), 0o600)
    return Signer(SCRIPTED_REVIEWER, Ed25519PrivateKey.from_private_bytes(place.read_bytes()), scripted=True)
