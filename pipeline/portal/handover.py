"""Large files are sent by who is made for it: a front server, or the store that has them.

This program still decides who may read what, and writes the download down; only the bytes come from elsewhere.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import fsspec
from fastapi.responses import RedirectResponse, Response

from pipeline.delivery.catalogue import Held
from pipeline.errors import kind_and_place
from pipeline.portal.settings import Handover, PortalSettings

INTERNAL: Final = "/published-files"  # a location of the front server that answers no client
# Seconds of a signed address. The store asks nobody whether access was withdrawn since: it has to end within a minute.
LIVES: Final = 60
_LOOKED_AT: Final = 600  # seconds for which a file that the store has is taken to be there
_LOG: Final = logging.getLogger("pipeline.portal")


def handed_over(
    settings: PortalSettings, held: Held, name: str, size: int, headers: Mapping[str, str]
) -> Response | None:
    """The answer that has another server send a file; None where this program sends it.

    With ``x-accel`` nginx reads the header and sends the file itself
    (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ignore_headers, ``X-Accel-Redirect``). With ``s3``
    the client is sent to an address that the store's credentials have signed, for a minute; a file that the store does
    not have, or has in another size, is sent from here.

    Args:
        settings: Who sends large files, and what is large.
        held: Of whose bundle.
        name: Of the file.
        size: In bytes.
        headers: What is told with the file.
    """
    if not settings.hands_over(size):
        return None
    place = f"{held.recipient.shelf(held.edition.product)}/{held.edition.path}/{name}"
    if settings.handover is Handover.X_ACCEL:
        return Response(headers={**headers, "X-Accel-Redirect": f"{INTERNAL}/{quote(place)}"})
    address = _address(f"{settings.handover_store.rstrip('/')}/{place}", size, headers)
    return None if address is None else RedirectResponse(address, 307, {"Cache-Control": "no-store"})


def _address(place: str, size: int, headers: Mapping[str, str]) -> str | None:
    """A signed address of a file, which tells the same of it; None where the store has no such file."""
    told = {"ResponseContentType": "Content-Type", "ResponseContentDisposition": "Content-Disposition"}
    told |= {"ResponseCacheControl": "Cache-Control"}
    try:
        if _size(place, int(time.monotonic() / _LOOKED_AT)) != size:
            return None
        signed: str = _store().sign(place, LIVES, **{name: headers[header] for name, header in told.items()})
    except FileNotFoundError:
        return None
    except Exception as failure:  # noqa: BLE001  a store that is away keeps nobody from a file that is here
        _LOG.warning("The store cannot be asked for a file: %s", kind_and_place(failure))
        return None
    return signed


@functools.lru_cache(maxsize=4096)
def _size(place: str, _lately: int) -> int:
    found: Mapping[str, Any] = _store().info(place)
    return int(found["size"])


@functools.cache
def _store() -> fsspec.AbstractFileSystem:
    return fsspec.filesystem("s3", use_listings_cache=False)
