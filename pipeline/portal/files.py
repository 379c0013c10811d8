"""Gives out the files of bundles: those that a manifest lists, by name, whole, in part, or not again.

Nothing is sent before the log of downloads has it on the disk. Caches of recipients may keep a file and must ask each
time whether they still may; shared caches keep nothing (RFC 9111, 5.2.2.7).
"""

from __future__ import annotations

import functools
import gzip
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from fastapi import Request
from fastapi.responses import Response

from pipeline.delivery.catalogue import Held, unknown
from pipeline.delivery.downloads import Download, Way
from pipeline.errors import DeliveryError, VerificationError
from pipeline.portal.access import now, settings_of
from pipeline.portal.failures import RefusedError
from pipeline.portal.handover import handed_over
from pipeline.portal.holders import catalogue_of, downloads_of
from pipeline.portal.pieces import PIECE, InPieces, Parts
from pipeline.publication.manifest import MANIFEST_NAME, SIGNATURE_NAME, Manifest, file_entry

KINDS: Final = {
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".minisig": "text/plain; charset=utf-8",
}
VARY: Final = "Authorization, Cookie, Accept-Encoding"
KEPT: Final = "private, no-cache"
_PRESSED: Final = frozenset({".csv", ".json", ".md", ".html"})
_MOST_PRESSED: Final = 4 * 2**20  # bytes of a file; a larger one is sent as it is
_ROOM: Final = 64 * 2**20  # bytes of what was compressed lately
_SPAN: Final = r"(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})"
_RANGE: Final = re.compile(rf"bytes={_SPAN}(?:, ?{_SPAN}){{0,9}}")
# A report is a page of its own and may show itself, and nothing else; it is downloaded, not opened from here.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@dataclass(frozen=True)
class Listed:
    """One file of a bundle.

    Attributes:
        name: Of the file.
        sha256: Digest.
        bytes: Size.
        rows: Of a table; None elsewhere.
    """

    name: str
    sha256: str
    bytes: int
    rows: int | None = None


def files_of(held: Held) -> Mapping[str, Listed]:
    """The files of an edition by name: what its manifest lists, the manifest, its signature and the sums.

    Raises:
        UnknownEditionError: It was taken away just now.
    """
    try:
        signed = (held.folder / SIGNATURE_NAME).stat()  # another one where a key was revoked
        return _files(held.folder, held.edition.manifest_sha256, signed.st_mtime_ns, signed.st_ino)
    except (FileNotFoundError, VerificationError):
        raise unknown() from None


@functools.lru_cache(maxsize=512)
def _files(folder: Path, _sha256: str, _changed: int, _inode: int) -> Mapping[str, Listed]:
    content = (folder / MANIFEST_NAME).read_bytes()
    manifest = Manifest.from_bytes(content)
    signature = (folder / SIGNATURE_NAME).read_bytes()
    entries = (
        *manifest.files,
        manifest.sums,
        file_entry(MANIFEST_NAME, content),
        file_entry(SIGNATURE_NAME, signature),
    )
    return {entry.path: Listed(entry.path, entry.sha256, entry.bytes, entry.rows) for entry in entries}


def file_response(request: Request, held: Held, name: str, way: Way, token: int) -> Response:
    """One file of an edition, for a recipient who may read it.

    Args:
        request: That asks; ``Range``, ``If-Range``, ``If-None-Match`` and ``Accept-Encoding`` count.
        held: The edition, as the catalogue gave it just now.
        name: Of the file.
        way: By which way it is asked for.
        token: By which token.

    Raises:
        UnknownEditionError: The edition has no such file.
        WithdrawnError: The edition was withdrawn just now.
        LedgerError: The download cannot be written down.
    """
    listed = files_of(held).get(name)
    if listed is None:
        raise unknown()
    path, ending = held.folder / name, Path(name).suffix
    kind, part = KINDS.get(ending, "text/plain; charset=utf-8"), _part(request, listed)
    over = request.method == "GET" and settings_of(request).hands_over(listed.bytes)
    pressed = ending in _PRESSED and listed.bytes <= _MOST_PRESSED and not (part or over) and _takes_gzip(request)
    tag = f'"{listed.sha256}-gzip"' if pressed else f'"{listed.sha256}"'
    headers = {"ETag": tag, "Cache-Control": KEPT, "Vary": VARY, "Content-Security-Policy": _POLICY}
    if _is_known(request, tag):
        return Response(status_code=304, headers=headers)
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise _gone(request, held) from None
    if request.method != "HEAD":
        downloads_of(request).note(_download(held, name, part, way, token), now())
    filename = f"{held.edition.product}-{held.edition.period}-r{held.edition.revision}-{name}"
    headers |= {"Content-Type": kind, "Content-Disposition": f'attachment; filename="{filename}"'}
    if over and (other := handed_over(settings_of(request), held, name, listed.bytes, headers)):
        return other
    if pressed:
        return _pressed(request, held, listed, headers)
    return Parts(path, headers=headers, stat_result=stat) if part else _whole(request, held, listed, headers)


