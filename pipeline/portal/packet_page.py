"""The page of one release: found by its address, and shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from fastapi import Request
from fastapi.responses import HTMLResponse

from pipeline.delivery.approvals import in_force
from pipeline.delivery.readers import told_of
from pipeline.errors import LedgerError
from pipeline.portal.archive import Archive, PageRegister, archive_of
from pipeline.portal.failures import RefusedError
from pipeline.portal.packet import packet_of, points
from pipeline.portal.packet_parts import parts
from pipeline.portal.templates import page
from pipeline.privacy.chain import EntryKind
from pipeline.publication.pages import period_words
from pipeline.review.decisions import Register
from pipeline.spec import ReleaseKey
from pipeline.vocabulary import AUDIENCE_TITLES

_LONGEST_REASON: Final = 500  # as the ledger keeps one
Asked: TypeAlias = tuple[Archive, PageRegister, ReleaseKey]

_REVISION: Final = re.compile("[1-9][0-9]{0,5}")


def asked(request: Request, release: str, period: str, revision: str) -> Asked:
    """The release of an address, and where it is read.

    Raises:
        RefusedError: The ledger has none of that name, period and revision.
        LedgerError: The chain of hashes is broken.
    """
    archive = archive_of(request.app)
    register = archive.register()
    key = ReleaseKey(release, period, int(revision) if _REVISION.fullmatch(revision) else 0)
    if not register.history(key):
        raise no_such_release()
    return archive, register, key


def asked_drawn(request: Request, release: str, period: str, revision: str) -> Asked:
    """The same of a release that was drawn.

    Raises:
        RefusedError: There is none, or it was not drawn yet.
    """
    archive, register, key = asked(request, release, period, revision)
    if not is_drawn(register, key):
        raise no_such_release()
    return archive, register, key


def no_such_release() -> RefusedError:
    """What is answered where there is no such release; the address is not repeated."""
    rule = "there must be a release of that name, period and revision in the ledger"
    return RefusedError(404, LedgerError(rule, remedy="Look for it in the list of releases."))


def is_drawn(register: Register, key: ReleaseKey) -> bool:
    """Whether there is anything to show of it."""
    return any(entry.kind is EntryKind.DRAWN for entry in register.history(key))


def shown(
    request: Request,
    asked_for: Asked,
    reader: str,
    problem: Mapping[str, str] | None = None,
    done: str = "",
) -> HTMLResponse:
    """The page of a release.

    Args:
        request: That is answered.
        asked_for: The release.
        reader: Name of the reviewer.
        problem: What is wrong with a decision that somebody tried to make: ``rule``, ``value``, ``remedy``, the
            ``reason`` that was given, and the ``status`` of the answer.
        done: What the reviewer has just done: ``approved``; empty for nothing.
    """
    archive, register, key = asked_for
    status = int(problem["status"]) if problem else 200
    if not is_drawn(register, key):
        return page(request, "undrawn.html.j2", status, key=key, standing=register.standing(key), problem=problem)
    return page(
        request, "packet.html.j2", status, **_context(archive, register, key, reader), problem=problem, done=done
    )


def warm(asked_for: Asked) -> None:
    """Work out what the page of a drawn release shows, so that it is at hand when somebody asks for it."""
    _context(*asked_for, "")


def _context(archive: Archive, register: PageRegister, key: ReleaseKey, reader: str) -> dict[str, object]:
    packet = packet_of(archive, register, key, reader)
    is_withdrawn = any(entry.kind is EntryKind.WITHDRAWN for entry in register.history(key))
    return {
        "told": told_of(archive.workspace, key, in_force(archive.workspace)) if is_withdrawn else (),
        "packet": packet,
        "points": points(packet),
        "parts": parts(archive, register, packet),
        "header": packet.header,
        "period_words": period_words(packet.header),
        "audience_titles": AUDIENCE_TITLES,
        "longest_reason": _LONGEST_REASON,
    }
