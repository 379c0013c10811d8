"""How long Great Expectations checks a release of 100,000 rows, verdicts and Data Docs in it, beside plain pandas.

The suite is the product's own, on a release that was drawn. Plain pandas looks at the same rows for what matters most:
kinds of rows, keys, whole numbers, none below k, and sums of parts; it keeps no verdicts and shows nobody anything.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.privacy.accountant import charge
from pipeline.privacy.calibration import share_out
from pipeline.release.artefact import PrivateRelease
from pipeline.validation.release import check_release
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY
from pipeline.workspace import Workspace
from tests.benchmarks.bench_cells import NAMES, SIZES, SMALL, made_release, specification
from tests.benchmarks.measuring import alone, in_turns
from tests.benchmarks.reporting import Amount, Figure, Ratio, no_more_than

GOAL: Final = 10.0
ROUNDS: Final = 3


def figures(small: bool) -> Iterator[Figure]:
    """Seconds of both."""
    sizes, rounds = (SMALL, 1) if small else (SIZES, ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        drawn = made_release(sizes)
        path = Path(folder, "release")
        path.write_bytes(drawn.to_bytes())
        rivals = {"ours": lambda: alone(checked, str(path), sizes), "theirs": lambda: alone(looked_at, str(path))}
        found = in_turns(rivals, rounds, warm_up=0 if small else 1)
    ours, theirs = found["ours"], found["theirs"]
    yield Figure(
        f"validation of a release of {len(drawn.tables['by_all']):,} rows",
        "plain checks in pandas",
        Amount.of(ours),
        Amount.of(theirs),
        Ratio.LONGER,
        rounds=rounds,
        goals=(no_more_than(GOAL),),
    )


def checked(path: str, sizes: list[int]) -> dict[str, float]:
    """Every check of the suite, beside the release before it, which is the same here."""
    release = PrivateRelease.from_bytes(Path(path).read_bytes())
    reserved = charge(share_out(specification(tuple(sizes))))
    with tempfile.TemporaryDirectory() as home:
        begun = time.perf_counter()
        check_release(Workspace(Path(home)), release, release, reserved=reserved).require()
        return {"seconds": time.perf_counter() - begun}


def looked_at(path: str) -> dict[str, float]:
    """What one would write in an afternoon."""
    release = PrivateRelease.from_bytes(Path(path).read_bytes())
    rows, facts = release.tables["by_all"], release.header.tables[0]
    begun = time.perf_counter()
    for name, keys in zip(NAMES, facts.keys, strict=True):
        assert rows[name].isin([*keys, TOTAL_KEY, REMAINDER_KEY]).all()
    told = rows[rows["value"].notna()]
    assert (told["value"] >= 0).all()
    assert (told.loc[told["kind"] == "group", "value"] >= release.header.k).all()
    assert (told["value_lo"] <= told["value"]).all()
    assert not rows.duplicated([*NAMES, "measure"]).any()
    parents = told[(told[NAMES[2]] == TOTAL_KEY) & (told[NAMES[1]] != TOTAL_KEY)]
    parts = told[told[NAMES[2]] != TOTAL_KEY].groupby(list(NAMES[:2]))["value"].sum()
    sums = parents.set_index(list(NAMES[:2]))["value"].loc[parts.index]
    assert (parts == sums).all()
    return {"seconds": time.perf_counter() - begun}
