"""p-values of intervals against scipy, and Holm's correction against worked values."""

import numpy as np
import pytest
from scipy import stats

from avflow.errors import InputError
from avflow.results.significance import holm, p_of_interval

INF = float("inf")


def test_the_p_value_of_a_normal_interval_is_that_of_the_z_test():
    for value, error, bound in ((-3.0, 1.0, 0.0), (-1.0, 0.7, 0.0), (5.0, 2.0, 8.0)):
        interval = value - 1.959964 * error, value + 1.959964 * error
        expected = 2 * stats.norm.sf(abs(value - bound) / error)
        assert p_of_interval(value, *interval, (-INF, bound)) == pytest.approx(expected, rel=1e-5)
        assert p_of_interval(-value, -interval[1], -interval[0], (-bound, INF)) == pytest.approx(expected, rel=1e-5)


def test_p_is_5_percent_where_the_interval_touches_the_edge_on_the_side_of_the_edge():
    assert p_of_interval(-10, -30, 0, (-INF, 0)) == pytest.approx(0.05)
    assert p_of_interval(-10, -11, 0, (-INF, 0)) == pytest.approx(0.05), "how far it reaches away from the edge does not matter"
    assert p_of_interval(-10, -30, -1, (-INF, 0)) < 0.05 < p_of_interval(-10, -30, 1, (-INF, 0))


def test_a_range_with_two_ends_needs_both():
    assert p_of_interval(1, -2, 1.5, (-2, 2)) == pytest.approx(0.05), "the far end is the weaker"
    assert p_of_interval(1, 0.5, 3, (-2, 2)) == p_of_interval(1, 0.5, 3, (-INF, 2))


def test_a_side_without_width_is_certain_and_a_missing_interval_says_nothing():
    assert p_of_interval(0, 0, 0, (-1, 1)) == 0 and p_of_interval(1, 1, 1, (-1, 1)) == 0 and p_of_interval(2, 2, 2, (-1, 1)) == 1
    assert p_of_interval(0, 0, 5, (0, 5)) == pytest.approx(0.05), "a share of 0 % is on an edge that it cannot leave"
    assert p_of_interval(0, -1, 5, (0, 9)) == 1, "on an edge that it may leave"
    assert np.isnan(p_of_interval(3, np.nan, np.nan, (0, INF)))


def test_holms_p_values_step_down():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([[0.6, np.nan], [0.5, 0.02]]) == pytest.approx(np.array([[1.0, np.nan], [1.0, 0.06]]), nan_ok=True)
    assert holm([]).shape == (0,)
    with pytest.raises(InputError, match="p-value 1.5"):
        holm([0.1, 1.5])


def test_one_family_in_twenty_of_true_nulls_has_a_call_and_without_correction_most_have():
    rng = np.random.default_rng(0)
    p = [
        [p_of_interval(x, x - 1.96, x + 1.96, (-INF, 0) if x < 0 else (0, INF)) for x in rng.normal(size=30)] for _ in range(600)
    ]
    assert 0.03 < np.mean([(holm(family) <= 0.05).any() for family in p]) < 0.07
    assert np.mean([min(family) <= 0.05 for family in p]) > 0.7
