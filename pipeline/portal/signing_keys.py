"""The publisher's public keys, for recipients. They are no secret, and a stranger gets nothing all the same."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import Response

from pipeline.delivery.catalogue import unknown
from pipeline.portal.files import KINDS, made_response
from pipeline.portal.holders import catalogue_of
from pipeline.publication.key_list import KEYS_NAME, KEYS_SIGNATURE_NAME
from pipeline.publication.signing import PUBLIC_KEY_NAME

_NAMES: Final = (PUBLIC_KEY_NAME, KEYS_NAME, KEYS_SIGNATURE_NAME)


def key_file_response(request: Request, name: str) -> Response:
    """One file of keys, as it was published.

    Raises:
        UnknownEditionError: It is none of them, or nothing is published yet.
    """
    content = key_file_of(request, name)
    kind = KINDS.get(Path(name).suffix, "text/plain; charset=utf-8")
    return made_response(request, content, kind, name, hashlib.sha256(content).hexdigest())


def key_file_of(request: Request, name: str) -> bytes:
    """The bytes of one file of keys.

    Raises:
        UnknownEditionError: It is none of them, or nothing is published yet.
    """
    if name not in _NAMES:
        raise unknown()
    try:
        return (catalogue_of(request).published / name).read_bytes()
    except FileNotFoundError:
        raise unknown() from None
