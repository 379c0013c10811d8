"""Whether a published release agrees with itself. Reads published tables and public parameters, nothing else."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from pipeline.publication.manifest import Manifest
from pipeline.publication.views import family, groupings, level_of
from pipeline.release.artefact import TableFacts
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY

_NUMBERS = ["value", "value_lo", "value_hi", "estimate", "noise_sd"]


@dataclass(frozen=True)
class Check:
    """One rule, asked of one part of a bundle.

    Attributes:
        subject: The part: a file, a table, or ``bundle``.
        rule: What must hold, in words.
        success: Whether it does.
        found: What was found, where that helps; published facts only.
    """

    subject: str
    rule: str
    success: bool
    found: str = ""

    @property
    def name(self) -> str:
        """The check in one line."""
        return f"{self.subject}: {self.rule}" + (f" ({self.found})" if self.found else "")


def agreement(manifest: Manifest, tables: Mapping[str, pd.DataFrame]) -> tuple[Check, ...]:
    """All rules by which the numbers of a bundle must fit together.

    Args:
        manifest: Of the bundle.
        tables: By name, as ``encoding.read_parquet`` gives them.
    """
    each = (_table_checks(manifest, facts, tables[facts.name]) for facts in manifest.tables)
    return (*itertools.chain.from_iterable(each), Check("bundle", *_totals_agree(manifest, tables)))


def _table_checks(manifest: Manifest, facts: TableFacts, frame: pd.DataFrame) -> Iterator[Check]:
    shown = frame[frame["value"].notna()]
    k = manifest.privacy.k
    rules = {
        "rows are of this release, and none is there twice": _rows_belong(manifest, facts, frame),
        "every key is on its public list": _keys_are_listed(facts, frame),
        f"no shown count is below k = {k}": bool((shown["value"] >= k).all()),
        "withheld rows carry no number, others all of them": _status_fits(frame),
        "intervals hold the shown count": bool(
            ((shown["value_lo"] <= shown["value"]) & (shown["value"] <= shown["value_hi"])).all()
        ),
        "groups and their remainder add up to their total": _adds_up(facts, frame),
        "the noise is that of the level in the manifest": _noise_fits(manifest, facts, shown),
    }
    for rule, success in rules.items():
        yield Check(facts.name, rule, success)


def _rows_belong(manifest: Manifest, facts: TableFacts, frame: pd.DataFrame) -> bool:
    identity = manifest.identity
    depth = level_of(frame, facts.dimensions)
    expected = {
        "period_start": identity.period_start,
        "period_end": identity.period_end,
        "revision": identity.revision,
        "measure": facts.measure,
        "unit": str(manifest.population),
        "is_total": depth < len(facts.dimensions),
    }
    fits = all(bool((frame[name] == value).all()) for name, value in expected.items())
    kind = (
        pd.Series("group", index=frame.index).mask(depth == 0, "total").mask(_of_remainder(frame, facts), "remainder")
    )
    return fits and bool((frame["row_kind"] == kind).all()) and not frame.duplicated(list(facts.dimensions)).any()


def _of_remainder(frame: pd.DataFrame, facts: TableFacts) -> pd.Series[bool]:
    return (frame[list(facts.dimensions)] == REMAINDER_KEY).any(axis=1)


def _keys_are_listed(facts: TableFacts, frame: pd.DataFrame) -> bool:
    listed = zip(facts.dimensions, facts.keys, strict=True)
    return all(bool(frame[name].isin([*keys, TOTAL_KEY, REMAINDER_KEY]).all()) for name, keys in listed)


def _status_fits(frame: pd.DataFrame) -> bool:
    present = frame[_NUMBERS].notna()
    withheld = (frame["obs_status"] == "Q") & frame["conf_status"].isin(["C", "D"]) & ~present.any(axis=1)
    normal = (frame["obs_status"] == "A") & (frame["conf_status"] == "F") & present.all(axis=1)
    return bool((withheld | normal).all())


def _adds_up(facts: TableFacts, frame: pd.DataFrame) -> bool:
    """At every depth: the shown children of each shown parent sum to it, and nothing shown lacks a shown parent."""
    depth = level_of(frame, facts.dimensions)
    shown = frame["value"].notna()
    for level in range(len(facts.dimensions)):
        place = _place(frame, facts.dimensions[:level])
        parents = shown & (depth == level) & ~_of_remainder(frame, facts)
        of_parent = dict(zip(place[parents], frame["value"][parents], strict=True))
        children = shown & (depth == level + 1)
        if frame["value"][children].groupby(place[children]).sum().to_dict() != of_parent:
            return False
    return True


def _place(frame: pd.DataFrame, dimensions: tuple[str, ...]) -> pd.Series[str]:
    place = pd.Series("", index=frame.index)
    for name in dimensions:
        place = place + "\x1f" + frame[name].astype(str)
    return place


def _noise_fits(manifest: Manifest, facts: TableFacts, shown: pd.DataFrame) -> bool:
    levels = {(level.table, level.dimensions): level.noise_sd for level in manifest.privacy.levels}
    expected = [levels.get((family(facts), grouping), math.nan) for grouping in groupings(facts)]
    drawn = shown[shown["row_kind"] != "remainder"]
    wanted = level_of(drawn, facts.dimensions).map(dict(enumerate(expected)))
    return bool((drawn["noise_sd"].astype("float64") == wanted).all())


def _totals_agree(manifest: Manifest, tables: Mapping[str, pd.DataFrame]) -> tuple[str, bool, str]:
    """Tables over people share their levels: a grouping that stands in two of them must read the same in both."""
    read: dict[tuple[object, ...], dict[str, object]] = {}
    differing: list[str] = []
    for facts in manifest.tables:
        if family(facts):
            continue
        for group, row in _by_group(facts, tables[facts.name]).items():
            if read.setdefault(group, row) != row:
                differing.append(facts.name)
    return "what stands in several tables reads the same in each", not differing, ", ".join(dict.fromkeys(differing))


def _by_group(facts: TableFacts, frame: pd.DataFrame) -> dict[tuple[object, ...], dict[str, object]]:
    # (dimensions, keys) of each row -> its numbers
    rows = frame[[*facts.dimensions, *_NUMBERS, "obs_status", "conf_status"]].astype(object)
    found: dict[tuple[object, ...], dict[str, object]] = {}
    for record in rows.where(rows.notna(), None).to_dict("records"):
        named = [name for name in facts.dimensions if record[name] != TOTAL_KEY]
        found[(*named, *(record.pop(name) for name in named))] = {
            name: record[name] for name in (*_NUMBERS, "obs_status", "conf_status")
        }
    return found
