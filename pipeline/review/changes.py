"""What changed since the release before: noisy numbers beside noisy numbers, each difference beside its noise.

For people to read; the suite ``release`` warns of what is remarkable by a computation of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.errors import LedgerError
from pipeline.periods import Period
from pipeline.privacy.chain import Entry, EntryKind
from pipeline.privacy.ledger import Ledger
from pipeline.release.artefact import PrivateRelease, TableFacts
from pipeline.release.comparison import alike
from pipeline.spec import ReleaseKey

# Noise alone takes a difference farther than so many standard deviations in 5 % of groups where it is Gaussian, in 6 %
# where it is the difference of two Laplace variables.
EXCEEDS: Final = 1.96
_COMPARED: Final = ("value", "estimate", "noise_sd")
_STEP: Final = "\x1f"  # unit separator, which no key holds


@dataclass(frozen=True)
class TableChange:
    """One table now and before.

    Attributes:
        facts: The table, as it is now.
        rows: One row a group and measure that either release lists, in the order of the table, groups that are gone
            last. Columns: its dimensions, ``kind``, ``measure``, ``value`` and ``value_before`` (missing where
            withheld), ``difference`` of both, ``z`` (of the estimates, in standard deviations of both noises together;
            NaN where one is withheld) and ``exceeds_noise`` (whether z is farther from 0 than 1.96).
        withheld: Share of the table's groups that are withheld, from 0 to 1; NaN where it names none.
        withheld_before: The same before.
    """

    facts: TableFacts
    rows: pd.DataFrame
    withheld: float
    withheld_before: float


@dataclass(frozen=True)
class Changes:
    """Two releases of one name, table by table.

    Attributes:
        now: The later one.
        before: The earlier one.
        tables: Those that both tell alike; others cannot be compared.
    """

    now: ReleaseKey
    before: ReleaseKey
    tables: tuple[TableChange, ...]


def changes(now: PrivateRelease, before: PrivateRelease) -> Changes:
    """What changed between two releases of one name.

    The two were drawn independently, so that the variance of a difference of their estimates is the sum of both.
    """
    told = {name: [measure.name for measure in measures] for name, measures in alike(now, before).items()}
    shared = (facts for facts in now.header.tables if told.get(facts.name))
    return Changes(now.key, before.key, tuple(_change(facts, told[facts.name], now, before) for facts in shared))


def previous_key(entries: Iterable[Entry], key: ReleaseKey) -> ReleaseKey | None:
    """The release before: of the periods before this one's the latest of which a revision is published.

    Of that period it is the newest published revision. A period whose newest is withdrawn is passed over: what that one
    replaced was replaced for a reason.

    Args:
        entries: Of the ledger.
        key: Of a release, which need not be in the ledger.
    """
    period = Period.parse(key.period)
    published: dict[Period, ReleaseKey] = {}
    withdrawn: set[ReleaseKey] = set()
    for entry in entries:
        if entry.key.release == key.release and entry.kind is EntryKind.PUBLISHED:
            when = Period.parse(entry.key.period)
            published[when] = max(entry.key, published.get(when, entry.key), key=lambda one: one.revision)
        elif entry.kind is EntryKind.WITHDRAWN:
            withdrawn.add(entry.key)
    earlier = [when for when, one in published.items() if _is_before(when, period) and one not in withdrawn]
    return published[max(earlier)] if earlier else None


def previous_release(ledger: Ledger, key: ReleaseKey) -> PrivateRelease | None:
    """The release before, as the ledger stands; None where there is none.

    Raises:
        LedgerError: The chain of hashes is broken, or the release's bytes are missing or are others.
    """
    return _recorded(ledger, previous_key(ledger.entries(), key))


def previous_when_checked(ledger: Ledger, key: ReleaseKey) -> PrivateRelease | None:
    """The release before, as the ledger stood when this one was checked for the first time; now where it never was.

    What is published or withdrawn later changes nothing about it, so that a release that is checked again has the same
    verdicts, and decisions that are bound to them hold.

    Raises:
        LedgerError: As ``previous_release``.
    """
    until = takewhile(lambda entry: (entry.kind, entry.key) != (EntryKind.CHECKED, key), ledger.entries())
    return _recorded(ledger, previous_key(until, key))


def _recorded(ledger: Ledger, key: ReleaseKey | None) -> PrivateRelease | None:
    if key is None:
        return None
    content = ledger.artefact(key)
    if content is None:
        raise LedgerError("a published release must be recorded", value=key, remedy="Restore the ledger from a backup.")
    return PrivateRelease.from_bytes(content)


def _is_before(one: Period, other: Period) -> bool:
    return one.kind is other.kind and one.start < other.start


def _change(facts: TableFacts, measures: list[str], now: PrivateRelease, before: PrivateRelease) -> TableChange:
    frames = [release.tables[facts.name] for release in (now, before)]
    withheld = [_withheld(frame, facts) for frame in frames]
    return TableChange(facts, _rows(frames[0], frames[1], facts, measures), *withheld)


def _withheld(frame: pd.DataFrame, facts: TableFacts) -> float:
    groups = frame[frame["kind"].eq("group") & frame["measure"].eq(facts.measure)]
    return float(groups["value"].isna().mean()) if len(groups) else float("nan")


def _rows(now: pd.DataFrame, before: pd.DataFrame, facts: TableFacts, measures: list[str]) -> pd.DataFrame:
    keys = [*facts.dimensions, "kind", "measure"]
    shown, then = (_shown(frame, keys, measures) for frame in (now, before))
    # one row a group and measure that either lists; those of before alone come last
    gone = then.loc[then.index.difference(shown.index, sort=False), keys]
    rows = pd.concat([shown, gone]) if len(gone) else shown
    rows = rows.assign(**{f"{name}_before": then[name].reindex(rows.index) for name in _COMPARED})
    told = rows[[*keys, "value", "value_before"]].reset_index(drop=True)
    z = _z(rows)
    return told.assign(difference=told["value"] - told["value_before"], z=z, exceeds_noise=np.abs(z) > EXCEEDS)


def _shown(frame: pd.DataFrame, keys: list[str], measures: list[str]) -> pd.DataFrame:
    """Rows that show a value, by the group and measure that they are of."""
    rows = frame.loc[frame["measure"].isin(measures) & frame["value"].notna(), [*keys, *_COMPARED]]
    places = zip(*(rows[name].tolist() for name in keys), strict=True)
    return rows.set_axis(pd.Index([_STEP.join(place) for place in places], dtype=object))


def _z(rows: pd.DataFrame) -> NDArray[np.float64]:
    now, before, sd_now, sd_before = (
        rows[name].to_numpy(dtype=float, na_value=np.nan)
        for name in ("estimate", "estimate_before", "noise_sd", "noise_sd_before")
    )
    moved, noise = now - before, np.hypot(sd_now, sd_before)
    # Without noise, which no specification can ask for, any difference is one.
    exact = np.where(moved == 0, 0.0, np.copysign(np.inf, moved))
    return np.where(noise == 0, exact, np.divide(moved, noise, out=np.full_like(moved, np.nan), where=noise != 0))
