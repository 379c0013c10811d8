"""Takes people's requests in at a terminal or from a pipe, and shows how far they are; names nobody."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from pipeline.errors import RequestError
from pipeline.progress import Progress
from pipeline.rights.applying import apply_requests
from pipeline.rights.collecting import collect
from pipeline.rights.contents import Unusable
from pipeline.rights.deadlines import Age, look
from pipeline.rights.intake import retry, understood
from pipeline.rights.parsing import Fields, outline, parse_request
from pipeline.rights.requests import SubjectRequest
from pipeline.rights.store import Origin, Received, RequestStore
from pipeline.site import SiteFile, load_site
from pipeline.workspace import Workspace

MOST_INPUT: Final = 1 << 20  # bytes on standard input
_NUMBERS, _LONG = frozenset({"age, h", "hours left"}), frozenset({"why", "outcome"})
_WIDE: Final = 200  # characters of a line where nobody's terminal ends it


@dataclass(frozen=True)
class Desk:
    """Where a person takes requests in."""

    workspace: Workspace
    site: SiteFile
    store: RequestStore = field(repr=False)
    console: Console = field(repr=False)

    @classmethod
    def open(cls, console: Console) -> Desk:
        """Open the site's requests.

        Raises:
            ConfigurationError: There is no site, or its file breaks a rule.
            LedgerError: The ledger's database cannot be reached.
        """
        workspace = Workspace.from_environment()
        return cls(workspace, load_site(workspace.site_file), RequestStore.open(workspace), console)

    def take(self, kind: str, population: str, options: Mapping[str, str | None]) -> None:
        """Take one request in, of what is typed or piped in; says its id and its deadline.

        What is typed and cannot be used is typed anew. What is piped in and cannot be used is kept as what comes in by
        other ways is, and told of.

        Raises:
            RequestError: It cannot be used.
            ConfigurationError: The key of subject requests is missing or another one.
        """
        given = {"request": kind, "population": population}
        given |= {name: value for name, value in options.items() if value is not None}
        if sys.stdin.isatty():
            fields = given | _answers(self.site, given)
            request = parse_request(fields, self.site, dt.datetime.now(dt.UTC))
            self._tell(self.store.receive(request, Origin.COMMAND_LINE))
            return
        kept = _piped(sys.stdin.buffer.read(MOST_INPUT + 1), self.site, given)
        if isinstance(kept, SubjectRequest):
            self._tell(self.store.receive(kept, Origin.COMMAND_LINE))
            return
        received = self.store.receive_unusable(kept, Origin.COMMAND_LINE)
        raise RequestError(
            kept.reason,
            value=f"a request that cannot be used, kept as {received.id}",
            remedy="Ask again as it should be, and close that one.",
        )

    def collect(self) -> None:
        """Take in the drop folder and the database table."""
        found = collect(self.workspace, self.site)
        self.console.print(
            f"{found.received} received, {found.again} that were there already, {found.refused} that cannot be used.",
            highlight=False,
        )

    def apply(self, progress: Progress) -> None:
        """Put what waits into force.

        Raises:
            RequestError: Something has to wait on.
        """
        applied = apply_requests(self.workspace, self.site, dt.datetime.now(dt.UTC), progress)
        self.console.print(f"{len(applied.ids)} in force, {len(applied.waiting)} wait on.", highlight=False)
        for one in applied.waiting:
            self.console.print(Text(f"{one.id}  {_shown(one.reason)}"))
        if applied.waiting:
            raise RequestError(
                "every request that can be used must come into force",
                value=f"{len(applied.waiting)} that wait on",
                remedy="Remove what is in the way, and apply again.",
            )

    def show(self, *, every: bool) -> None:
        """List requests that wait, and with ``every`` those that are settled, too."""
        waiting = look(self.workspace, dt.datetime.now(dt.UTC)).ages
        self._print(_waiting(waiting), "No request waits.")
        if not every:
            return
        table = _table("request", "of", "state", "settled, UTC", "outcome")
        for row in self.store.rows():
            if not row.waits:
                told = (row.kind, row.population, row.state.value, _when(row.applied), row.outcome)
                _add(table, (row.id, *told))
        self.console.print()
        self._print(table, "None is settled.")

    def close(self, identity: str, operator: str, reason: str) -> None:
        """Close a refused request."""
        self.store.close(identity, operator, reason)
        self.console.print(f"{identity} is closed.", highlight=False)

    def retry(self, identity: str) -> None:
        """Try a refused request anew."""
        self._tell(retry(self.store, self.site, identity))

    def _print(self, table: Table, nothing: str) -> None:
        width = None if self.console.is_terminal else _WIDE
        self.console.print(table if table.row_count else nothing, highlight=False, width=width)

    def _tell(self, received: Received) -> None:
        due = received.due.astimezone(self.site.zone)
        was = "was received already" if received.again else "is received"
        self.console.print(f"{received.id} {was}, and must be in force by {due:%Y-%m-%d %H:%M %Z}.", highlight=False)


def _answers(site: SiteFile, given: Mapping[str, str]) -> dict[str, str]:
    """What names the person, as it is typed; prompts go to standard error."""

    def ask(text: str) -> str:
        return str(click.prompt(text, default="", show_default=False, err=True))

    if given["population"] == "customer":
        by_email = site.customers is not None and site.customers.email is not None
        found = {"customer": ask("Customer, or nothing to name them by e-mail address" if by_email else "Customer")}
        return found if found["customer"] or not by_email else {"email": ask("E-mail address")}
    found = {"address": ask("Network address"), "agent": ask("User agent, as the log has it")}
    return found if "since" in given else found | {"since": ask("Since (day or instant)")}


def _piped(content: bytes, site: SiteFile, given: Fields) -> SubjectRequest | Unusable:
    now = dt.datetime.now(dt.UTC)
    try:
        fields = _fields(content)
        if set(fields) & set(given):
            raise RequestError("standard input must not say anew what the command says")
    except RequestError as failure:
        told = outline(given, site, now)
        return Unusable(content, failure.rule, told.received, told.kind, told.population)
    return understood({**fields, **given}, site, now)


def _fields(content: bytes) -> dict[str, object]:
    """Fields of one request: a JSON object, or lines ``field: value``."""
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise RequestError("standard input must be text in UTF-8") from None
    if len(content) > MOST_INPUT or not text:
        raise RequestError("standard input must hold what names the person, and little else")
    pairs = _of_object(text) if text.startswith("{") else [_of_line(line) for line in text.split("\n") if line.strip()]
    if len(fields := dict(pairs)) < len(pairs):
        raise RequestError("standard input must name each field once")
    return fields


class _Pairs(list[Any]):
    """The members of a JSON object, also those that stand there twice."""


def _of_object(text: str) -> list[tuple[str, object]]:
    try:  # a number is the text it is written as
        found = json.loads(text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise RequestError("standard input must be one JSON object, or lines of 'field: value'") from None
    return [(name, dict(value) if isinstance(value, _Pairs) else value) for name, value in found]


def _of_line(line: str) -> tuple[str, object]:
    name, sign, value = line.partition(":")
    if not sign:
        raise RequestError("standard input must be one JSON object, or lines of 'field: value'")
    return name.strip().lower(), value.strip()


def _waiting(ages: Iterable[Age]) -> Table:
    table = _table("request", "of", "state", "age, h", "hours left", "why")
    for one in ages:
        told = (one.kind, one.population, one.state, f"{one.hours:.1f}", f"{one.hours_left:.1f}")
        _add(table, (one.id, *told, one.reason), "bold red" if one.overdue else "yellow" if one.warned else "")
    return table


def _table(*headers: str) -> Table:
    columns = (
        Column(name, justify="right" if name in _NUMBERS else "left", no_wrap=name not in _LONG, overflow="fold")
        for name in ("id", *headers)
    )
    return Table(*columns, box=None)


def _add(table: Table, cells: Iterable[str], style: str = "") -> None:
    table.add_row(*(Text(_shown(cell) or "-") for cell in cells), style=style)


def _when(moment: dt.datetime | None) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M}" if moment else ""


def _shown(text: str) -> str:
    """Without what would control the terminal: only whoever writes to the database could have put that there."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
