"""What is signed, and how a signature is read; which key signs is ``key_ring``'s.

The format is minisign's own (https://jedisct1.github.io/minisign/), so that recipients can check a bundle with that
program and need none of ours.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from pathlib import Path

import minisign
from minisign import KeyPair

from pipeline.errors import PublicationError, VerificationError

PUBLIC_KEY_NAME = "minisign.pub"
UNTRUSTED_COMMENT = "signature of a published bundle"
KEY_COMMENT = "signature of the publisher's keys"
RESTORE = "Restore keys/signing from its backup."


def public_key_bytes(key: minisign.PublicKey) -> bytes:
    """The public key's file, as minisign writes it: a comment line that names it, and a line of base64."""
    return f"untrusted comment: minisign public key {key_id(key)}\n{base64_of(key)}\n".encode()


def base64_of(key: minisign.PublicKey) -> str:
    """A public key in one line, as lists and notes have it."""
    return str(key.to_base64().decode())


def key_id(key: minisign.PublicKey) -> str:
    """The key's name, 16 hexadecimal digits as the minisign program prints them."""
    return _id_in(base64_of(key))


def signer_id(signature: bytes) -> str:
    """The name of the key that a signature says it is by; empty where it is no signature. Checks nothing."""
    try:
        return _id_in(bytes(minisign.Signature.from_bytes(signature)).decode().splitlines()[1])
    except minisign.Error:
        return ""


def signed_at(signature: bytes) -> dt.datetime | None:
    """The time in the trusted comment: as good as the key that signed it."""
    try:
        trusted = minisign.Signature.from_bytes(signature).trusted_comment
    except minisign.Error:
        return None
    found = re.match(r"timestamp:([0-9]{1,11})\t", trusted)
    return dt.datetime.fromtimestamp(int(found[1]), dt.UTC) if found else None


def sign(
    pair: KeyPair,
    content: bytes,
    decided_at: dt.datetime,
    subject: str,
    name: str = "manifest.json",
    resealed_at: dt.datetime | None = None,
) -> bytes:
    """A detached minisign signature of ``content``, the same bytes for the same input.

    Args:
        pair: The publisher's key.
        content: What is signed.
        decided_at: Stands in the trusted comment, as minisign writes its time.
        subject: One line of printable ASCII without tabs: which bundle this is.
        name: Of the file that is signed.
        resealed_at: Where it takes the place of a signature by a key that was revoked: when that was.
    """
    again = f"\tresealed:{int(resealed_at.timestamp())}" if resealed_at else ""
    told = f"timestamp:{int(decided_at.timestamp())}\tfile:{name}\thashed\tbundle:{subject}{again}"
    return _signed(pair, content, UNTRUSTED_COMMENT, told)


def sign_keys(pair: KeyPair, content: bytes, at: dt.datetime, name: str) -> bytes:
    """A detached signature of something about the publisher's keys.

    Args:
        pair: The publisher's key.
        content: ``minisign.pub`` of the key that follows, or the list of keys.
        at: When that came to be.
        name: Of the file.
    """
    return _signed(pair, content, KEY_COMMENT, f"timestamp:{int(at.timestamp())}\tfile:{name}\thashed")


def signature_holds(
    key: minisign.PublicKey, content: bytes, signature: bytes, comment: str = UNTRUSTED_COMMENT
) -> bool:
    """Whether ``signature`` is this key's signature of ``content``, in exactly the form that ``sign`` writes.

    The form is compared too because a signature file has parts that it does not itself cover.
    """
    try:
        parsed = minisign.Signature.from_bytes(signature)
        key.verify(content, parsed)
    except minisign.Error:
        return False
    return parsed.untrusted_comment == comment and bytes(parsed) + b"\n" == signature


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


def read_pair(path: Path) -> KeyPair:
    """The key pair in a file of its secret half.

    Raises:
        PublicationError: It is no such file.
    """
    try:
        secret = minisign.SecretKey.from_bytes(path.read_bytes())
        return KeyPair(secret_key=secret, public_key=secret.get_public_key())
    except minisign.Error:
        raise PublicationError(
            "the signing key must be a minisign secret key without a password", value=path, remedy=RESTORE
        ) from None


def _signed(pair: KeyPair, content: bytes, comment: str, trusted: str) -> bytes:
    return bytes(pair.secret_key.sign(content, untrusted_comment=comment, trusted_comment=trusted)) + b"\n"


def _id_in(encoded: str) -> str:
    # Two bytes name the algorithm, the eight after them the key, its lowest byte first.
    return base64.b64decode(encoded)[2:10][::-1].hex().upper()
