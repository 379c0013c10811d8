"""What pages read again and again: recorded bytes, which never change, are parsed once."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final, TypeVar

from fastapi import FastAPI
from markupsafe import Markup

from pipeline.errors import DemographicsError, LedgerError
from pipeline.portal.background import Background
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.publication.sections import Section, level_words, section_of
from pipeline.publication.views import AudienceView, whole
from pipeline.release.artefact import PrivateRelease, ReleaseHeader
from pipeline.review.decisions import Register
from pipeline.review.reviewers import Reviewers
from pipeline.review.standing import Standing, standing_of
from pipeline.site import SiteFile, load_site
from pipeline.spec import ReleaseKey, ReleaseSpecification
from pipeline.validation.verdicts import Verdicts
from pipeline.vocabulary import UNIT_NAMES
from pipeline.workspace import Workspace

Item = TypeVar("Item")

_MOST_RELEASES: Final = 24  # parsed ones, of some megabytes each
_MOST_SMALL: Final = 4096
_MOST_FRAGMENTS: Final = 600  # of some ten kilobytes each
_LOOK_AGAIN: Final = 15.0  # seconds


class Remembered:
    """The results that were asked for last, by key."""

    def __init__(self, most: int) -> None:
        self._found: OrderedDict[Hashable, object] = OrderedDict()
        self._lock = threading.Lock()
        self._most = most

    def get(self, key: Hashable, make: Callable[[], Item]) -> Item:
        """The result for a key, made where it is not there; what raises is not kept."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]  # type: ignore[return-value]  # what was made for this key
        made = make()
        with self._lock:
            self._found[key] = made
            while len(self._found) > self._most:
                self._found.popitem(last=False)
        return made


@dataclass(frozen=True)
class Drawn:
    """A drawn release as pages show it.

    Attributes:
        release: The artefact.
    """

    release: PrivateRelease

    @property
    def header(self) -> ReleaseHeader:
        """What is public about it."""
        return self.release.header

    @cached_property
    def shown(self) -> AudienceView:
        """Its tables, as recipients get them."""
        return whole(self.release)

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """Its tables in words, in their order."""
        tables = self.shown.tables
        return tuple(section_of(tables[facts.name], facts, self._person) for facts in self.header.tables)

    @property
    def levels(self) -> tuple[tuple[object, ...], ...]:
        """By what each level groups, what it counts, and its parameters."""
        header = self.header
        return tuple((*level_words(level, header.tables, self._person), level) for level in header.levels)

    @property
    def _person(self) -> str:
        return UNIT_NAMES[self.header.population]


@dataclass(frozen=True)
class PageRegister(Register):
    """A register that is read once and serves all pages until something changes.

    Attributes:
        remembered: What was read of specifications, which are found by their digest and never change.
        stamp: What tells this reading from one of another moment.
    """

    remembered: Remembered = field(default_factory=lambda: Remembered(_MOST_SMALL), compare=False)
    stamp: Hashable = None

    def specification(self, key: ReleaseKey) -> ReleaseSpecification:
        """What a release was drawn from; see ``Register``."""
        digest = digest_of(self, key, EntryKind.RESERVED, "specification_sha256")
        return self.remembered.get(("specification", digest), partial(super().specification, key))

    def standing(self, key: ReleaseKey) -> Standing:
        """Where a release stands."""
        return self.remembered.get(("standing", self.stamp, key), lambda: standing_of(self, key))


