"""Which entitlements are in force: the newest that a privacy reviewer has signed. The file alone opens nothing.

An approval bears the reviewer's Ed25519 signature over its number, its time and the SHA-256 of the whole file. A row
that somebody writes by hand, changes, or copies to be newer again counts for nothing.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
import yaml

from pipeline import documents
from pipeline.delivery.checking import require_fitting
from pipeline.delivery.entitlements import NOBODY, Entitlements
from pipeline.delivery.tables import APPROVALS
from pipeline.delivery.together import Together, turns_at
from pipeline.errors import ConfigurationError, NotApprovedError
from pipeline.privacy import database
from pipeline.privacy.database import Database
from pipeline.review.reviewers import Reviewers, Signer
from pipeline.review.tables import instant_of, now_utc, text_of, writing
from pipeline.site import load_site
from pipeline.spec import load_specifications
from pipeline.workspace import Workspace

_MOST_BYTES: Final = 2**20
_LAST: Final = sa.select(sa.func.max(APPROVALS.c.number))
_NEWEST_FIRST: Final = APPROVALS.select().order_by(APPROVALS.c.number.desc())


@dataclass(frozen=True)
class Approved:
    """Entitlements that a reviewer signed.

    Attributes:
        number: Its place among approvals, from 1.
        at: When.
        reviewer: Who.
        sha256: Of the file.
        content: The file as it was.
        entitlements: What it says.
    """

    number: int
    at: dt.datetime
    reviewer: str
    sha256: str
    content: bytes
    entitlements: Entitlements


@dataclass(frozen=True)
class Approvals:
    """The approvals of a site.

    Attributes:
        workspace: Of the site; the file of entitlements lies in it.
        database: Of the ledger, up to date.
        reviewers: Whose word counts.
    """

    workspace: Workspace
    database: Database
    reviewers: Reviewers

    @classmethod
    def of(cls, workspace: Workspace) -> Approvals:
        """The approvals of a site.

        Raises:
            LedgerError: The ledger's database cannot be reached or written, or a later program made it.
        """
        return cls(workspace, database.opened(workspace.ledger), Reviewers(workspace.reviewer_keys))

    def newest(self) -> Approved | None:
        """The approval in force; None where there is none that a reviewer's key has signed."""
        return next(iter(self._signed()), None)

    def since(self, moment: dt.datetime) -> tuple[Approved, ...]:
        """The approvals that were in force at a moment and after it, the newest first."""
        found: list[Approved] = []
        for approved in self._signed():
            found.append(approved)
            if approved.at <= moment:
                break
        return tuple(found)

    def in_force(self) -> Entitlements:
        """Who may read what, at this moment; nobody where nothing was approved."""
        stamp = (
            self.database.name,
            str(self.workspace.reviewer_keys),
            self._lookups.ask(None),
            _stamps(self.reviewers),
        )
        return _FORCE.get(stamp, self)

    def proposed(self) -> bytes | None:
        """The file as it is, where it is another than what is in force; None where there is nothing to decide.

        Raises:
            ConfigurationError: It cannot be read, or is larger than a mebibyte.
        """
        content, standing = self.file(), self.newest()
        return None if content is None or (standing and standing.content == content) else content

    def approve(self, signer: Signer, seen: str, now: dt.datetime | None = None) -> Approved:
        """Put the file of entitlements into force, as it was read.

        Args:
            signer: The reviewer.
            seen: SHA-256 of what was read.
            now: When.

        Raises:
            NotApprovedError: The file is another than the one that was read, is in force, or the reviewer is none.
            ConfigurationError: It breaks a rule, or gives what no specification grants.
        """
        content, now = self.proposed(), now or now_utc()
        if content is None:
            raise NotApprovedError(
                "entitlements are approved where they differ from those in force", remedy="Edit them."
            )
        if digest_of(content) != seen:
            raise NotApprovedError(
                "an approval is of exactly the entitlements that were read",
                value=f"{digest_of(content)[:12]} now, {seen[:12] or 'nothing'} read",
                remedy="Read them again, and decide then.",
            )
        entitlements = self.checked(content)
        reviewer = self.reviewers.find(signer.name)
        with writing(self.database) as connection:
            number = (connection.execute(_LAST).scalar() or 0) + 1
            statement = _statement(number, text_of(now), signer.name, seen)
            signature = signer.sign(statement)
            if reviewer is None or not reviewer.active or not reviewer.has_signed(statement, signature):
                raise NotApprovedError("a decision must be signed by a privacy reviewer's own key", value=signer.name)
            row = {"number": number, "at": text_of(now), "reviewer": signer.name, "sha256": seen}
            connection.execute(APPROVALS.insert(), row | {"content": content, "signature": signature})
        return Approved(number, now, signer.name, seen, content, entitlements)

    def checked(self, content: bytes) -> Entitlements:
        """What a file says, once it is known to fit the specifications and the site.

        Raises:
            ConfigurationError: It breaks a rule, or gives what no specification grants.
            SpecificationError: A specification is invalid.
        """
        site, specifications = load_site(self.workspace.site_file), load_specifications(self.workspace.releases)
        return require_fitting(parsed(content), specifications, site)

    def file(self) -> bytes | None:
        """The file as it is; None where there is none.

        Raises:
            ConfigurationError: It cannot be read, or is larger than a mebibyte.
        """
        path = self.workspace.entitlements_file
        try:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as failure:
            raise ConfigurationError(
                "entitlements must be a readable file", value=f"{path.name} ({type(failure).__name__})"
            ) from None
        if len(content) > _MOST_BYTES:
            raise ConfigurationError("a file of entitlements must have at most 1 MiB", value=path.name)
        return content

    @functools.cached_property
    def _lookups(self) -> Together[None, int]:
        return Together(self._numbers)

    def _numbers(self, asked: Sequence[None]) -> list[int]:
        with turns_at(self.database.name), self.database.reading() as connection:
            return [connection.execute(_LAST).scalar() or 0] * len(asked)

    def _signed(self) -> Iterator[Approved]:
        """Approvals that a reviewer's key has signed, the newest first."""
        with self.database.reading() as connection:
            rows = connection.execute(_NEWEST_FIRST)
            yield from (found for row in rows if (found := self._approved(row)) is not None)

    def _approved(self, row: Any) -> Approved | None:
        content, reviewer = bytes(row.content), self.reviewers.find(row.reviewer)
        statement = _statement(row.number, row.at, row.reviewer, digest_of(content))
        if reviewer is None or not reviewer.has_signed(statement, row.signature, formerly=True):
            return None
        try:
            entitlements = parsed(content)
        except ConfigurationError:  # a later program may refuse what an earlier one took
            return None
        return Approved(row.number, instant_of(row.at), row.reviewer, digest_of(content), content, entitlements)


