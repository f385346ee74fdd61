import numpy as np
import pytest

from advdl.rl.statistics import (
    bootstrap_interval,
    improvement_interval,
    iqm,
    pointwise_interval,
    probability_of_improvement,
    stratified_interval,
    summary,
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7.0], 7.0),
        ([1.0, 2.0, 9.0], 4.0),  # floor(3 / 4) = 0 are left out
        ([0.0, 4.0, 6.0, 100.0], 5.0),
        ([-50.0, 1.0, 2.0, 6.0, 80.0], 3.0),
        (list(range(12)), 5.5),
        ([0, 0, 0, 1, 2, 3, 90, 91, 92], (0 + 1 + 2 + 3 + 90) / 5),
    ],
)
def test_iqm_is_the_mean_of_the_middle_half(values, expected):
    assert iqm(values) == pytest.approx(expected)
    assert iqm(values[::-1]) == pytest.approx(expected)


def test_iqm_equals_scipys_trimmed_mean():
    from scipy import stats

    rng = np.random.default_rng(0)
    for count in range(1, 40):
        values = rng.normal(size=(3, count))
        np.testing.assert_allclose(iqm(values), stats.trim_mean(values, 0.25, axis=1))
        np.testing.assert_allclose(iqm(values.T, axis=0), stats.trim_mean(values, 0.25, axis=1))


def test_a_nan_is_not_trimmed_away():
    assert np.isnan(iqm([np.nan, 1, 2, 3, 4, 5, 6, 7]))


def test_no_values_have_no_statistics():
    for function in (iqm, bootstrap_interval, summary):
        with pytest.raises(ValueError, match=r"no values|n > 0"):
            function([])


def test_interval_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        low, high = bootstrap_interval(rng.normal(5.0, 2.0, 60), np.mean, resamples=400)
        inside += low <= 5.0 <= high
    assert 0.90 <= inside / 300 <= 0.985


def test_interval_of_the_mean_has_the_width_of_the_normal_approximation():
    values = np.random.default_rng(2).normal(0.0, 1.0, 400)
    low, high = bootstrap_interval(values, np.mean)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    narrow_low, narrow_high = bootstrap_interval(values, np.mean, confidence=0.5)
    assert low < narrow_low < values.mean() < narrow_high < high


def test_seeds_make_intervals_repeatable():
    values = np.random.default_rng(3).exponential(size=30)
    assert bootstrap_interval(values, iqm, 4) == bootstrap_interval(values, iqm, 4)
    assert bootstrap_interval(values, iqm, 4) != bootstrap_interval(values, iqm, 5)


def test_strata_are_resampled_apart():
    # Each stratum is constant: only mixing them could make the interval wider than a point.
    assert stratified_interval([[0.0] * 5, [10.0] * 5], np.mean) == (5.0, 5.0)
    assert stratified_interval([np.zeros((5, 3)), np.full((5, 3), 10.0)], np.mean) == (5.0, 5.0)


def test_stratified_interval_of_one_stratum_is_the_bootstraps():
    values = np.random.default_rng(6).normal(size=50)
    one = stratified_interval([values], iqm)
    np.testing.assert_allclose(one, bootstrap_interval(values, iqm), atol=0.05)


def test_episodes_add_their_own_uncertainty():
    # All runs have the same mean, so that runs alone say nothing of how far off it is.
    episodes = np.tile(np.random.default_rng(7).normal(size=20), (4, 1))
    low, high = stratified_interval([episodes], np.mean)
    assert stratified_interval([episodes.mean(axis=1)], np.mean) == pytest.approx((episodes.mean(),) * 2)
    assert high - low == pytest.approx(2 * 1.96 * episodes[0].std() / np.sqrt(80), rel=0.15)


def test_stratified_interval_refuses_what_it_cannot_resample():
    for strata in ([], [[]], [np.zeros((2, 2, 2))]):
        with pytest.raises(ValueError, match="stratum"):
            stratified_interval(strata)


def test_summary_of_known_returns():
    figures = summary([1.0, 2.0, 3.0, 10.0])
    assert figures["return/mean"] == 4.0
    assert figures["return/std"] == pytest.approx(np.sqrt(50 / 4))
    assert figures["return/iqm"] == 2.5
    assert (figures["return/min"], figures["return/max"], figures["episodes"]) == (1.0, 10.0, 4.0)
    assert 1.0 <= figures["return/low"] < 4.0 < figures["return/high"] <= 10.0


class TestProbabilityOfImprovement:
    def test_it_is_the_share_of_pairs_that_are_won_averaged_over_tasks(self):
        assert probability_of_improvement([[3.0, 1.0]], [[2.0, 2.0]]) == 0.5
        assert probability_of_improvement([[3.0, 2.0]], [[2.0, 1.0, 0.0]]) == (3 + 2.5) / 6
        assert probability_of_improvement([[1.0], [0.0]], [[0.0], [0.0]]) == (1.0 + 0.5) / 2

    def test_it_is_the_mann_whitney_statistic(self):
        from scipy import stats

        rng = np.random.default_rng(0)
        ours, theirs = ([np.round(rng.normal(size=(count)), 1) for count in sizes] for sizes in ((5, 7), (6, 3)))
        expected = [stats.mannwhitneyu(x, y).statistic / (x.size * y.size) for x, y in zip(ours, theirs, strict=True)]
        assert probability_of_improvement(ours, theirs) == pytest.approx(np.mean(expected))

    def test_its_interval(self):
        assert improvement_interval([[1.0, 2.0]], [[0.0]]) == (1.0, 1.0)
        assert improvement_interval([[0.0, 2.0]], [[1.0]]) == (0.0, 1.0)  # 0, 1/2, 1 with 1/4, 1/2, 1/4
        rng = np.random.default_rng(1)
        ours, theirs = rng.normal(0.5, size=(2, 20)), rng.normal(size=(2, 20))
        low, high = improvement_interval(list(ours), list(theirs))
        assert low < probability_of_improvement(list(ours), list(theirs)) < high
        assert (low, high) == improvement_interval(list(ours), list(theirs))

    def test_tasks_must_be_the_same(self):
        with pytest.raises(ValueError, match="1 and 2 of them"):
            probability_of_improvement([[1.0]], [[1.0], [2.0]])


class TestPointwiseInterval:
    def test_at_each_point_it_is_that_of_the_runs_there(self):
        curves = np.random.default_rng(2).normal(size=(6, 4))
        low, high = pointwise_interval(curves)
        for point in range(4):
            assert (low[point], high[point]) == pytest.approx(stratified_interval([curves[:, point]], iqm))

    def test_runs_that_agree_leave_no_doubt(self):
        low, high = pointwise_interval([[1.0, 2.0]] * 5)
        np.testing.assert_array_equal([low, high], [[1.0, 2.0]] * 2)
        with pytest.raises(ValueError, match="runs, points"):
            pointwise_interval(np.zeros((0, 3)))
