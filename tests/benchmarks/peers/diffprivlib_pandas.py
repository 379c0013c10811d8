"""By hand: pandas bounds and counts, diffprivlib draws discrete Laplace noise, one draw for threshold and count.

The library selects no groups and bounds nobody, so that a careful script does. k is hard, as in Google's note on
pre-thresholding: groups of fewer people are dropped, and the threshold of the others is k - 1 higher.
"""

from __future__ import annotations

import math

import pandas as pd
from diffprivlib.mechanisms import Geometric

from tests.benchmarks.peers.task import NAMES, PERSON, asked


def main() -> None:
    task = asked()
    # Categories, not texts: half the time of all that follows.
    events = pd.read_parquet(task.events, columns=[PERSON, *NAMES]).astype(dict.fromkeys((PERSON, *NAMES), "category"))
    pairs = events.drop_duplicates()  # (person, group)
    # A random choice of each person's groups.
    kept = pairs.sample(frac=1).groupby(PERSON, observed=True, sort=False).head(task.groups)
    counts = kept.groupby(list(NAMES), observed=True).size()
    noise = Geometric(epsilon=task.epsilon, sensitivity=task.groups)
    delta = -math.expm1(math.log1p(-task.delta) / task.groups)
    threshold = task.k + math.ceil(-task.groups / task.epsilon * math.log(2 * delta))
    noisy = counts[counts >= task.k].map(noise.randomise)
    task.release(noisy[noisy >= threshold].reset_index().itertuples(index=False))


if __name__ == "__main__":
    main()
