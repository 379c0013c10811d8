"""Large files are sent by who is made for it: a front server, or the store that has them."""

from __future__ import annotations

import functools
from typing import Final
from urllib.parse import quote

import fsspec
from fastapi.responses import RedirectResponse, Response

from pipeline.delivery.catalogue import Held
from pipeline.portal.settings import Handover, PortalSettings

INTERNAL: Final = "/published-files"  # a location of the front server that answers no client
LIVES: Final = 15 * 60  # seconds of a signed address


def handed_over(settings: PortalSettings, held: Held, name: str, size: int) -> Response | None:
    """The answer that has another server send a file; None where this program sends it.

    With ``x-accel`` nginx reads the header and sends the file itself
    (https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ignore_headers, ``X-Accel-Redirect``). With ``s3``
    the client is sent to an address that the store's credentials have signed, for 15 minutes.

    Args:
        settings: Who sends large files, and what is large.
        held: Of whose bundle.
        name: Of the file.
        size: In bytes.
    """
    if settings.handover is Handover.NONE or size < settings.handover_from:
        return None
    place = f"{held.recipient.shelf(held.edition.product)}/{held.edition.path}/{name}"
    if settings.handover is Handover.X_ACCEL:
        return Response(headers={"X-Accel-Redirect": f"{INTERNAL}/{quote(place)}"})
    return RedirectResponse(_signed(f"{settings.handover_store.rstrip('/')}/{place}"), 307)


def _signed(address: str) -> str:
    signed: str = _store().sign(address, expiration=LIVES)
    return signed


@functools.cache
def _store() -> fsspec.AbstractFileSystem:
    return fsspec.filesystem("s3")
