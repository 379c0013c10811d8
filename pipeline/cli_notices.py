"""The commands ``demographics notices`` and ``demographics recipient webhook-secret``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from pipeline.cli_console import reported
from pipeline.cli_recipients import recipient, require_recipient, write_rows
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.delivery.outbox import Notice


@click.command()
@click.option("--state", help="Of one state alone: waiting, sending, sent, failed or dropped.")
@click.option("--retry", "ids", multiple=True, metavar="ID", help="Try one that was not sent anew; repeatable.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV, to standard output.")
def notices(state: str | None, ids: tuple[str, ...], *, as_csv: bool) -> None:
    """Whom the outbox tells what: each notice with its state, its tries, when it is tried next, and what is wrong."""
    with reported() as console:
        from pipeline.delivery.outbox import Outbox, State

        if state is not None and state not in list(State):
            raise click.UsageError(f"--state is one of {', '.join(State)}.")
        outbox, now = Outbox.of(Workspace.from_environment()), dt.datetime.now(dt.UTC)
        for id_ in ids:
            found = outbox.put_back(id_, now)
            console.print(f"{found.id} is due: demographics deliver", markup=False, highlight=False)
        if not ids:
            write_rows(_rows(outbox.listed(State(state) if state else None)), console, as_csv=as_csv)


@recipient.command("webhook-secret")
@click.argument("name")
@click.option("--overlap-days", default=7, show_default=True, help="For how long earlier ones sign beside it, 0 to 30.")
def webhook_secret(name: str, overlap_days: int) -> None:
    """Make the secret that signs webhooks to the recipient NAME; it is written to standard output, once.

    While an earlier one lives, notices bear both signatures, so that the receiver can change over at any moment.
    """
    with reported():
        from pipeline.delivery.webhook_secrets import WebhookSecrets

        workspace, now = Workspace.from_environment(), dt.datetime.now(dt.UTC)
        require_recipient(workspace, name)
        made = WebhookSecrets.of(workspace).make(name, dt.timedelta(days=overlap_days), now)
        click.echo(made.secret)
        others = f" Earlier ones sign until {made.others_end:%Y-%m-%d %H:%M} UTC." if made.others_end else ""
        click.echo(f"Webhook secret {made.number}. It is shown this once.{others}", err=True)


def _rows(found: Iterable[Notice]) -> Iterable[dict[str, object]]:
    for notice in found:
        one = notice.subject
        open_ = notice.state.value in ("waiting", "sending")
        yield {
            "id": notice.id,
            "recipient": one.recipient,
            "channel": one.channel.value,
            "kind": one.kind.value,
            "edition": f"{one.product}/{one.period}/r{one.revision}",
            "state": notice.state.value,
            "tries": notice.tries,
            "due": f"{notice.due:%Y-%m-%dT%H:%M:%SZ}" if open_ else "",
            "problem": notice.problem,
        }
