"""The product: staging is counted and drawn, levels and all, as a release does it; ``events`` is staging's folder.

It tells how long counting alone took, and what the release says of all groups together.
"""

from __future__ import annotations

import time
from dataclasses import replace

from pipeline.deidentify.pseudonyms import PeriodKey
from pipeline.people.bounding import bounded_groups
from pipeline.privacy.budget import Delta, Epsilon, K
from pipeline.release.draw import draw_release
from pipeline.spec import BoundSpecification
from pipeline.vocabulary import REMAINDER_KEY, TOTAL_KEY, Dimension
from tests.benchmarks.bench_bounding import specification, staging_in
from tests.benchmarks.peers.task import NAMES, Task, asked


def main() -> None:
    task = asked()
    bound, staging = specified(task), staging_in(task.events)
    begun = time.perf_counter()
    groups = bounded_groups(bound, staging, PeriodKey(b"k" * 32), task.events / "spill")
    counted = time.perf_counter() - begun
    (table,) = draw_release(bound, groups).tables.values()
    listed = table[table["value"].notna() & ~table[list(NAMES)].isin([TOTAL_KEY, REMAINDER_KEY]).any(axis=1)]
    total = table[table["kind"] == "total"]["value"].fillna(0)
    task.release(listed[[*NAMES, "value"]].itertuples(index=False), counted=counted, total=int(total.iloc[0]))


def specified(task: Task) -> BoundSpecification:
    """One table, under the bounds and the budget of the task; of k, two is the least that the product takes."""
    bound = specification()
    lists = {
        name: tuple(f"{name[0]}{number}" for number in range(size))
        for name, size in zip(NAMES, task.sizes, strict=True)
    }
    dimensions = tuple(Dimension(name, name, False, keys) for name, keys in lists.items())
    table = replace(bound.tables[0], dimensions=dimensions, max_groups=task.groups)
    budget = Epsilon.of(task.epsilon), Delta.of(task.delta), K(max(task.k, 2))
    return BoundSpecification(bound.specification, bound.offer, (table,), *budget)


if __name__ == "__main__":
    main()
