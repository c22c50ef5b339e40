"""Intervals for means over questions that share clips."""

import numpy as np


def cluster_bootstrap(values, clusters, draws: int, seed: int, level: float = 0.95):
    """Mean and percentile interval of the columns of `values` (n, m), resampling whole clusters: three arrays (m,).

    Questions about one clip are not independent, so clips are drawn and not questions. NaN entries are left out of their own
    column only. A column without any value gives NaN.
    """
    values = np.asarray(values, dtype=np.float64)
    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    sums, counts = np.zeros((len(names), values.shape[1])), np.zeros((len(names), values.shape[1]))
    np.add.at(sums, member, filled)
    np.add.at(counts, member, known)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)  # (draws, clusters)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(0) / known.sum(0)
        drawn = (weights @ sums) / (weights @ counts)  # (draws, m)
    tail = 100 * (1 - level) / 2
    low, high = np.full(len(mean), np.nan), np.full(len(mean), np.nan)
    some = known.any(0)
    if some.any():
        low[some], high[some] = np.nanpercentile(drawn[:, some], [tail, 100 - tail], axis=0)
    return mean, low, high
