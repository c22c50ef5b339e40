"""Intervals against analytic cases."""

import numpy as np
import pytest

from avflow.statistics import cluster_bootstrap, non_inferior, paired_change, paired_score_interval


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


def test_the_paired_interval_stays_wide_where_nothing_changed():
    z2 = 1.959964**2
    for n in (10, 40, 500):
        low, high = paired_score_interval(0, 0, n)
        assert high == pytest.approx(z2 / (n + z2), rel=1e-5) and low == pytest.approx(-high, rel=1e-5)
    assert paired_score_interval(3, 9, 50) == pytest.approx([-x for x in paired_score_interval(9, 3, 50)][::-1])
    assert paired_score_interval(10, 0, 10)[0] == -1 and paired_score_interval(0, 10, 10)[1] == 1


def test_the_paired_interval_covers_the_change():
    rng = np.random.default_rng(0)
    for lost, won in ((0.05, 0.05), (0.2, 0.05), (0.02, 0.1)):
        drawn = rng.multinomial(60, [lost, won, 1 - lost - won], size=600)
        ends = [paired_score_interval(int(a), int(b), 60) for a, b, _ in drawn]
        assert 0.92 < np.mean([low <= won - lost <= high for low, high in ends]) < 0.99


def test_a_change_of_accuracy_reaches_as_far_as_either_interval():
    before, after = np.ones(40, bool), np.arange(40) >= 4  # the first two clips lose two answers each
    clusters = np.repeat(np.arange(20), 2)
    change, low, high = paired_change(before, after, clusters, 2000, 0)
    score = paired_score_interval(4, 0, 40)
    boot = cluster_bootstrap((after * 1.0 - 1)[:, None], clusters, 2000, 0)
    assert change == pytest.approx(-10)
    assert low == pytest.approx(100 * min(score[0], boot[1][0])) and high == pytest.approx(100 * max(score[1], boot[2][0]))
    same = paired_change(before, before, clusters, 2000, 0)
    assert same[0] == 0 and not non_inferior(same[1], 2), "40 unchanged answers exclude no loss of two points"
    assert non_inferior(paired_change(np.ones(300), np.ones(300), np.arange(300), 100, 0)[1], 2)
