"""Carries out what reviewers, and who looks after their accounts, ask of the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import click
from rich.console import Console

from pipeline.delivery import sending
from pipeline.delivery.approvals import in_force
from pipeline.delivery.readers import told_of
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.publication import withdrawal
from pipeline.review.accounts import Accounts
from pipeline.review.decisions import Register
from pipeline.review.links import page_of
from pipeline.review.tables import now_utc
from pipeline.review.trail import What
from pipeline.spec import ReleaseKey
from pipeline.workspace import Workspace

_DONE: Final = {"approve": ("approved", What.APPROVED), "reject": ("rejected", What.REJECTED)}
_DECIDED: Final = (EntryKind.APPROVED, EntryKind.REJECTED, EntryKind.WITHDRAWN)


@dataclass(frozen=True)
class Office:
    """Where decisions are made at a terminal, and accounts are looked after."""

    workspace: Workspace
    accounts: Accounts = field(repr=False)
    console: Console = field(repr=False)

    @classmethod
    def open(cls, console: Console) -> Office:
        """Open the site's accounts.

        Raises:
            ConfigurationError: There is no site.
            LedgerError: The ledger's database cannot be reached.
        """
        workspace = Workspace.from_environment()
        return cls(workspace, Accounts.of(workspace), console)

    def list_waiting(self) -> None:
        """Candidates without a decision, and where to read them."""
        waiting = Register.of(self.workspace).waiting()
        for key in waiting:
            revision = f" --revision {key.revision}" if key.revision > 1 else ""
            self._tell(f"{key.release} --period {key.period}{revision}   {page_of(key)}   {self._report(key)}")
        self._tell(f"{len(waiting)} waiting")

    def show(self, release: str, period: str, revision: int) -> None:
        """What a decision would be on, and which there are.

        Raises:
            NotApprovedError: Nothing is there to decide on.
        """
        key, register = ReleaseKey(release, period, revision), Register.of(self.workspace)
        candidate = register.candidate(key)
        state = "waits for a decision" if register.is_waiting(key) else "waits for no decision"
        lines = [
            f"{key} {state}",
            f"candidate      {candidate.sha256}",
            f"specification  {candidate.specification_sha256}",
            f"tables         {candidate.artefact_sha256}",
            f"checks         {candidate.checks_sha256}",
            *(f"{entry.kind:<15}{_told(entry)}" for entry in register.history(key) if entry.kind in _DECIDED),
            *(f"without a valid signature: entry {entry.number}" for entry in register.unsigned(key)),
            f"page           {page_of(key)}",
            f"report         {self._report(key)}",
        ]
        self._tell("\n".join(lines))

    def decide(self, how: str, of: tuple[str, str, int], name: str, secret: str, reason: str, seen: str) -> None:
        """Approve or reject a candidate.

        Args:
            how: ``approve`` or ``reject``.
            of: Release, period and revision.
            name: Of the reviewer's account.
            secret: Its password or token.
            reason: Why.
            seen: Digest of the candidate that was read, or empty.

        Raises:
            AccessError: The account's name or its secret is wrong.
            NotApprovedError: It cannot be decided on, or not by this reviewer.
        """
        key, (done, what) = ReleaseKey(*of), _DONE[how]
        signer = self.accounts.signer(name, secret)
        register = Register.of(self.workspace)
        (register.approve if how == "approve" else register.reject)(key, signer, reason, seen)
        self.accounts.note(signer.name, what, str(key))
        self._tell(f"{key} is {done} by {signer.name}.")
        if Register.of(self.workspace).is_waiting(key):
            self._tell("Another reviewer has to approve it, too.")

    def withdraw(self, of: tuple[str, str, int], name: str, secret: str, reason: str) -> None:
        """Withdraw a published release, and take its bundles away; see ``decide``.

        Raises:
            LedgerError: It was not published.
            PublicationError: A bundle cannot be taken away; it is withdrawn all the same.
        """
        key, signer = ReleaseKey(*of), self.accounts.signer(name, secret)
        before = self._is_withdrawn(key)
        try:
            withdrawal.withdraw(self.workspace, key, signer, reason)
        finally:  # where only a bundle could not be taken away, too
            if not before and self._is_withdrawn(key):
                self.accounts.note(signer.name, What.WITHDREW, str(key))
        was = "was withdrawn before" if before else "is withdrawn"
        self._tell(f"{key} {was}; its bundles are gone, and tombstones stand in their place.")
        self._tell_readers(key)
        self._take_back(key)

    def add(self, name: str, password: str, also_known_as: tuple[str, ...]) -> None:
        """Make an account."""
        made = self.accounts.add(name, password, also_known_as=also_known_as)
        others = f", also known as {', '.join(made.also_known_as)}" if made.also_known_as else ""
        self._tell(f"{made.name}{others} can decide from now on: demographics portal, or demographics review.")

    def list_reviewers(self) -> None:
        """Who may decide, and who no more."""
        accounts, known = set(self.accounts.names()), {one.name: one for one in self.accounts.reviewers.all()}
        for name in sorted(accounts | set(known)):
            one = known.get(name)
            others = f"also known as {', '.join(one.also_known_as)}" if one and one.also_known_as else ""
            scripted = "a script" if one and one.scripted else ""
            parts = [self._state(name, has_account=name in accounts), self._count_of(name), scripted, others]
            self._tell(f"{name}: {'; '.join(part for part in parts if part)}")
        if not accounts:
            self._tell("Nobody can log in yet: demographics reviewer add NAME")

    def change_password(self, name: str, old: str, new: str) -> None:
        """Take another password."""
        self.accounts.change_password(name, old, new)
        self._tell(f"The password of {name.strip()} is changed, and its sessions have ended.")
        if told := self._count_of(name.strip()):
            self._tell(f"Still in use: {told}. To revoke one: demographics reviewer revoke")

    def issue_token(self, name: str, password: str, days: int) -> None:
        """Make a token; it alone goes to standard output."""
        token = self.accounts.issue_token(name, password, days)
        click.echo(token)
        click.echo(f"It can be used for {days} days, and is not shown again.", err=True)

    def list_tokens(self, name: str) -> None:
        """Tokens by number."""
        found = self.accounts.tokens(name)
        for token in found:
            end = "expired" if token.has_expired(now_utc()) else "expires"
            self._tell(f"{token.number}   made {token.made:%Y-%m-%d}   {end} {token.expires:%Y-%m-%d %H:%M} UTC")
        self._tell(f"{len(found)} of {name}" if found else f"No token of {name}.")

    def revoke(self, name: str, number: int) -> None:
        """Make a token open nothing."""
        self.accounts.revoke_token(name, number)
        self._tell(f"Token {number} of {name} is revoked.")

    def remove(self, name: str) -> None:
        """Let a reviewer decide no more."""
        self.accounts.remove(name)
        self._tell(f"{name} decides no more.")

    def unlock(self, name: str) -> None:
        """Forget failures."""
        self.accounts.unlock(name)
        self._tell(f"{name} can log in.")

    def _state(self, name: str, *, has_account: bool) -> str:
        one = self.accounts.reviewers.find(name)
        if one is not None and not one.active:
            return "decides no more"
        if not has_account:
            return "has a key and no account"
        if one is None:
            return "has an account and no key: remove and add"
        return "locked out" if self.accounts.is_locked(name) else "may decide"

    def _take_back(self, key: ReleaseKey) -> None:
        """Take it from recipients' stores, too; that one cannot be reached undoes no decision."""
        found = sending.take_back(self.workspace, in_force(self.workspace), key)
        if taken := [one.store for one in found.stores if one.withdrawn]:
            self._tell(f"It is taken back from {', '.join(taken)}.")
        for problem in found.problems:
            self._tell(f"It may still be in a store, demographics deliver tries again. {problem}")

    def _tell_readers(self, key: ReleaseKey) -> None:
        told = told_of(self.workspace, key, in_force(self.workspace))
        for one in told:
            got = f"{one.reader.files} file{'' if one.reader.files == 1 else 's'}, last on {one.reader.last:%Y-%m-%d}"
            self._tell(f"{one.reader.recipient} got {got}: is told {one.how}")
        self._tell("Notices go out with: demographics deliver" if told else "Nobody has downloaded it.")

    def _is_withdrawn(self, key: ReleaseKey) -> bool:
        return any(entry.kind is EntryKind.WITHDRAWN for entry in Register.of(self.workspace).history(key))

    def _count_of(self, name: str) -> str:
        living = sum(not token.has_expired(now_utc()) for token in self.accounts.tokens(name))
        return f"{living} token{'' if living == 1 else 's'}" if living else ""

    def _report(self, key: ReleaseKey) -> str:
        return str(self.workspace.report(key.release, key.period, key.revision))

    def _tell(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)


def _told(entry: Entry) -> str:
    return f"{entry.at} by {entry.payload['reviewer']}: {entry.payload['reason']}"
