"""How sure a verdict is, and how sure all verdicts of a model are together: p-values of intervals, and Holm's correction."""

import numpy as np
from scipy.special import ndtr, ndtri

from ..errors import InputError


def p_of_interval(value: float, low: float, high: float, within: tuple[float, float], level: float = 0.95) -> float:
    """p-value for the truth not lying inside a range in which an estimate lies; two-sided, so 0.05 where a 95 % interval touches.

    value, low, high: an estimate with its interval at `level`, in any unit. within: the range's ends, of which one may be
    infinite. The interval is inverted as that of a normal estimate whose standard error is its own on either side, so intervals
    that reach further to one side keep doing so. Of two ends, the larger p counts (equivalence needs both). The ends belong
    to the range: an interval that does not reach beyond its own estimate on the side of an end says nothing against that end.
    NaN if a number is missing.
    """
    if np.isnan([value, low, high]).any():
        return float("nan")
    z, found = ndtri(0.5 + level / 2), [0.0]
    for end, distance, reach in ((within[0], value - within[0], value - low), (within[1], within[1] - value, high - value)):
        if np.isfinite(end):
            found.append(2 * float(ndtr(-z * distance / reach)) if reach > 1e-9 * (high - low) else float(distance < 0))
    return max(found)


def holm(p_values):
    """p-values (...) corrected for their number: the chance that any true null gets p < 0.05 is at most 5 %.

    Holm's step-down procedure (Scandinavian Journal of Statistics 6, 65-70, 1979), which needs no independence. NaN stays NaN and
    is not counted. Raises InputError for values outside 0 to 1.
    """
    found = np.array(p_values, dtype=np.float64)
    known = ~np.isnan(found)
    p = found[known]
    if ((p < 0) | (p > 1)).any():
        raise InputError(f"p-value {p[(p < 0) | (p > 1)][0]}: must be from 0 to 1")
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1.0)
    found[known] = corrected
    return found
