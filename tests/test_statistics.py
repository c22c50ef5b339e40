"""Intervals against analytic cases."""

import numpy as np

from avflow.statistics import cluster_bootstrap


def test_the_mean_and_a_95_percent_interval_match_theory_for_independent_questions():
    values = np.random.default_rng(0).normal(3.0, 2.0, (400, 3))
    mean, low, high = cluster_bootstrap(values, np.arange(400), draws=4000, seed=1)
    assert np.allclose(mean, values.mean(0))
    expected = 1.96 * values.std(0) / np.sqrt(400)
    assert np.allclose(high - mean, expected, rtol=0.1) and np.allclose(mean - low, expected, rtol=0.1)


def test_questions_that_copy_each_other_within_a_clip_do_not_narrow_the_interval():
    clips = np.random.default_rng(0).normal(0.0, 1.0, 100)
    once = cluster_bootstrap(clips[:, None], np.arange(100), 4000, 1)
    thrice = cluster_bootstrap(np.repeat(clips, 3)[:, None], np.repeat(np.arange(100), 3), 4000, 1)
    assert np.allclose(once, thrice)
    naive = cluster_bootstrap(np.repeat(clips, 3)[:, None], np.arange(300), 4000, 1)
    assert (naive[2] - naive[1]) < 0.7 * (thrice[2] - thrice[1])


def test_missing_values_are_left_out_of_their_own_column():
    values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    mean, low, high = cluster_bootstrap(values, ["a", "b"], 100, 0)
    assert mean[:2].tolist() == [2.0, 5.0] and np.isnan(mean[2]) and np.isnan(low[2]) and np.isnan(high[2])
    assert low[1] == high[1] == 5.0


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).normal(size=(50, 2))
    assert np.array_equal(cluster_bootstrap(values, np.arange(50), 200, 7), cluster_bootstrap(values, np.arange(50), 200, 7))
