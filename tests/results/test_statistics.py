"""Intervals against scipy, published values and analytic cases. benchmarks/intervals.py measures their coverage."""

import ast
import inspect

import numpy as np
import pytest
from conftest import SCRIPTS
from scipy import stats

from avflow.errors import InputError
from avflow.results.statistics import (
    cluster_bootstrap,
    non_inferior,
    paired_change,
    paired_score_interval,
    proportion,
    simultaneous_band,
)


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


@pytest.mark.parametrize("method, theirs", [("bca", "BCa"), ("percentile", "percentile")])
def test_the_bootstrap_agrees_with_scipy_on_skewed_effects(method, theirs):
    values = np.exp(np.random.default_rng(0).normal(0, 0.8, 400))
    found = stats.bootstrap((values,), np.mean, n_resamples=10_000, method=theirs, rng=np.random.default_rng(1), vectorized=True)
    mean, low, high = cluster_bootstrap(values[:, None], np.arange(400), method=method)
    ends, width = found.confidence_interval, high[0] - low[0]
    assert [low[0], high[0]] == pytest.approx([ends.low, ends.high], abs=0.03 * width)
    assert high[0] - mean[0] > 1.05 * (mean[0] - low[0]), "longer towards the tail"


def test_few_clips_get_the_interval_of_students_t():
    values = np.random.default_rng(3).normal(size=(12, 200))
    mean, low, high = cluster_bootstrap(values, np.arange(12))
    known = stats.t.interval(0.95, 11, mean, values.std(0, ddof=1) / np.sqrt(12))
    assert np.mean(high - low) == pytest.approx(np.mean(known[1] - known[0]), rel=0.05)
    percentile = cluster_bootstrap(values, np.arange(12), method="percentile")
    assert np.mean(percentile[2] - percentile[1]) < 0.9 * np.mean(known[1] - known[0])


def test_clips_of_different_sizes_get_the_cluster_robust_error():
    """Its formula, without factors for few clusters: Liang and Zeger, Biometrika 73, 13-22, 1986, for an intercept alone."""
    rng = np.random.default_rng(0)
    clips = np.repeat(np.arange(300), rng.integers(1, 7, 300))
    values = rng.normal(size=300)[clips] + rng.normal(size=len(clips))
    error = np.sqrt((np.bincount(clips, values - values.mean()) ** 2).sum()) / len(clips)
    _, low, high = cluster_bootstrap(values[:, None], clips)
    assert (high - low)[0] == pytest.approx(2 * 1.96 * error, rel=0.03)
    assert error > 1.3 * values.std() / np.sqrt(len(clips)), "as if questions were independent"


def test_missing_values_leave_what_those_questions_alone_would_give():
    rng = np.random.default_rng(0)
    values, clips = rng.normal(size=(90, 2)), np.arange(90) % 30
    values[:30, 1] = np.nan  # one of the three questions of every clip
    both, alone = cluster_bootstrap(values, clips), cluster_bootstrap(values[30:, 1:], clips[30:])
    assert np.allclose([x[1] for x in both], [x[0] for x in alone])
    band = simultaneous_band(np.stack([values[:, 1], values[:, 1]], axis=1), clips)
    assert np.allclose(band, np.repeat(simultaneous_band(values[30:, 1:], clips[30:]), 2, axis=1))


def test_intervals_of_shares_stay_between_0_and_1_and_reach_down_from_nearly_all():
    right = np.ones((50, 2))
    right[0, 1] = 0
    mean, low, high = cluster_bootstrap(right, np.arange(50))
    assert (mean[0], low[0], high[0]) == (1, 1, 1)
    assert 0.85 < low[1] < 0.94 and mean[1] == 0.98 and high[1] == 1


def test_an_interval_does_not_depend_on_what_else_is_analysed_nor_on_its_shape():
    values, clips = np.random.default_rng(0).normal(size=(1500, 6)), np.arange(1500)
    many = np.tile(values, (1, 300))  # drawn in smaller chunks
    assert np.allclose(cluster_bootstrap(values, clips, 300), [x[:6] for x in cluster_bootstrap(many, clips, 300)])
    for analyse in (cluster_bootstrap, simultaneous_band):
        flat, shaped = analyse(values, clips, 300), analyse(values.reshape(-1, 2, 3), clips, 300)
        assert all(x.shape == (2, 3) and np.array_equal(x.ravel(), y) for x, y in zip(shaped, flat))


