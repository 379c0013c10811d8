"""The commands ``demographics recipient`` and ``demographics downloads``: tokens, and who got what."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli_console import reported
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from pipeline.delivery.downloads import Noted
    from pipeline.delivery.tokens import Issued

_SCOPES = ("read", "sharing", "feed")
_DAYS = click.option("--days", default=90, show_default=True, help="For how long it opens anything, 1 to 366.")


@click.group()
def recipient() -> None:
    """Recipients, and the tokens by which they get what is theirs."""


@recipient.command("list")
def recipient_list() -> None:
    """List recipients in force, what each may read, and how many living tokens each has."""
    with reported() as console:
        from pipeline.delivery.approvals import in_force
        from pipeline.delivery.tokens import Tokens
        from pipeline.delivery.wording import grant_words

        workspace, now = Workspace.from_environment(), dt.datetime.now(dt.UTC)
        entitlements, tokens = in_force(workspace), Tokens.of(workspace).listed()
        for one in entitlements.recipients:
            living = sum(token.recipient == one.name and token.is_living(now) for token in tokens)
            ended = ", has ended" if one.has_ended(now) else ""
            told = f"{one.name} ({one.title}), {one.audience}{ended}: {living} living tokens"
            console.print(told, markup=False, highlight=False)
            for product, grant in sorted(one.receives.items()):
                console.print(f"  {product}: {grant_words(grant)}", markup=False, highlight=False)
        if not entitlements.recipients:
            console.print("Nobody is a recipient: demographics entitlements show", highlight=False)


@recipient.command("token")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(_SCOPES), help="What it opens [read]; repeatable.")
@_DAYS
@click.option("--label", default="", help="What it is for, in a line.")
def recipient_token(name: str, scopes: tuple[str, ...], days: int, label: str) -> None:
    """Make a token of the recipient NAME; it is written to standard output, once."""
    with reported():
        _tell(_issue(name, scopes or ("read",), days, label))


@recipient.command("profile")
@click.argument("name")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file; it must not be there yet.")
@_DAYS
def recipient_profile(name: str, out: Path, days: int) -> None:
    """Make a token for Delta Sharing, and write it with the server's address as a profile file (mode 0600)."""
    with reported() as console:
        from pipeline.delivery.profiles import profile_of
        from pipeline.review.links import portal

        _require_new(out)
        issued = _issue(name, ("sharing",), days, f"profile {out.name}"[:80])
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(profile_of(portal(), issued), file, indent=2)
        console.print(f"Token {issued.number} is in {out}, until {issued.expires:%Y-%m-%d}.", highlight=False)


@recipient.command("tokens")
@click.argument("name", required=False)
def recipient_tokens(name: str | None) -> None:
    """List tokens by number, of NAME or of all, without their secret."""
    with reported() as console:
        from pipeline.delivery.tokens import Tokens

        now = dt.datetime.now(dt.UTC)
        for token in Tokens.of(Workspace.from_environment()).listed(name):
            state = "revoked" if token.revoked else "expired" if not token.is_living(now) else "living"
            scopes = ", ".join(sorted(token.scopes))
            told = f"{token.number}: {token.recipient}, {scopes}, {state}, until {token.expires:%Y-%m-%d %H:%M} UTC"
            console.print(f"{told}{f', {token.label}' if token.label else ''}", markup=False, highlight=False)


@recipient.command("rotate")
@click.argument("number", type=int)
@_DAYS
@click.option("--overlap-days", default=0, show_default=True, help="For how long the old one lives on, 0 to 30.")
def recipient_rotate(number: int, days: int, overlap_days: int) -> None:
    """Make a token in the place of token NUMBER; it is written to standard output, once."""
    with reported():
        from pipeline.delivery.tokens import Tokens

        tokens = Tokens.of(Workspace.from_environment())
        _tell(tokens.rotate(number, days, dt.timedelta(days=overlap_days)))


@recipient.command("revoke")
@click.argument("number", type=int, required=False)
@click.option("--all", "name", metavar="NAME", help="All tokens of a recipient.")
def recipient_revoke(number: int | None, name: str | None) -> None:
    """Make token NUMBER open nothing, from the next request on."""
    if (number is None) == (name is None):
        raise click.UsageError("Give the number of a token, or --all NAME.")
    with reported() as console:
        from pipeline.delivery.tokens import Tokens

        tokens = Tokens.of(Workspace.from_environment())
        if name is not None:
            console.print(f"{tokens.revoke_all(name)} tokens of {name} are revoked.", markup=False, highlight=False)
        elif number is not None:
            tokens.revoke(number)
            console.print(f"Token {number} is revoked.", highlight=False)


