"""Tests of significance against scipy and published values."""

import itertools

import numpy as np
import pytest
from scipy import stats

from avflow.errors import InputError
from avflow.results.significance import holm, mcnemar, sign_flip
from avflow.results.statistics import paired_change, paired_score_interval


def test_sign_flips_agree_with_scipy_when_all_are_tried():
    values = np.random.default_rng(0).normal(0.5, 1, (10, 4))
    alone, _ = sign_flip(values, np.arange(10))
    theirs = stats.permutation_test(
        (values, np.zeros_like(values)), lambda a, b, axis: (a - b).mean(axis), permutation_type="samples", n_resamples=np.inf
    )
    assert np.allclose(alone, theirs.pvalue) and alone.min() < 0.2


def test_sign_flips_of_clips_that_all_agree_have_two_extreme_ways():
    alone, family = sign_flip(np.arange(1.0, 9.0)[:, None], np.arange(8))
    assert alone[0] == family[0] == 2 / 2**8
    thrice = sign_flip(np.repeat(np.arange(1.0, 9.0), 3)[:, None], np.repeat(np.arange(8), 3))
    assert thrice[0][0] == 2 / 2**8, "copies of a question are no evidence"
    drawn = sign_flip(np.full((40, 1), 1.0), np.arange(40), 999)
    assert drawn[0][0] == 1 / 1000, "drawn flips count the observed one"


def test_family_wise_p_values_follow_westfall_and_young():
    values = np.random.default_rng(1).normal([1.2, 0.7, 0.1, 0.0], 1, (7, 4))
    _, family = sign_flip(values, np.arange(7))
    size = np.sqrt((values**2).sum(0))
    flips = [np.abs((np.array(signs)[:, None] * values).sum(0)) / size for signs in itertools.product((1, -1), repeat=7)]
    observed, expected, before = np.abs(values.sum(0)) / size, {}, 0.0
    for i, column in enumerate(order := np.argsort(-observed)):
        largest = np.array([flip[order[i:]].max() for flip in flips])
        before = expected[column] = max(before, (largest >= observed[column] - 1e-9).mean())
    assert family == pytest.approx([expected[column] for column in range(4)])


def test_family_wise_p_values_cost_nothing_for_copies_and_at_most_holm_for_the_rest():
    values = np.random.default_rng(0).normal(0.25, 1, (60, 5))
    alone, copies = sign_flip(np.repeat(values[:, :1], 5, axis=1), np.arange(60), 2000)
    assert np.array_equal(alone, copies)
    alone, family = sign_flip(values, np.arange(60))
    assert (family >= alone).all() and (family <= holm(alone) + 0.02).all() and (family > 1.5 * alone)[alone < 0.2].any()


def test_sign_flips_leave_missing_values_out_and_find_nothing_in_zeros():
    values = np.random.default_rng(0).normal(size=(20, 1))
    some = np.hstack([values, np.full((20, 1), np.nan), np.zeros((20, 1))])
    some[:8, 0] = np.nan
    alone, family = sign_flip(some, np.arange(20), 5000)
    exact = sign_flip(values[8:], np.arange(12))[0]
    assert alone[0] == pytest.approx(exact[0], abs=0.03) and np.isnan([alone[1], family[1]]).all() and alone[2] == family[2] == 1


def test_sign_flips_call_one_null_in_twenty_alone_and_one_family_in_twenty_together():
    rng = np.random.default_rng(0)
    alone, _ = sign_flip(rng.normal(size=(40, 1000)), np.arange(40), 500)
    assert 0.03 < (alone <= 0.05).mean() < 0.07
    families = [sign_flip(rng.normal(size=(40, 10)), np.arange(40), 200, i)[1].min() <= 0.05 for i in range(200)]
    assert 0.01 < np.mean(families) < 0.1


def test_mcnemars_test_has_the_values_of_statsmodels():
    """statsmodels/stats/tests/test_nonparametric.py, test_mcnemar_exact (from VassarStats), and 2 (1 + 10) / 2^10 by hand."""
    known = {(121, 59): 0.000004, (70, 59): 0.378688, (80, 59): 0.089452, (30, 60): 0.00206, (10, 30): 0.002221, (10, 10): 1.0}
    for changed, p in known.items():
        assert mcnemar(*changed) == mcnemar(*changed[::-1]) == pytest.approx(p, abs=6e-7)
    assert mcnemar(1, 9) == pytest.approx(22 / 1024) and mcnemar(0, 0) == 1.0
    assert mcnemar(7, 12) == pytest.approx(stats.binomtest(7, 19).pvalue)


def test_holms_p_values_step_down():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([[0.6, np.nan], [0.5, 0.02]]) == pytest.approx(np.array([[1.0, np.nan], [1.0, 0.06]]), nan_ok=True)
    assert holm([]).shape == (0,)
    with pytest.raises(InputError, match="p-value 1.5"):
        holm([0.1, 1.5])


def test_draws_that_change_nothing_add_no_certainty():
    before, clusters = np.ones(40), np.arange(40)
    assert paired_change(before, np.ones(40), clusters, 200, 0) == paired_change(before, before == 1, clusters, 200, 0)
    after = np.where(np.arange(40) < 8, 0.5, 1.0)  # eight questions are lost by half of the draws
    change, low, high = paired_change(before, after, clusters, 2000, 0)
    assert change == pytest.approx(-10) and low <= 100 * paired_score_interval(4, 0, 40)[0] and high < 0
