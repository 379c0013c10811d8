"""What is made for a person who asks what is held about them: a page for them to read, and the same for programs.

A packet names nobody: it holds no identifier and no pseudonym, so that whoever finds it does not learn whose it is. It
is handed over by a way on which the person is known, and deleted after ``retention.access_days``.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.deidentify import tombstones
from pipeline.deidentify.subject_key import subject_key
from pipeline.deidentify.tombstones import Tombstone
from pipeline.disk import sync_folder
from pipeline.errors import RequestError
from pipeline.policy import PolicyVersion, held_policy
from pipeline.privacy import database
from pipeline.publication import files
from pipeline.rights import pages, wording
from pipeline.rights.finding import names_of
from pipeline.rights.holdings import HeldRows, Holding, holding_of
from pipeline.rights.requests import SubjectRequest
from pipeline.site import SiteFile
from pipeline.spec import load_specifications
from pipeline.vocabulary import AUDIENCE_TITLES, Audience, Population
from pipeline.workspace import Workspace

__all__ = ["HeldRows", "write_packet"]

PAGE: Final = "index.html"
FACTS: Final = "held.json"


@dataclass(frozen=True)
class Effect:
    """A request of the person's that is in force.

    Attributes:
        request: Its id.
        since: The day on which it came into force.
        first: First day it is about; None without a beginning.
        last: Last day; None without an end.
        values: Corrections, title of the attribute -> value as people read it; empty where they are left out.
    """

    request: str
    since: dt.date
    first: dt.date | None
    last: dt.date | None
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Use:
    """What is made of what is held, or may be: its title, what for, and who receives it."""

    title: str
    purpose: str
    audiences: tuple[str, ...]


@dataclass(frozen=True)
class Notice:
    """The privacy notice in force.

    Attributes:
        version: Its name.
        since: First day on which it is in force.
        purposes: What it says of this population, and of who receives results.
    """

    version: str
    since: dt.date
    purposes: tuple[Use, ...]


@dataclass(frozen=True)
class Packet:
    """What a person is told.

    Attributes:
        request: Id of the access request.
        population: Among whom they were looked for.
        received: When they asked.
        made: When this was made.
        kept_until: The day after which it is deleted.
        holdings: What is held, a period each; none where nothing is.
        effects: Their requests in force.
        releases: What is made of such holdings.
        notice: The version of the privacy notice in force; None where the site has none.
    """

    request: str
    population: Population
    received: dt.datetime
    made: dt.datetime
    kept_until: dt.date
    holdings: tuple[Holding, ...] = field(repr=False)
    effects: tuple[Effect, ...] = field(repr=False)
    releases: tuple[Use, ...]
    notice: Notice | None


def write_packet(
    workspace: Workspace,
    site: SiteFile,
    request_id: str,
    request: SubjectRequest,
    found: Iterable[HeldRows],
    now: dt.datetime,
) -> Path:
    """Make the packet of an access request; one that was made before is replaced as a whole.

    Args:
        workspace: Where it goes: ``access/{request id}/``, for its owner alone.
        site: What titles, retention and contact are taken from.
        request_id: Of the request.
        request: Who asked, and when.
        found: The person's rows, of each period in which there are any; none where nothing is held.
        now: When it is made.

    Returns:
        Its folder, with ``index.html`` and ``held.json``.

    Raises:
        ConfigurationError: Tombstones stand, and their key is missing or another one.
        SpecificationError: The policy or a specification breaks a rule: what they say is part of the answer.
        RequestError: The packet cannot be written.
    """
    packet = _packet(workspace, site, request_id, request, found, now)
    contents = {PAGE: _page(site, packet).encode(), FACTS: _facts(site, packet)}
    folder = workspace.access / request_id
    try:
        _replace(folder, contents)
    except OSError as failure:
        raise RequestError(
            "what was made for a person must be writable",
            value=f"{failure.strerror or type(failure).__name__} under {workspace.access}",
            remedy="Check permissions and free space there; the request stays open.",
        ) from None
    return folder


def _packet(
    workspace: Workspace,
    site: SiteFile,
    request_id: str,
    request: SubjectRequest,
    found: Iterable[HeldRows],
    now: dt.datetime,
) -> Packet:
    made = now.astimezone(site.zone)
    policy = held_policy(workspace.policy_file)
    current = policy.in_force(made.date()) if policy else None
    held = sorted((rows for rows in found if rows), key=lambda rows: rows.period)
    return Packet(
        request_id,
        request.population,
        request.received.astimezone(site.zone),
        made,
        made.date() + dt.timedelta(days=site.retention.access_days),
        tuple(holding_of(site, request.population, rows) for rows in held),
        tuple(_effect(site, stone) for stone in _stones(workspace, request)),
        tuple(_releases(workspace, request.population, current)),
        _notice(current, request.population) if current else None,
    )


def _stones(workspace: Workspace, request: SubjectRequest) -> list[Tombstone]:
    """The tombstones of who is named as here."""
    address = workspace.ledger
    if isinstance(address, Path) and not address.exists():
        return []
    store = database.opened(address)
    stones = tombstones.stones_of(store, request.population)
    if not stones:
        return []
    digests = {name.digest for name in names_of(request, subject_key(workspace, store))}
    return [stone for stone in stones if stone.digest in digests]


def _effect(site: SiteFile, stone: Tombstone) -> Effect:
    dimensions = site.dimensions(stone.population)
    values = {
        dimensions[name].title if name in dimensions else name: pages.label(name, key)
        for name, key in sorted(stone.values.items())
    }
    since = dt.datetime.fromisoformat(stone.made).astimezone(site.zone).date()
    return Effect(stone.request, since, stone.first, stone.last, values)


def _releases(workspace: Workspace, population: Population, current: PolicyVersion | None) -> Iterator[Use]:
    if not any(workspace.releases.glob("*.yaml")):
        return
    for one in load_specifications(workspace.releases):
        if one.population is population:
            purpose = current.purposes.get(one.purpose) if current else None
            yield Use(one.title, purpose.text if purpose else one.purpose, _titles(one.audiences))


def _notice(current: PolicyVersion, population: Population) -> Notice:
    purposes = (
        Use(name, purpose.text, _titles(purpose.audiences))
        for name, purpose in current.purposes.items()
        if population in purpose.populations
    )
    return Notice(current.version, current.effective, tuple(purposes))


def _titles(audiences: Iterable[Audience]) -> tuple[str, ...]:
    return tuple(AUDIENCE_TITLES[audience] for audience in audiences)


def _page(site: SiteFile, packet: Packet) -> str:
    return pages.render(
        "access.html.j2",
        packet=packet,
        site=site,
        publisher=site.publisher or site.site,
        not_held=wording.not_held(site, packet.population),
        kept=wording.kept_of_requests(),
        rights=wording.rights(site),
    )


def _facts(site: SiteFile, packet: Packet) -> bytes:
    told: dict[str, Any] = {
        "request": packet.request,
        "site": site.publisher or site.site,
        "contact": site.contact,
        "synthetic": site.synthetic,
        "population": packet.population.value,
        "received": packet.received.isoformat(),
        "made": packet.made.isoformat(),
        "kept_until": packet.kept_until.isoformat(),
        "held": [_holding_facts(holding) for holding in packet.holdings],
        "requests_in_force": [_effect_facts(effect) for effect in packet.effects],
        "not_held": wording.not_held(site, packet.population),
        "kept_of_requests": wording.kept_of_requests(),
        "privacy_notice": _notice_facts(packet.notice) if packet.notice else None,
        "releases": [_use_facts(one) for one in packet.releases],
        "your_rights": wording.rights(site),
    }
    return json.dumps(told, indent=2, ensure_ascii=False).encode()


def _holding_facts(holding: Holding) -> dict[str, Any]:
    return {
        "period": str(holding.period),
        "first_day": holding.period.start.isoformat(),
        "last_day": holding.last_day.isoformat(),
        "held_until": holding.held_until.isoformat(),
        "attributes": {
            one.name: {"title": one.title, "values": [value.key for value in one.values]} for one in holding.attributes
        },
        "activity": {
            one.name: {"title": one.title, "events": {str(value.key): value.number for value in one.values}}
            for one in holding.activity
        },
        "amounts": {one.name: {"title": one.title, "total": one.words} for one in holding.amounts},
        "policy_versions": list(holding.policy_versions),
        "rows": [dict(line) for line in holding.lines],
    }


def _notice_facts(notice: Notice) -> dict[str, Any]:
    purposes = [_use_facts(one) for one in notice.purposes]
    return {"version": notice.version, "in_force_since": notice.since.isoformat(), "purposes": purposes}


def _use_facts(use: Use) -> dict[str, Any]:
    return {"title": use.title, "purpose": use.purpose, "goes_to": list(use.audiences)}


def _effect_facts(effect: Effect) -> dict[str, Any]:
    return {
        "request": effect.request,
        "effect": "corrected" if effect.values else "left out",
        "in_force_since": effect.since.isoformat(),
        "from": effect.first.isoformat() if effect.first else None,
        "to": effect.last.isoformat() if effect.last else None,
        "values": dict(effect.values),
    }


def _replace(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Put a folder with these files in the place of what is there, readable by its owner alone."""
    parent = folder.parent
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in parent.glob(f".{folder.name}.*{files.PARTIAL}"):
        shutil.rmtree(left, ignore_errors=True)
    draft, old = (parent / f".{folder.name}.{secrets.token_hex(4)}{files.PARTIAL}" for _ in range(2))
    draft.mkdir(mode=0o700)
    try:
        for name, content in contents.items():
            descriptor = os.open(draft / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        sync_folder(draft)
        if folder.exists():
            folder.rename(old)
        draft.rename(folder)
        sync_folder(parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