INTERVALS = {f.__name__: f for f in (cluster_bootstrap, simultaneous_band, paired_score_interval)}


def levels(code):
    """The lines of a text that ask for an interval with a level of their own."""
    for node in ast.walk(ast.parse(code)):
        name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
        if name in INTERVALS:
            place = list(inspect.signature(INTERVALS[name]).parameters).index("level")
            if len(node.args) > place or "level" in {keyword.arg for keyword in node.keywords}:
                yield node.lineno


def test_every_interval_that_is_shown_has_the_same_95_percent():
    assert {f.__name__: inspect.signature(f).parameters["level"].default for f in INTERVALS.values()} == dict.fromkeys(
        INTERVALS, 0.95
    )
    of_its_own = {path.name: list(levels(path.read_text())) for path in sorted(SCRIPTS.rglob("*.py"))}
    assert len(of_its_own) > 100 and [name for name, lines in of_its_own.items() if lines] == []
    for call in ("cluster_bootstrap(x, c, 9, 0, 0.8)", "statistics.simultaneous_band(x, c, level=0.8)"):
        assert list(levels(call)) == [1], "it would be found"


def test_bad_input_to_an_interval_is_named():
    values = np.ones((3, 1))
    for words, arguments in (
        ("level 95", (values, range(3), 10, 0, 95)),
        ("0 draws", (values, range(3), 0)),
        ("one cluster per row", (values, range(4))),
        ("one cluster per row", (np.ones((0, 2)), [])),
    ):
        for analyse in (cluster_bootstrap, simultaneous_band):
            with pytest.raises(InputError, match=words):
                analyse(*arguments)
    with pytest.raises(InputError, match="method 'basic'"):
        cluster_bootstrap(values, range(3), method="basic")


def test_the_band_of_one_column_is_the_interval_of_students_t():
    values = np.random.default_rng(0).normal(size=(60, 100))
    ends = np.array([simultaneous_band(values[:, [i]], np.arange(60), 2000, i) for i in range(100)])[..., 0]  # (100, 3)
    known = stats.t.interval(0.95, 59, values.mean(0), values.std(0, ddof=1) / np.sqrt(60))
    assert np.mean(ends[:, 2] - ends[:, 1]) == pytest.approx(np.mean(known[1] - known[0]), rel=0.03)


def test_the_band_over_independent_columns_reaches_as_far_as_sidak_says():
    values = np.random.default_rng(0).normal(size=(2000, 20)) * np.arange(1, 21)
    mean, low, high = simultaneous_band(values, np.arange(2000))
    reach = stats.norm.ppf(0.5 + 0.95 ** (1 / 20) / 2)  # 3.02 instead of 1.96
    assert (high - low) / 2 / (values.std(0) / np.sqrt(2000)) == pytest.approx(np.full(20, reach), rel=0.04)


def test_the_band_pays_only_for_what_differs():
    values = np.random.default_rng(0).exponential(size=(80, 1))
    one = np.array(simultaneous_band(values, np.arange(80), 1000))
    copies = np.array(simultaneous_band(np.hstack([values, 5 * values - 3, np.full((80, 1), 7.0)]), np.arange(80), 1000))
    assert np.allclose(copies[:, [0]], one) and np.allclose(copies[:, [1]], 5 * one - 3)
    assert copies[:, 2].tolist() == [7, 7, 7], "a constant has a band without width and widens no other"
    assert np.array_equal(simultaneous_band(np.zeros((5, 2)), range(5), 10), np.zeros((3, 2)))


def test_rounding_noise_does_not_widen_the_band_of_effects():
    rng = np.random.default_rng(0)
    effects = rng.exponential(size=(30, 3))
    noise = 1e-5 * np.where(rng.random((30, 40)) < 0.05, rng.normal(size=(30, 40)), 0)  # in few clips, as float32 leaves it
    alone = np.array(simultaneous_band(np.hstack([effects, np.zeros((30, 40))]), np.arange(30), 1000))
    both = np.array(simultaneous_band(np.hstack([effects, noise]), np.arange(30), 1000))
    assert np.allclose(both[:, :3], alone[:, :3], rtol=1e-3)
    low, high = both[1:, 3:]
    assert (low <= 0).all() and (high >= 0).all() and (high - low).max() < 0.1 * (both[2, 0] - both[1, 0])


