"""What browsers send: forms, where to go next, and the secret of the form of log-in."""

from __future__ import annotations

import datetime as dt
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request

from pipeline.errors import DemographicsError
from pipeline.portal.failures import RefusedError

HOME: Final = "/releases"
_MOST_FIELDS: Final = 20
_ENTRANCES: Final = ("/login", "/logout", "/my/login", "/my/logout")
_LONGEST_PATH: Final = 500
# Letters of paths and queries alone: no backslash and no control character, which browsers read as they like.
_PATH: Final = re.compile(r"/[A-Za-z0-9._~%/?=&+-]*")
_COOKIE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_FORM_LIVES: Final = dt.timedelta(minutes=30)


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields of a form; of a field that comes twice the last.

    Raises:
        RefusedError: It is no form, or has too many fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise RefusedError(400, DemographicsError("a form must be sent as the page has it", remedy="Go back to it."))
    form = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    return {name: value for name, value in form.items() if isinstance(value, str)}


def local_path(text: str, home: str = HOME) -> str:
    """Where to go next: a path of these pages; ``home`` for anything else, and never another host."""
    fits = len(text) <= _LONGEST_PATH and _PATH.fullmatch(text) and "//" not in text and ".." not in text
    return text if fits and not text.startswith(_ENTRANCES) else home


@dataclass(frozen=True)
class LogInForms:
    """Keeps other sites from logging somebody in: each form belongs to a cookie of the browser that asked for it.

    Attributes:
        key: Of this program, for as long as it runs.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def cookie(self, standing: str | None) -> str:
        """The browser's cookie: the one that it has, so that several windows of it work, or a new one."""
        return standing if standing and _COOKIE.fullmatch(standing) else secrets.token_urlsafe(32)

    def token(self, cookie: str, now: dt.datetime) -> str:
        """What the form holds beside that cookie, for half an hour."""
        moment = f"{int(now.timestamp())}"
        return f"{moment}-{self._mark(cookie, moment)}"

    def holds(self, cookie: str | None, token: str, now: dt.datetime) -> bool:
        """Whether a form came from a page that this browser asked for, not too long ago."""
        moment, _, mark = token.partition("-")
        if not cookie or not re.fullmatch("[0-9]{1,12}", moment):
            return False
        age = dt.timedelta(seconds=now.timestamp() - int(moment))
        same = hmac.compare_digest(self._mark(cookie, moment).encode(), mark.encode("utf-8", "surrogatepass"))
        return same and dt.timedelta(seconds=-1) <= age <= _FORM_LIVES

    def _mark(self, cookie: str, moment: str) -> str:
        return hmac.digest(self.key, f"log in {moment} {cookie}".encode("utf-8", "surrogatepass"), "sha256").hex()
