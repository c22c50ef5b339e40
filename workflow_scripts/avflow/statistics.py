"""Intervals for means over questions that share clips."""

import math

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm


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


def paired_score_interval(lost: int, won: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Tango's score interval for a change of paired proportions (Statistics in Medicine 17, 891-908, 1998), as shares.

    lost, won: how many of n answers were right only before, and only after; the change is (won - lost) / n. It stays wide where
    nothing changed, z^2 / (n + z^2) to either side, where a bootstrap would have no width at all.
    """
    z = norm.ppf(0.5 + level / 2)

    def statistic(change):
        a, b, c = 2 * n, -won - lost + (2 * n - won + lost) * change, -lost * change * (1 - change)
        share = (math.sqrt(max(b * b - 4 * a * c, 0)) - b) / (2 * a)
        off, variance = won - lost - n * change, n * (2 * share + change * (1 - change))
        return 0.0 if off == 0 else off / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, off)

    estimate, inside = (won - lost) / n, 1 - 1e-12
    low = -1.0 if estimate == -1 else brentq(lambda d: statistic(d) - z, -inside, estimate)
    high = 1.0 if estimate == 1 else brentq(lambda d: statistic(d) + z, estimate, inside)
    return low, high


def paired_change(before, after, clusters, draws: int, seed: int, weights=None) -> tuple[float, float, float]:
    """Change of accuracy from paired answers (n,) bool, in points, with a 95 % interval that errs on the wide side.

    The interval reaches as far as either of two: bootstrap over clusters, which knows that questions share clips, and Tango's
    score interval, which knows that few or no changed answers prove little. weights (n,): of the questions, 1 in the mean.
    """
    before, after = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    changed = (after - before) * (1 if weights is None else np.asarray(weights))
    mean, low, high = (float(x[0]) for x in cluster_bootstrap(changed[:, None], clusters, draws, seed))
    score = paired_score_interval(int((before > after).sum()), int((after > before).sum()), len(before))
    return 100 * mean, 100 * min(low, score[0]), 100 * max(high, score[1])


def non_inferior(low: float, margin: float) -> bool:
    """Whether a change whose 95 % interval begins at `low` is shown to lose no more than `margin` (one-sided, 2.5 %)."""
    return low > -margin