class Archive:
    """What pages of one site read; safe to be asked by several threads at once.

    The ledger is read again, and its chain of hashes looked at, when an entry was appended or a reviewer's file
    changed, and otherwise four times a minute. No decision rests on what is kept here: it is made on a new reading.
    """

    def __init__(self, workspace: Workspace, ledger: Ledger) -> None:
        self.workspace, self.ledger = workspace, ledger
        self.warmed = threading.Event()  # what pages are likely to show has been worked out once
        self.figures: Background[str] = Background("figures")
        self.balances: Background[object] = Background("balances", 4096)
        self._releases: Remembered = Remembered(_MOST_RELEASES)
        self._small: Remembered = Remembered(_MOST_SMALL)
        self._fragments: Remembered = Remembered(_MOST_FRAGMENTS)
        self._registers: Remembered = Remembered(2)

    def register(self) -> PageRegister:
        """The ledger as pages show it: of this moment, or of one since when nothing was appended.

        Raises:
            LedgerError: The chain of hashes is broken.
        """
        stamp = (self.ledger.head(), self._reviewers())
        return self._registers.get((stamp, time.monotonic() // _LOOK_AGAIN), partial(self._read, stamp))

    def fragment(self, key: Hashable, make: Callable[[], str]) -> Markup:
        """A part of a page that never changes for its key."""
        return Markup(self._fragments.get(key, make))  # noqa: S704  made by a template, which escapes

    def drawn(self, register: Register, key: ReleaseKey) -> Drawn:
        """A drawn release.

        Raises:
            LedgerError: It was not drawn, or its bytes are missing or others.
        """
        digest = digest_of(register, key, EntryKind.DRAWN, "artefact_sha256")
        return self._releases.get(digest, partial(self._parsed, key))

    def header(self, register: Register, key: ReleaseKey) -> ReleaseHeader:
        """What is public about a drawn release; see ``drawn``."""
        digest = digest_of(register, key, EntryKind.DRAWN, "artefact_sha256")
        return self._small.get(("header", digest), lambda: self.drawn(register, key).header)

    def verdicts(self, register: Register, key: ReleaseKey) -> Verdicts:
        """The newest verdicts on a release; none at all where it was not checked yet."""
        digest = digest_of(register, key, EntryKind.CHECKED, "checks_sha256")
        if not digest:
            return Verdicts(())
        return self._small.get(("checks", digest), lambda: Verdicts.from_bytes(self.ledger.checks(key) or b"[]"))

    def specification(self, register: Register, key: ReleaseKey) -> ReleaseSpecification | None:
        """What a release was drawn from; None where the ledger does not hold it."""
        with suppress(LedgerError):
            return register.specification(key)
        return None

    def once(self, key: Hashable, make: Callable[[], Item]) -> Item:
        """Something that never changes for its key."""
        return self._small.get(key, make)

    @property
    def site(self) -> SiteFile:
        """The site file, as it is now.

        Raises:
            ConfigurationError: It is missing or breaks a rule.
        """
        path = self.workspace.site_file
        stamp = path.stat() if path.exists() else None
        changed = (stamp.st_mtime_ns, stamp.st_size, stamp.st_ino) if stamp else None
        return self._small.get(("site", changed), partial(load_site, path))

    @property
    def publisher(self) -> dict[str, object]:
        """Whose site it is, for the head of each page."""
        with suppress(DemographicsError, OSError):
            return {"publisher": self.site.publisher or self.site.site, "synthetic": self.site.synthetic}
        return {"publisher": "", "synthetic": False}

    def close(self) -> None:
        """Begin nothing more in the background."""
        self.figures.close()
        self.balances.close()

    def _read(self, stamp: Hashable) -> PageRegister:
        register = PageRegister(self.ledger, Reviewers(self.workspace.reviewer_keys), False, self._small, stamp)
        assert register.histories is not None  # read now, once for all who ask
        return register

    def _reviewers(self) -> Hashable:
        """What tells whether a file of a reviewer changed."""
        try:
            with os.scandir(self.workspace.reviewer_keys) as found:
                files = [(one.name, one.stat()) for one in found if one.name.endswith(".pub")]
        except OSError:
            return None
        return tuple(sorted((name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in files))

    def _parsed(self, key: ReleaseKey) -> Drawn:
        content = self.ledger.artefact(key)
        if content is None:
            raise LedgerError("a release must be drawn to be shown", value=key, remedy="Draw it first.")
        return Drawn(PrivateRelease.from_bytes(content))


def digest_of(register: Register, key: ReleaseKey, kind: EntryKind, name: str) -> str:
    """A digest from the newest entry of a kind about a release; empty where there is none."""
    found = [entry for entry in register.history(key) if entry.kind is kind]
    return str(found[-1].payload[name]) if found else ""


def archive_of(app: FastAPI) -> Archive:
    """The archive of an application, made when it is first asked for."""
    found: Archive | None = getattr(app.state, "archive", None)
    if found is None:
        found = app.state.archive = Archive(app.state.workspace, app.state.ledger)
    return found
