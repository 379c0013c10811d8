"""The publisher's minisign key and what is signed with it.

The format is minisign's own (https://jedisct1.github.io/minisign/), so that recipients can check a bundle with that
program and need none of ours.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import minisign
from minisign import KeyPair

from pipeline.disk import create_once
from pipeline.errors import PublicationError, VerificationError
from pipeline.publication import files
from pipeline.workspace import Workspace

PUBLIC_KEY_NAME = "minisign.pub"
SECRET_KEY_NAME = "minisign.key"  # noqa: S105 - a file name
UNTRUSTED_COMMENT = "signature of a published bundle"


def signing_key(workspace: Workspace) -> KeyPair:
    """The publisher's key pair, made when it is first needed.

    The secret key is readable by its owner only; the public one is copied to where recipients find it.

    Raises:
        PublicationError: The key cannot be read or written, or recipients hold the public half of another.
    """
    secret, public = workspace.signing_keys / SECRET_KEY_NAME, workspace.signing_keys / PUBLIC_KEY_NAME
    shown = workspace.published / PUBLIC_KEY_NAME
    with files.as_publication_errors(workspace.home):
        if not secret.exists():
            _refuse_a_second_key(shown)
            create_once(secret, bytes(KeyPair.generate().secret_key) + b"\n")
        pair = _read(secret)
        content = public_key_bytes(pair)
        if shown.exists() and shown.read_bytes() != content:
            _refuse_a_second_key(shown)
        for target in (public, shown):
            if not target.exists() or target.read_bytes() != content:
                files.replace(target, content)
    return pair


def public_key_bytes(pair: KeyPair) -> bytes:
    """The public key's file, as minisign writes it: a comment line and a line of base64."""
    return bytes(pair.public_key) + b"\n"


def sign(pair: KeyPair, content: bytes, decided_at: dt.datetime, subject: str, name: str = "manifest.json") -> bytes:
    """A detached minisign signature of ``content``, the same bytes for the same input.

    Args:
        pair: The publisher's key.
        content: What is signed.
        decided_at: Stands in the trusted comment, as minisign writes its time.
        subject: One line of printable ASCII without tabs: which bundle this is.
        name: Of the file that is signed.
    """
    trusted = f"timestamp:{int(decided_at.timestamp())}\tfile:{name}\thashed\tbundle:{subject}"
    signature = pair.secret_key.sign(content, untrusted_comment=UNTRUSTED_COMMENT, trusted_comment=trusted)
    return bytes(signature) + b"\n"


def signature_holds(key: minisign.PublicKey, content: bytes, signature: bytes) -> bool:
    """Whether ``signature`` is this key's signature of ``content``, in exactly the form that ``sign`` writes.

    The form is compared too because a signature file has parts that it does not itself cover.
    """
    try:
        parsed = minisign.Signature.from_bytes(signature)
        key.verify(content, parsed)
    except minisign.Error:
        return False
    return parsed.untrusted_comment == UNTRUSTED_COMMENT and bytes(parsed) + b"\n" == signature


def read_public_key(given: str) -> minisign.PublicKey:
    """A public key from its base64 text, or from a ``.pub`` file.

    Raises:
        VerificationError: It is neither.
    """
    path = Path(given)
    try:
        if "\n" not in given and path.is_file():
            return minisign.PublicKey.from_bytes(path.read_bytes())
        return minisign.PublicKey.from_base64(given.strip().splitlines()[-1])
    except (minisign.Error, OSError, IndexError):
        raise VerificationError(
            "a public key must be minisign's line of base64 or the path of a .pub file",
            remedy="Ask the publisher for minisign.pub.",
        ) from None


def _refuse_a_second_key(shown: Path) -> None:
    if shown.exists():
        raise PublicationError(
            "bundles must be signed with the key whose public half recipients hold",
            value=f"another key than {shown}",
            remedy="Restore keys/signing from its backup.",
        )


def _read(path: Path) -> KeyPair:
    try:
        secret = minisign.SecretKey.from_bytes(path.read_bytes())
        return KeyPair(secret_key=secret, public_key=secret.get_public_key())
    except minisign.Error:
        raise PublicationError(
            "the signing key must be a minisign secret key without a password",
            value=path,
            remedy="Restore keys/signing from its backup.",
        ) from None