@click.command()
@click.option("--recipient", help="Of whom.")
@click.option("--product", help="Of which release.")
@click.option("--period", help="Of which period.")
@click.option("--revision", type=int, help="Which of its revisions.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="First day, UTC.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day, UTC.")
@click.option(
    "--readers", is_flag=True, help="Who got anything of one edition, each once: whom to tell of a withdrawal."
)
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, to standard output.")
def downloads(readers: bool, as_csv: bool, **asked: Any) -> None:
    """Who got what, when, and by which way."""
    edition = asked["product"], asked["period"], asked["revision"]
    if readers and None in edition:
        raise click.UsageError("--readers is about one edition: give --product, --period and --revision.")
    with reported() as console:
        from pipeline.delivery.downloads import Downloads

        if readers:
            write_rows(_readers(*edition), console, as_csv=as_csv)
            return
        log = Downloads.of(Workspace.from_environment())
        first, last = asked["since"], asked["until"]
        span = {
            "since": first and first.replace(tzinfo=dt.UTC),
            "until": last and last.replace(tzinfo=dt.UTC) + dt.timedelta(days=1),
        }
        write_rows((_row(one) for one in log.listed(**(asked | span))), console, as_csv=as_csv)


def _readers(product: str, period: str, revision: int) -> Iterable[dict[str, object]]:
    from pipeline.delivery.approvals import in_force
    from pipeline.delivery.readers import told_of
    from pipeline.spec import ReleaseKey

    workspace = Workspace.from_environment()
    for one in told_of(workspace, ReleaseKey(product, period, revision), in_force(workspace)):
        reader = one.reader
        first, last = f"{reader.first:%Y-%m-%dT%H:%M:%SZ}", f"{reader.last:%Y-%m-%dT%H:%M:%SZ}"
        named = {"recipient": reader.recipient, "first": first, "last": last, "files": reader.files}
        yield named | {"told": one.how}


def _row(noted: Noted) -> dict[str, object]:
    one = noted.download
    edition = f"{one.product}/{one.period}/r{one.revision}" if one.revision else f"{one.product}/{one.period}"
    row: dict[str, object] = {"number": noted.number, "at": f"{noted.at:%Y-%m-%dT%H:%M:%SZ}"}
    return row | {
        "recipient": one.recipient,
        "way": one.way.value,
        "token": one.token or "",
        "edition": edition,
        "file": one.file,
        "part": one.part,
    }


def write_rows(rows: Iterable[dict[str, object]], console: Console, *, as_csv: bool) -> None:
    """Write rows, one a line, as they come: as CSV, or for people."""
    for place, row in enumerate(rows):
        if as_csv:
            line = io.StringIO()
            writer = csv.DictWriter(line, list(row))
            if not place:
                writer.writeheader()
            writer.writerow(row)
            sys.stdout.write(line.getvalue())
        else:
            told = "  ".join(str(value) for value in row.values() if value != "")
            console.print(told, markup=False, highlight=False, soft_wrap=True)


def require_recipient(workspace: Workspace, name: str) -> None:
    """Refuse what is to be made for somebody who is no recipient now.

    Raises:
        AccessError: No entitlement in force names them, or theirs has ended.
    """
    from pipeline.delivery.approvals import in_force
    from pipeline.errors import AccessError

    found = in_force(workspace).find(name)
    if found is None or found.has_ended(dt.datetime.now(dt.UTC)):
        raise AccessError(
            "a token or a secret must be of a recipient that the entitlements in force name",
            remedy="demographics recipient list",
        )


def _issue(name: str, scopes: Iterable[str], days: int, label: str) -> Issued:
    from pipeline.delivery.tokens import Scope, Tokens

    workspace = Workspace.from_environment()
    require_recipient(workspace, name)
    return Tokens.of(workspace).issue(name, [Scope(scope) for scope in scopes], days, label)


def _tell(issued: Issued) -> None:
    """The secret alone to standard output, so that it can be piped; what is said of it beside."""
    click.echo(issued.secret)
    click.echo(f"Token {issued.number}, until {issued.expires:%Y-%m-%d}. It is shown this once.", err=True)


def _require_new(path: Path) -> None:
    from pipeline.errors import DeliveryError

    if path.exists() or not path.parent.is_dir():
        raise DeliveryError(
            "a profile must be a new file in a folder that is there", value=path, remedy="Name another."
        )