class _Force:
    """The last readings of what is in force, by all that it depends on."""

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, Entitlements] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, stamp: Hashable, approvals: Approvals) -> Entitlements:
        with self._lock:
            if stamp in self._found:
                return self._found[stamp]
        newest = approvals.newest()
        found = newest.entitlements if newest else NOBODY
        with self._lock:
            self._found[stamp] = found
            while len(self._found) > 8:
                self._found.popitem(last=False)
        return found


_FORCE: Final = _Force()


def in_force(workspace: Workspace) -> Entitlements:
    """Who may read what at a site, at this moment; nobody where no reviewer has approved any entitlements."""
    return Approvals.of(workspace).in_force()


def parsed(content: bytes) -> Entitlements:
    """What a file of entitlements says.

    Raises:
        ConfigurationError: It breaks a rule; every broken rule is named.
    """
    try:
        document = documents.read_yaml(content.decode())
    except (UnicodeDecodeError, yaml.YAMLError):
        document = None
    if not isinstance(document, dict):
        raise ConfigurationError(
            "entitlements must be a YAML mapping in UTF-8, with each key once", remedy="See docs/entitlements.md."
        )
    return documents.parse(document, Entitlements, ConfigurationError, "entitlements.yaml")


def digest_of(content: bytes) -> str:
    """SHA-256 of a file of entitlements."""
    return hashlib.sha256(content).hexdigest()


def _statement(number: int, at: str, reviewer: str, sha256: str) -> bytes:
    said = {"about": "entitlements", "number": number, "at": at, "reviewer": reviewer, "sha256": sha256}
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def _stamps(reviewers: Reviewers) -> Hashable:
    try:
        with os.scandir(reviewers.folder) as found:
            files = [(one.name, one.stat()) for one in found if one.name.endswith(".pub")]
    except OSError:
        return None
    return tuple(sorted((name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in files))
