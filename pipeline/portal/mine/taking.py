"""Downloads from recipients' pages: one file, all files of an edition, all periods of a product."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO, Annotated, Final, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from pipeline.delivery.catalogue import Held, unknown
from pipeline.delivery.downloads import Way
from pipeline.portal.editions import bundle_of
from pipeline.portal.files import KEPT, KINDS, VARY, file_response, files_of, made_response, note_made
from pipeline.portal.mine.visiting import EDITION, Holding, Visiting
from pipeline.publication.derived.history import history, history_csv, history_parquet

_IN_MEMORY: Final = 8 * 2**20  # bytes of an archive; beyond, it lies in a file without a name
_PIECE: Final = 2**18
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can name: equal bundles make equal archives


def router() -> APIRouter:
    """The routes of downloads."""
    routes = APIRouter()
    for method in ("GET", "HEAD"):
        routes.add_api_route(f"{EDITION}/files/{{name}}", file, methods=[method])
    routes.add_api_route(f"{EDITION}/bundle.zip", bundle, methods=["GET"])
    routes.add_api_route("/my/products/{product}/history.{form}", periods, methods=["GET"])
    return routes


def file(request: Request, visit: Visiting, held: Holding, name: Annotated[str, Path(max_length=100)]) -> Response:
    """One file of an edition, as it was signed."""
    return file_response(request, held, name, Way.PAGE, visit.session.token)


def bundle(request: Request, visit: Visiting, held: Holding) -> Response:
    """All files of an edition in one archive, within one folder."""
    one = held.edition
    folder = f"{one.product}-{one.period}-r{one.revision}"
    archive = _zipped(held, folder)
    size = archive.seek(0, 2)
    note_made(request, [held], f"{folder}.zip", Way.PAGE, visit.session.token)
    headers = {
        "Content-Disposition": f'attachment; filename="{folder}.zip"',
        "Content-Length": str(size),
        "Cache-Control": KEPT,
        "Vary": VARY,
    }
    return StreamingResponse(_pieces(archive), media_type="application/zip", headers=headers)


def periods(
    request: Request,
    visit: Visiting,
    product: Annotated[str, Path(max_length=40)],
    form: Literal["csv", "parquet"],
    table: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """All periods of a product in one tidy table, of each the newest revision that stands."""
    standing = visit.standing(product)
    bundles = [bundle_of(held) for held in standing]
    known = not table or any(table in one.tables for one in bundles)
    if not bundles or not known:
        raise unknown()
    frame = history(bundles, table or None)
    content = history_csv(frame) if form == "csv" else history_parquet(frame)
    name = f"{product}-{table or 'all'}-history.{form}"
    note_made(request, standing, name, Way.PAGE, visit.session.token)
    return made_response(request, content, KINDS[f".{form}"], name, hashlib.sha256(content).hexdigest())


def _zipped(held: Held, folder: str) -> IO[bytes]:
    """An archive, complete before the first byte is sent: a withdrawal meanwhile leaves no half of one."""
    archive = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  closed by whoever sends it
    try:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in sorted(files_of(held)):
                entry = zipfile.ZipInfo(f"{folder}/{name}", _EPOCH)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                packed.writestr(entry, (held.folder / name).read_bytes())
    except FileNotFoundError:
        archive.close()
        raise unknown() from None
    return archive


def _pieces(archive: IO[bytes]) -> Iterator[bytes]:
    with archive:
        archive.seek(0)
        while piece := archive.read(_PIECE):
            yield piece
