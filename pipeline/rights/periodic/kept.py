"""Checks of what is kept: the ledger, its budget, specifications, people's requests, staging, keys."""

from __future__ import annotations

import datetime as dt
import stat
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from pipeline.deidentify.staging import is_staged
from pipeline.errors import LedgerError, SpecificationError
from pipeline.periods import Period
from pipeline.privacy.accountant import compose
from pipeline.privacy.chain import EntryKind
from pipeline.privacy.head import require_seen
from pipeline.privacy.reservations import Reservation, in_year
from pipeline.rights import deadlines
from pipeline.rights.periodic.evidence import Evidence
from pipeline.rights.periodic.findings import Failure, Looked
from pipeline.rights.retention import docs_kept_from, due_at, expired_packets, is_due, kept_periods
from pipeline.rights.sweeping import leftovers
from pipeline.spec import load_specification
from pipeline.validation import data_docs
from pipeline.vocabulary import Population

# Retention runs once a day: what has been due for longer, or lies about for longer, it has not done.
_A_DAY: Final = dt.timedelta(days=1)
_PURGE: Final = "Run the DAG retention, and see why it has not run or why it stopped."
_READABLE_BY_OTHERS, _WRITABLE_BY_OTHERS = 0o077, 0o022


def unbroken(evidence: Evidence) -> Looked:
    """The ledger's chain holds and is as long as the site has seen it, and the bytes beside it are as recorded."""
    return Looked(
        len(evidence.ledger.entries(chained=False)),
        tuple(_breaks(evidence)),
    )


def within_caps(evidence: Evidence) -> Looked:
    """No rolling year has cost more than its population's cap."""
    reservations = [one for _, one in evidence.ledger.reservations()]
    years = sorted({(one.population, one.period_end) for one in reservations})
    return Looked(
        len(years),
        tuple(failure for who, end in years for failure in _over_cap(evidence, reservations, who, end)),
    )


def approved_specifications(evidence: Evidence) -> Looked:
    """Every specification is one that a reviewer approved, as it stands today."""
    paths = sorted(evidence.workspace.releases.glob("*.yaml"))
    return Looked(
        len(paths),
        tuple(failure for path in paths for failure in _unapproved(evidence, path)),
    )


def requests_in_time(evidence: Evidence) -> Looked:
    """No request of a person is past its deadline."""
    seen = deadlines.look(evidence.workspace, evidence.now)
    late = [one for one in seen.settled if not one.in_time]
    return Looked(
        len(seen.ages) + len(seen.settled),
        tuple(
            Failure(
                f"{age.id} ({age.kind or age.state}) has waited for {age.hours:.0f} hours",
                "Settle it today: demographics subject list says what is in its way.",
            )
            for age in seen.overdue
        ),
        tuple(f"{one.row.id} was settled after {one.hours:.0f} hours, too late." for one in late),
    )


def kept_no_longer(evidence: Evidence) -> Looked:
    """Nothing is kept longer than was declared."""
    periods = [(who, period) for who in Population for period in kept_periods(evidence.workspace, who)]
    packets = [path for path in evidence.workspace.access.glob("*") if not path.name.startswith(".")]
    return Looked(
        len(periods) + len(packets),
        (*(failure for who, period in periods for failure in _kept(evidence, who, period)), *_left(evidence)),
    )


def keys_closed(evidence: Evidence) -> Looked:
    """Keys can be read by their owner only."""
    every = sorted(path for path in (evidence.workspace.home / "keys").rglob("*") if not path.is_symlink())
    files = [path for path in every if path.is_file() and path.suffix != ".pub"]
    open_files = [(path, "can be read by others", "600") for path in files if _mode(path) & _READABLE_BY_OTHERS]
    folders = [path for path in every if path.is_dir() and _mode(path) & _WRITABLE_BY_OTHERS]
    return Looked(
        len(files),
        tuple(
            Failure(f"{path.relative_to(evidence.workspace.home)} {what}, mode {_mode(path):o}", f"chmod {mode} {path}")
            for path, what, mode in (*open_files, *((path, "can be changed by others", "700") for path in folders))
        ),
    )