def test_the_band_holds_all_skewed_means_at_once():
    rng, held, pointwise = np.random.default_rng(0), 0, 0
    for world in range(150):
        values = np.exp(0.6 * rng.normal(size=(60, 15)))
        for analyse in (simultaneous_band, cluster_bootstrap):
            _, low, high = analyse(values, np.arange(60), 500, world)
            inside = ((low <= np.exp(0.18)) & (np.exp(0.18) <= high)).all()
            held, pointwise = (held + inside, pointwise) if analyse is simultaneous_band else (held, pointwise + inside)
    assert held / 150 >= 0.9 and pointwise / 150 < 0.7


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
    score = paired_score_interval(2, 0, 20)  # both questions of a clip change together, so clips are what is counted
    boot = cluster_bootstrap((after * 1.0 - 1)[:, None], clusters, 2000, 0)
    assert change == pytest.approx(-10)
    assert low == pytest.approx(100 * min(score[0], boot[1][0])) and high == pytest.approx(100 * max(score[1], boot[2][0]))
    same = paired_change(before, before, clusters, 2000, 0)
    assert same[0] == 0 and not non_inferior(same[1], 2), "40 unchanged answers exclude no loss of two points"
    assert non_inferior(paired_change(np.ones(300), np.ones(300), np.arange(300), 100, 0)[1], 2)


def test_tangos_interval_has_its_published_values():
    """Fagerland, Lydersen and Laake, Statistics in Medicine 33, 2850-2875, 2014; R's PropCIs 0.3-0, scoreci.mp(60, 20, 1000)."""
    assert paired_score_interval(7, 1, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert paired_score_interval(60, 20, 1000) == pytest.approx((-0.0584, -0.0231), abs=5e-5)


def test_bad_counts_are_named():
    for lost, won, n in ((-1, 0, 5), (3, 3, 5), (0, 0, 0)):
        with pytest.raises(InputError, match=f"{lost} lost and {won} won of {n}"):
            paired_score_interval(lost, won, n)
    with pytest.raises(InputError, match="3 answers before and 2 after"):
        paired_change([1, 0, 1], [1, 0], [0, 1, 2])
    for margin in (0, -2, float("nan")):
        with pytest.raises(InputError, match="margin"):
            non_inferior(-1.0, margin)


def test_draws_that_change_nothing_add_no_certainty():
    before, clusters = np.ones(40), np.arange(40)
    assert paired_change(before, np.ones(40), clusters, 200, 0) == paired_change(before, before == 1, clusters, 200, 0)
    after = np.where(np.arange(40) < 8, 0.5, 1.0)  # eight questions are lost by half of the draws
    change, low, high = paired_change(before, after, clusters, 2000, 0)
    assert change == pytest.approx(-10) and low <= 100 * paired_score_interval(4, 0, 40)[0] and high < 0


@pytest.mark.parametrize(("right", "count"), [(0, 10), (10, 10), (0, 1), (1, 1), (2, 2), (9, 9), (9, 10), (0, 400)])
def test_a_proportion_always_has_an_interval_that_holds_it(right, count):
    answers = np.arange(count) < right
    mean, low, high = proportion(answers, np.arange(count), draws=200)
    assert mean == right / count and 0 <= low <= mean <= high <= 1 and high - low > 0
    z2 = 1.959964**2
    if right == 0:
        assert high == pytest.approx(z2 / (count + z2), rel=1e-5), "Wilson's"
    if right == count:
        assert low == pytest.approx(count / (count + z2), rel=1e-5)


def test_answers_about_one_clip_count_once_in_a_proportion():
    alike = proportion(np.zeros(40), np.repeat(np.arange(4), 10), draws=200)
    assert alike[2] == pytest.approx(proportion(np.zeros(4), np.arange(4), draws=200)[2])
    mixed = np.repeat([0, 1, 0, 1, 1, 1, 0, 1], 5)
    together, alone = (proportion(mixed, clusters, draws=500) for clusters in (np.repeat(np.arange(8), 5), np.arange(40)))
    assert together[2] - together[1] > 1.5 * (alone[2] - alone[1])


def test_a_proportion_of_no_answer_is_unknown_and_weights_count():
    assert all(np.isnan(proportion([np.nan, np.nan], ["a", "b"])))
    mean, low, high = proportion([1, 0, np.nan], ["a", "b", "c"], draws=200)
    assert mean == 0.5 and low < 0.5 < high
    assert proportion([1, 0], ["a", "b"], draws=200, weights=[1.5, 0.5])[0] == pytest.approx(0.75)
