"""The commands ``demographics keys``: the keys that sign what is published. Whoever may write the site may use them."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

import click

from pipeline.cli_console import reported
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.publication.key_changes import Change
    from pipeline.publication.key_list import KeyList

_REASON = click.option("--reason", required=True, help="Why, in a line; recipients read it in keys.json.")


@click.group()
def keys() -> None:
    """The keys that sign what is published: made, rotated, published, revoked."""


@keys.command("list")
def keys_list() -> None:
    """List public keys by id, the newest last, with their state."""
    with reported() as console:
        from pipeline.privacy.ledger import Ledger
        from pipeline.publication.key_ring import list_of

        listed = list_of(Ledger.open(Workspace.from_environment().ledger))
        if listed is None:
            console.print("No key is noted yet: demographics keys make", highlight=False)
        else:
            _tell(console, listed)


@keys.command("make")
def keys_make() -> None:
    """Make the first key; publishing does so too where there is none."""
    with reported() as console:
        from pipeline.publication import key_changes

        _tell(console, key_changes.make(Workspace.from_environment()).listed)


@keys.command("rotate")
@_REASON
def keys_rotate(reason: str) -> None:
    """Put a new key in the place of the current one; what that one signed stays good.

    The secret half of the former key is deleted. The same reason again, right after, makes no second new key.
    """
    with reported() as console:
        from pipeline.publication import key_changes

        change = key_changes.rotate(Workspace.from_environment(), reason, getpass.getuser())
        if not change.changed:
            console.print("The key was rotated for this reason already.", highlight=False)
        _told(console, change)


@keys.command("publish")
def keys_publish() -> None:
    """Write minisign.pub and keys.json for recipients, and complete a change of keys that was killed."""
    with reported() as console:
        from pipeline.publication import key_changes

        _told(console, key_changes.publish(Workspace.from_environment()))


@keys.command("revoke")
@click.argument("key_id")
@_REASON
def keys_revoke(key_id: str, reason: str) -> None:
    """Let nothing count any more that the key KEY_ID signed, or the one that is `current`.

    What the ledger says that the publisher signed is signed anew by the current key, or by a new one if it is that
    which is revoked. Recipients must get the new key by another way: no signature of a stolen key leads to it.
    """
    with reported() as console:
        from pipeline.publication import key_changes

        change = key_changes.revoke(Workspace.from_environment(), key_id, reason, getpass.getuser())
        if not change.changed:
            console.print("The key was revoked already; what was left undone is done.", highlight=False)
        _told(console, change)


def _told(console: Console, change: Change) -> None:
    _tell(console, change.listed)
    if change.resealed.places:
        console.print(f"Signed anew: {len(change.resealed.places)} bundles and tombstones.", highlight=False)
    change.resealed.require()


def _tell(console: Console, listed: KeyList) -> None:
    for one in listed.keys:
        told = f"{one.id}: {one.state}, made {one.made[:16]}"
        ended = f", {one.state} {one.since[:16]}: {one.reason}" if one.since else f", {one.public_key}"
        console.print(f"{told}{ended}", markup=False, highlight=False)