def _breaks(evidence: Evidence) -> Iterator[Failure]:
    for holds in (evidence.ledger.entries, partial(require_seen, evidence.workspace)):
        try:
            holds()
        except LedgerError as failure:
            yield Failure.of(failure)
    for entry in evidence.entries:
        try:
            if entry.kind is EntryKind.DRAWN:
                evidence.ledger.artefact(entry.key)
            if entry.kind is EntryKind.CHECKED:
                evidence.ledger.checks(entry.key)
        except LedgerError as failure:
            yield Failure.of(failure)


def _over_cap(
    evidence: Evidence, reservations: list[Reservation], population: Population, end: dt.date
) -> Iterator[Failure]:
    cap = evidence.site.budget.get(population)
    year = f"{population}, the year to {end}"
    if cap is None:
        yield Failure(f"{year}: the site file has no cap any more", f"Declare budget.{population} again.")
        return
    charges = [one.charge for one in reservations if one.population is population and in_year(one, end)]
    epsilon = compose(charges, cap.delta).epsilon
    if epsilon > cap.epsilon:
        yield Failure(
            f"{year}: epsilon = {epsilon:.4g} at delta = {cap.delta:.3g}, over the cap of {cap.epsilon:g}",
            "Nothing more may be released in that year. If the cap was lowered, say so to those who were promised it.",
        )


def _unapproved(evidence: Evidence, path: Path) -> Iterator[Failure]:
    try:
        specification = load_specification(path)
    except SpecificationError as failure:
        yield Failure.of(failure, path.name)
        return
    made = (one for one in evidence.entries if one.kind is EntryKind.APPROVED and one.key.release == path.stem)
    approvals = [one for one in made if evidence.register.is_signed(one)]
    if not approvals:
        yield Failure(
            f"{path.name}: nobody ever approved a release of it", "Have its first release reviewed, or take it away."
        )
        return
    reserved = evidence.ledger.newest(EntryKind.RESERVED, approvals[-1].key)
    if reserved is None or reserved.payload["specification_sha256"] != specification.sha256:
        yield Failure(
            f"{path.name} has changed since {approvals[-1].key} was approved",
            "Restore it, or release under it and have that reviewed.",
        )


def _kept(evidence: Evidence, population: Population, period: Period) -> Iterator[Failure]:
    workspace, place = evidence.workspace, f"{population}/{period}"
    key, staged = workspace.period_key(population, period), is_staged(workspace, population, period)
    if is_due(period, evidence.site, evidence.now - _A_DAY):
        due = due_at(period, evidence.site.retention.staging_days, evidence.site.zone)
        held = [name for name, there in (("its key", key.exists()), ("its staging", staged)) if there]
        yield Failure(
            f"{place} was due on {due:%Y-%m-%d}: {' and '.join(held) or 'a part of it'} is still there", _PURGE
        )
    elif staged and not key.exists():
        yield Failure(f"{place}: there is staging and no key, so nobody in it can be found", "Ingest the period again.")
    elif key.exists() and not staged and _age(evidence, key) >= _A_DAY:
        yield Failure(f"{place}: there is a key and no staging", "Ingest the period, or remove its key file.")


def _left(evidence: Evidence) -> Iterator[Failure]:
    workspace = evidence.workspace
    for packet in expired_packets(workspace, evidence.site, evidence.now - _A_DAY):
        yield Failure(f"Access packet {packet.name} is past its day", _PURGE)
    if docs := data_docs.expired(workspace.data_docs, docs_kept_from(evidence.site, evidence.now - _A_DAY)):
        yield Failure(f"Data Docs: {len(docs):,} files are past their day", _PURGE)
    left = Counter(one.kind for one in leftovers(workspace, evidence.now, _A_DAY))
    for kind, number in sorted(left.items()):
        yield Failure(f"Killed runs have left what is older than a day: {kind}, {number}", _PURGE)


def _age(evidence: Evidence, path: Path) -> dt.timedelta:
    return evidence.now - dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