def note_made(request: Request, editions: Iterable[Held], name: str, way: Way, token: int) -> None:
    """Write down that something is given out that is made of several editions: of each, one line.

    Args:
        request: That asks.
        editions: Whose numbers are in it.
        name: Of what is made.
        way: By which way it is asked for.
        token: By which token.

    Raises:
        LedgerError: It cannot be written down; then it may not be given out.
    """
    downloads_of(request).note_all([_download(held, name, "", way, token) for held in editions], now())


def made_response(request: Request, content: bytes, kind: str, filename: str, digest: str) -> Response:
    """Something that is made of several editions, such as a history; the caller has written the download down.

    Args:
        request: That asks.
        content: What was made.
        kind: Media type.
        filename: Under which it is stored.
        digest: Of all that it was made of.
    """
    headers = {"ETag": f'"{digest}"', "Cache-Control": KEPT, "Vary": VARY}
    if _is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    return Response(content, media_type=kind, headers=headers)


def _download(held: Held, name: str, part: str, way: Way, token: int) -> Download:
    one, shelf = held.edition, held.recipient.shelf(held.edition.product)
    return Download(held.recipient.name, way, token, shelf, one.product, one.period, one.revision, name, part)


def _part(request: Request, listed: Listed) -> str:
    """The range that is sent, as the log keeps it; empty where all is.

    What is no range, has more than ten, or is meant of another file than this one is passed over (RFC 9110, 14.2).

    Raises:
        RefusedError: The file has no such bytes; 416.
    """
    asked, meant = request.headers.get("range"), request.headers.get("if-range")
    if asked is None:
        return ""
    spans = [span.strip().split("-") for span in asked.removeprefix("bytes=").split(",")]
    if not _RANGE.fullmatch(asked) or meant not in (None, f'"{listed.sha256}"') or any(map(_is_reversed, spans)):
        request.scope["headers"] = [one for one in request.scope["headers"] if one[0] != b"range"]
        return ""
    if not all(int(first) < listed.bytes if first else int(last) > 0 for first, last in spans):
        rule = "a range must be of bytes that the file has"
        failure = DeliveryError(rule, value=f"{listed.bytes} bytes", remedy="Ask for all of it.")
        raise RefusedError(416, failure, {"Content-Range": f"bytes */{listed.bytes}"})
    return asked.replace("=", " ")


def _is_reversed(span: Sequence[str]) -> bool:
    return all(span) and int(span[0]) > int(span[1])


def _takes_gzip(request: Request) -> bool:
    told = [item.partition(";") for item in request.headers.get("accept-encoding", "").lower().split(",")]
    return any(name.strip() == "gzip" and weight.strip() not in ("q=0", "q=0.0", "q=0.00") for name, _, weight in told)


def _is_known(request: Request, tag: str) -> bool:
    told = request.headers.get("if-none-match", "")
    return told.strip() == "*" or tag in [item.strip().removeprefix("W/") for item in told.split(",")]


def _gone(request: Request, held: Held) -> Exception:
    one = held.edition
    try:
        catalogue_of(request).edition(held.recipient.name, one.product, one.period, one.revision, now())
    except Exception as failure:  # noqa: BLE001  what the catalogue says of it now
        return failure
    return unknown()


def _whole(request: Request, held: Held, listed: Listed, headers: Mapping[str, str]) -> Response:
    """All of a file. A small one is read here and now: in pieces, further threads would have to take their turn."""
    try:
        file = (held.folder / listed.name).open("rb")
    except FileNotFoundError:
        raise _gone(request, held) from None
    if listed.bytes > PIECE:
        return InPieces(file, listed.bytes, headers)
    with file:
        content = b"" if request.method == "HEAD" else file.read()
    return Response(content, headers={**headers, "Accept-Ranges": "bytes", "Content-Length": str(listed.bytes)})


class _Pressed:
    """What was compressed lately, by digest, within a bounded room."""

    def __init__(self, room: int) -> None:
        self._found: OrderedDict[str, bytes] = OrderedDict()
        self._left, self._lock = room, Lock()

    def get(self, path: Path, sha256: str) -> bytes:
        with self._lock:
            if (found := self._found.get(sha256)) is not None:
                self._found.move_to_end(sha256)
                return found
        content = gzip.compress(path.read_bytes(), 6, mtime=0)
        with self._lock:
            if sha256 not in self._found:
                self._found[sha256] = content
                self._left -= len(content)
            while self._left < 0:
                self._left += len(self._found.popitem(last=False)[1])
        return content


_LATELY: Final = _Pressed(_ROOM)


def _pressed(request: Request, held: Held, listed: Listed, headers: Mapping[str, str]) -> Response:
    path = held.folder / listed.name
    try:
        content = _LATELY.get(path, listed.sha256)
    except FileNotFoundError:
        raise _gone(request, held) from None
    told = {**headers, "Content-Encoding": "gzip", "Content-Length": str(len(content))}
    return Response(b"" if request.method == "HEAD" else content, headers=told)
