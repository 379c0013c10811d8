"""The commands ``demographics backup`` and ``demographics restore``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli_console import bar, reported
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.recovery.opening import Opened
    from pipeline.recovery.restoring import Terms
    from pipeline.recovery.sealing import BackupKey

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("target", type=_PATH, envvar="DEMOGRAPHICS_BACKUPS", required=False)
@click.option("--to", "keys", multiple=True, help="A public key, or a file of them; may be repeated.")
@click.option("--make-key", type=_PATH, help="Make a key pair instead: the secret half in this file.")
@click.option("--passphrase/--no-passphrase", default=False, help="Whether the file of the new key gets a passphrase.")
def backup(target: Path | None, keys: tuple[str, ...], make_key: Path | None, *, passphrase: bool) -> None:
    """Write everything that cannot be made again into TARGET, a new file, or a folder in which it is named by the time.

    It is sealed with age for the public keys of --to, or of DEMOGRAPHICS_BACKUP_TO, and this machine cannot open it.
    Runs may go on meanwhile; publishing waits. Staging, and keys of periods, are not in it.
    """
    with reported() as console:
        if make_key is not None:
            _make_key(make_key, console, passphrase=passphrase)
        elif target is not None:
            _back_up(target, keys, console)
        else:
            raise click.UsageError("Name the TARGET of the backup, or the file of a new key: --make-key.")


@click.command()
@click.argument("file", type=_PATH)
@click.option("--key", type=_PATH, help="File of the secret key [DEMOGRAPHICS_BACKUP_KEY].")
@click.option("--into", type=_PATH, help="Folder of the restored site [that of --home].")
@click.option("--dry-run", is_flag=True, help="Check the backup, and whether it may be restored; write nothing.")
@click.option("--ledger-only", is_flag=True, help="The site's folder is there, and the ledger alone is lost.")
@click.option("--beside", multiple=True, type=_PATH, help="A copy of published/ that the ledger must know, too.")
@click.option("--without-stores", is_flag=True, help="Do not look into recipients' stores.")
@click.option("--public-key", help="The publisher's minisign public key, or its file: refuse a backup of another.")
def restore(
    file: Path,
    key: Path | None,
    into: Path | None,
    public_key: str | None,
    beside: tuple[Path, ...],
    **how: bool,
) -> None:
    """Restore a site from a backup FILE, into an empty folder and an empty ledger (DEMOGRAPHICS_LEDGER).

    Everything is checked before anything is written. A backup that is older than what recipients have is refused: what
    is published is drawn once. Killed anywhere, the same command does it again.
    """
    with reported() as console:
        terms = _terms(public_key, beside, ledger_only=how["ledger_only"], stores=not how["without_stores"])
        opened = _restore(file, key, _workspace(into), terms, console, dry_run=how["dry_run"])
        _tell(console, opened, "holds, and may be restored" if how["dry_run"] else "is restored")


def _make_key(path: Path, console: Console, *, passphrase: bool) -> None:
    from pipeline.recovery.sealing import make_key
    from pipeline.recovery.settings import RecoverySettings

    given = RecoverySettings.from_environment().passphrase.get_secret_value()
    if passphrase and not given:
        given = click.prompt("Passphrase of the key", hide_input=True, confirmation_prompt=True, err=True)
    public = make_key(path, given if passphrase else "")
    console.print(
        f"{public}\nIt stands in {path}.pub, too. The secret key is in {path}: keep it, and a copy, where this machine "
        "is not. Without it no backup opens.",
        markup=False,
        highlight=False,
    )


def _back_up(target: Path, keys: tuple[str, ...], console: Console) -> None:
    from pipeline.recovery.sealing import recipients
    from pipeline.recovery.settings import RecoverySettings
    from pipeline.recovery.taking import back_up

    sealed_for = recipients(keys or RecoverySettings.from_environment().to)
    with bar(console) as progress:
        made = back_up(Workspace.from_environment(), target, sealed_for, dt.datetime.now(dt.UTC), progress)
    console.print(
        f"{made.path}: {len(made.manifest.members):,} members, {made.bytes:,} bytes; the ledger up to entry "
        f"{made.manifest.entries:,}.",
        markup=False,
        highlight=False,
    )


def _workspace(into: Path | None) -> Workspace:
    import os

    from pipeline.workspace import HOME_VARIABLE

    return Workspace((into or Path(os.environ[HOME_VARIABLE])).resolve())


def _terms(public_key: str | None, beside: tuple[Path, ...], *, ledger_only: bool, stores: bool) -> Terms:
    from pipeline.publication.signing import read_public_key
    from pipeline.recovery.restoring import Terms

    publisher = read_public_key(public_key) if public_key else None
    return Terms(ledger_only=ledger_only, beside=beside, stores=stores, publisher=publisher)


def _restore(
    file: Path, key: Path | None, workspace: Workspace, terms: Terms, console: Console, *, dry_run: bool
) -> Opened:
    from pipeline.recovery.restoring import look, restore

    opener = _opener(key)
    with bar(console) as progress:
        return (look if dry_run else restore)(file, opener, workspace, terms, progress)


def _opener(key: Path | None) -> BackupKey:
    from pipeline.errors import RecoveryError
    from pipeline.recovery.sealing import BackupKey, needs_passphrase
    from pipeline.recovery.settings import RecoverySettings

    settings = RecoverySettings.from_environment(key=key)
    if settings.key is None:
        raise RecoveryError(
            "a backup is opened by a secret key",
            value="none",
            remedy="Name its file with --key or in DEMOGRAPHICS_BACKUP_KEY.",
        )
    passphrase = settings.passphrase.get_secret_value()
    if not passphrase and needs_passphrase(settings.key):
        passphrase = click.prompt(f"Passphrase of {settings.key.name}", hide_input=True, err=True)
    return BackupKey.read(settings.key, passphrase)


def _tell(console: Console, opened: Opened, what: str) -> None:
    manifest = opened.manifest
    publisher = opened.keys.current.id if opened.keys else "no key yet"
    console.print(
        f"The backup of {manifest.made[:16]} UTC {what}: the ledger up to entry {manifest.entries:,}, "
        f"{len(opened.files):,} files; the publisher's key is {publisher}.\n"
        "What was done later is not in it: revoke again tokens that were revoked since, and take in again what people "
        "asked for since (docs/recover.md).",
        markup=False,
        highlight=False,
    )
