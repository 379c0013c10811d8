"""PipelineDP on its local backend: bounds, selection by the count that is released, and a hard k (pre-threshold)."""

from __future__ import annotations

import pandas as pd
import pipeline_dp

from tests.benchmarks.peers.task import NAMES, PERSON, asked


def main() -> None:
    task = asked()
    events = pd.read_parquet(task.events, columns=[PERSON, *NAMES])
    rows = list(zip(*(events[name].tolist() for name in (PERSON, *NAMES)), strict=True))
    accountant = pipeline_dp.NaiveBudgetAccountant(total_epsilon=task.epsilon, total_delta=task.delta)
    engine = pipeline_dp.DPEngine(accountant, pipeline_dp.LocalBackend())
    parameters = pipeline_dp.AggregateParams(
        metrics=[pipeline_dp.Metrics.PRIVACY_ID_COUNT],
        noise_kind=pipeline_dp.NoiseKind.LAPLACE,
        max_partitions_contributed=task.groups,
        max_contributions_per_partition=1,
        partition_selection_strategy=pipeline_dp.PartitionSelectionStrategy.LAPLACE_THRESHOLDING,
        post_aggregation_thresholding=True,
        pre_threshold=task.k if task.k > 1 else None,
    )
    extractors = pipeline_dp.DataExtractors(
        privacy_id_extractor=lambda row: row[0],
        partition_extractor=lambda row: row[1:],
        value_extractor=lambda row: 0,
    )
    released = engine.aggregate(rows, parameters, extractors)
    accountant.compute_budgets()
    task.release((*group, metrics.privacy_id_count) for group, metrics in released)


if __name__ == "__main__":
    main()
