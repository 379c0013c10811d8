"""Whether a published release agrees with itself. Reads published tables and public parameters, nothing else."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.publication.manifest import Manifest
from pipeline.publication.views import level_name, level_names, level_of, means, of_people, totals
from pipeline.release.artefact import MeasureFacts, TableFacts
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY

_NUMBERS = ["value", "value_lo", "value_hi", "estimate", "noise_sd"]
_READ = [*_NUMBERS, "obs_status", "conf_status"]
_STEP = "\x1f"  # unit separator, which no key holds


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
    k, cut = manifest.privacy.k, _cut_dimensions(manifest)
    rules = {
        "rows are of this release, and none is there twice": _rows_belong(manifest, facts, frame),
        "every key is on its public list": _keys_are_listed(facts, frame),
        "a shown group has each measure, a withheld one people alone": _measures_are_there(facts, frame),
        f"no shown number of people is below k = {k}": bool((of_people(shown, facts)["value"] >= k).all()),
        "withheld rows carry no number, others all of them, none below zero": _status_fits(facts, frame),
        "intervals hold the shown number": bool(
            ((shown["value_lo"] <= shown["value"]) & (shown["value"] <= shown["value_hi"])).all()
        ),
        **{f"{total.name}: {_ADDS_UP}": _adds_up(facts, _of(frame, total), cut) for total in totals(facts)},
        **{f"{mean.name}: {_IS_A_QUOTIENT}": _is_quotient(facts, frame, mean) for mean in means(facts)},
        "the noise is no more than that of the levels in the manifest": _noise_fits(
            manifest, facts, frame[~_uncheckable(facts, frame, cut)]
        ),
    }
    for rule, success in rules.items():
        yield Check(facts.name, rule, success)


_ADDS_UP = "groups and their remainder add up to their total"
_IS_A_QUOTIENT = "a mean is the quotient of the two numbers it is made of"


def _of(frame: pd.DataFrame, measure: MeasureFacts) -> pd.DataFrame:
    return frame[frame["measure"] == measure.name]


def _rows_belong(manifest: Manifest, facts: TableFacts, frame: pd.DataFrame) -> bool:
    identity = manifest.identity
    depth = level_of(frame, facts.dimensions)
    expected = {
        "period_start": identity.period_start,
        "period_end": identity.period_end,
        "revision": identity.revision,
        "unit": frame["measure"].map({measure.name: measure.unit for measure in facts.measures}),
        "is_total": depth < len(facts.dimensions),
    }
    fits = all(bool((frame[name] == value).fillna(value=False).all()) for name, value in expected.items())
    kind = (
        pd.Series("group", index=frame.index).mask(depth == 0, "total").mask(_of_remainder(frame, facts), "remainder")
    )
    once = not frame.duplicated([*facts.dimensions, "measure"]).any()
    return fits and bool((frame["row_kind"] == kind).all()) and once


def _of_remainder(frame: pd.DataFrame, facts: TableFacts) -> pd.Series[bool]:
    return (frame[list(facts.dimensions)] == REMAINDER_KEY).any(axis=1)


def _keys_are_listed(facts: TableFacts, frame: pd.DataFrame) -> bool:
    """Keys that are private are on no list: of them only groups may stand that were released, listed or folded."""
    listed = [pair for pair in zip(facts.dimensions, facts.keys, strict=True) if pair[0] not in facts.private]
    known = all(bool(frame[name].isin([*keys, TOTAL_KEY, REMAINDER_KEY]).all()) for name, keys in listed)
    people = of_people(frame, facts)
    depth = level_of(people, facts.dimensions)
    own = depth.map({place: name in facts.private for place, name in enumerate(facts.dimensions, start=1)})
    groups = people[own.fillna(value=False).astype(bool) & (people["row_kind"] == "group")]
    return known and not bool((groups["conf_status"] == "C").any())


def _measures_are_there(facts: TableFacts, frame: pd.DataFrame) -> bool:
    place, names = _place(frame, facts.dimensions), [measure.name for measure in facts.measures]
    told = frame.groupby(place)["measure"].agg(_STEP.join)
    people = of_people(frame, facts)
    shown = people["value"].notna().set_axis(place[people.index])
    wanted = shown.map({True: _STEP.join(names), False: facts.measure})
    return len(wanted) == len(told) and bool((wanted == told.reindex(wanted.index)).all())


def _status_fits(facts: TableFacts, frame: pd.DataFrame) -> bool:
    present = frame[_NUMBERS].notna()
    may = frame["measure"].isin([facts.measure, *(mean.name for mean in means(facts))])
    withheld = (frame["obs_status"] == "Q") & frame["conf_status"].isin(["C", "D"]) & ~present.any(axis=1) & may
    # Only people select, so that only people, and means of them, can be less reliable for it.
    doubtful = frame["measure"].isin([facts.measure, *_means_of_people(facts)]) & (frame["obs_status"] == "U")
    told = (frame["obs_status"] == "A") | doubtful
    normal = told & (frame["conf_status"] == "F") & present.all(axis=1)
    negative = (frame[["value", "value_lo", "value_hi"]] < 0).fillna(value=False).any(axis=1)
    return bool(((withheld | normal) & ~negative).all())


def _means_of_people(facts: TableFacts) -> list[str]:
    return [mean.name for mean in means(facts) if facts.measure in (mean.numerator, mean.denominator)]


def _cut_dimensions(manifest: Manifest) -> frozenset[str]:
    """The dimensions of which a bundle shows some keys alone: their parts are not all there to be added up."""
    cut = manifest.identity.cut
    return frozenset(cut.rows) if cut else frozenset()


def _uncheckable(facts: TableFacts, frame: pd.DataFrame, cut: frozenset[str]) -> pd.Series[bool]:
    """Remainders of a dimension of which some keys alone are shown: what they are left of is not all there."""
    named = [name for name in facts.dimensions if name in cut]
    rest: pd.Series[bool] = (frame[named] == REMAINDER_KEY).any(axis=1)
    return rest


def _adds_up(facts: TableFacts, frame: pd.DataFrame, cut: frozenset[str]) -> bool:
    """At every depth: the shown children of each shown parent sum to it, and nothing shown lacks a shown parent.

    Of a dimension of which some keys alone are shown, nothing is asked; what lies below such a key must add up to it.
    """
    depth = level_of(frame, facts.dimensions)
    shown = frame["value"].notna()
    for level in range(len(facts.dimensions)):
        if facts.dimensions[level] in cut:
            continue
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
        place = place + _STEP + frame[name].astype(str)
    return place


def _is_quotient(facts: TableFacts, frame: pd.DataFrame, mean: MeasureFacts) -> bool:
    once = frame.drop_duplicates([*facts.dimensions, "measure"])  # that there are others is another rule's to say
    place = _place(once, facts.dimensions)
    of = {name: rows.set_axis(place[rows.index]) for name, rows in once["value"].groupby(once["measure"])}
    quotient = of[mean.name].dropna()
    above, below = (of[name].reindex(quotient.index) for name in (mean.numerator, mean.denominator))
    product, whole = (side.to_numpy(dtype=float, na_value=math.nan) for side in (quotient * below, above))
    return np.allclose(product, whole, rtol=1e-12, atol=0)


def _noise_fits(manifest: Manifest, facts: TableFacts, frame: pd.DataFrame) -> bool:
    levels = {level_name(level): level.noise_sd for level in manifest.privacy.levels}
    return all(
        all(_within(levels.get(name, math.nan), depth, facts, frame, total) for depth, name in enumerate(names))
        for total, names in ((total, level_names(facts, total)) for total in totals(facts))
    )


def _within(own: float, level: int, facts: TableFacts, frame: pd.DataFrame, total: MeasureFacts) -> bool:
    """No row is noisier than its level, and no remainder noisier than what it is left of, or what it consists of."""
    rows = _of(frame[frame["value"].notna()], total)
    depth, rest = level_of(rows, facts.dimensions), rows["row_kind"] == "remainder"
    variance = rows["noise_sd"].astype("float64") ** 2
    at_most = pd.Series(own**2, index=rows.index)
    if level:
        place = _place(rows, facts.dimensions[: level - 1])
        upper = depth == level - 1
        above = place.map(dict(zip(place[upper], variance[upper], strict=True))).astype("float64")
        siblings = variance.where((depth == level) & ~rest, 0).groupby(place).transform("sum")
        # Where tables cross, parts of parts are told as exactly as what they are parts of.
        at_most = at_most.clip(lower=above if level > 1 else None)
        folded = place.map(_folded(facts, of_people(frame, facts), level)).astype("float64").fillna(0)
        at_most = at_most.where(~rest, (above + siblings).clip(lower=folded**2 * at_most))
    fits = (variance <= at_most * (1 + 1e-9)) & ((rows["noise_sd"] > 0) | (own == 0))
    return bool(fits[depth == level].all())


def _folded(facts: TableFacts, people: pd.DataFrame, level: int) -> dict[str, int]:
    """Of each parent, how many released parts its remainder consists of, where all parts are known to be released."""
    if facts.dimensions[level - 1] in facts.private:
        return {}
    parts = people[level_of(people, facts.dimensions) == level]
    place = _place(parts, facts.dimensions[: level - 1])
    under = set(place[parts["conf_status"] == "C"])
    counts = (parts["conf_status"] == "D").groupby(place).sum()
    return {str(parent): int(count) for parent, count in counts.items() if parent not in under}


def _totals_agree(manifest: Manifest, tables: Mapping[str, pd.DataFrame]) -> tuple[str, bool, str]:
    """Tables share levels: a number that stands in two of them must read the same in both."""
    read: dict[tuple[object, ...], dict[str, object]] = {}
    differing: list[str] = []
    for facts in manifest.tables:
        for group, row in _by_group(facts, tables[facts.name]).items():
            if read.setdefault(group, row) != row:
                differing.append(facts.name)
    return "what stands in several tables reads the same in each", not differing, ", ".join(dict.fromkeys(differing))


def _by_group(facts: TableFacts, frame: pd.DataFrame) -> dict[tuple[object, ...], dict[str, object]]:
    # (what is counted, dimensions, keys) of each row -> its numbers; of a mean, of both numbers it is made of
    counted: dict[str, object] = {total.name: level_names(facts, total)[0] for total in totals(facts)}
    counted |= {mean.name: (counted[mean.numerator], counted[mean.denominator]) for mean in means(facts)}
    rows = frame[[*facts.dimensions, "measure", *_READ]].astype(object)
    found: dict[tuple[object, ...], dict[str, object]] = {}
    for record in rows.where(rows.notna(), None).to_dict("records"):
        named = [name for name in facts.dimensions if record[name] != TOTAL_KEY]
        group = (counted.get(record["measure"]), *named, *(record[name] for name in named))
        found[group] = {name: record[name] for name in _READ}
    return found
