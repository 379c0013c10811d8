"""OpenDP's context over a Polars query: truncation by person, and a threshold on the very count that is released.

One row a (person, group), and so many of these a person. ``truncate_num_groups`` would say it more directly, but in
version 0.16.0 fails where groups are sampled, and otherwise keeps one group fewer than it adds noise for. No hard k.
"""

from __future__ import annotations

import opendp.prelude as dp
import polars as pl

from tests.benchmarks.peers.task import NAMES, PERSON, asked

dp.enable_features("contrib")


def main() -> None:
    task = asked()
    names = list(NAMES)
    context = dp.Context.compositor(
        data=pl.scan_parquet(task.events / "*.parquet" if task.events.is_dir() else task.events),
        privacy_unit=dp.unit_of(contributions=1, identifier=PERSON),
        privacy_loss=dp.loss_of(epsilon=task.epsilon, delta=task.delta),
        split_evenly_over=1,
    )
    query = (
        context.query()
        .truncate_per_group(1, by=names)
        .truncate_per_group(task.groups)
        .group_by(names)
        .agg(dp.len(signed=True).alias("people"))  # type: ignore[attr-defined]
    )
    task.release(query.release().collect().select(*names, "people").iter_rows())


if __name__ == "__main__":
    main()
