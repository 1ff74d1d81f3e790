"""Paired differences: by hand, against scipy's bootstrap, and by how often the interval holds the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from recsys_ae.errors import CapabilityError, ConfigError, DataError
from recsys_ae.evaluation.comparison import compare, holm
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import NDCG, find_metric

KEY = "ndcg_at_10"


def ranking_report(values, *, users=None, fingerprint="s"):
    values = np.asarray(values, dtype=float)
    return Report(
        metrics={KEY: float(np.nanmean(values)), "coverage_at_10": 0.5},
        users=np.arange(len(values)) if users is None else np.asarray(users),
        per_user={KEY: values},
        counts={},
        fallback="",
        split_name="toy",
        seed=0,
        data_fingerprint="d",
        split_fingerprint=fingerprint,
    )


def rating_report(squares, counts):
    squares, counts = np.asarray(squares, dtype=float), np.asarray(counts, dtype=float)
    return replace(
        ranking_report(np.zeros(len(squares))),
        metrics={"rmse": float((squares.sum() / counts.sum()) ** 0.5)},
        per_user={"squared_error_sum": squares, "n_predicted": counts},
    )


def one(ours, theirs, metric=KEY, **options):
    (found,) = compare({"a": ours, "b": theirs}, reference="b", metric=find_metric(metric), **options)
    return found


def test_the_difference_is_that_of_the_reported_metrics():
    rng = np.random.default_rng(0)
    ours, theirs = rng.random(50), rng.random(50)
    found = one([ranking_report(ours)], [ranking_report(theirs)])
    assert found.difference == pytest.approx(ours.mean() - theirs.mean())
    assert found.low < found.difference < found.high
    counts = rng.integers(1, 9, 50)
    a, b = rating_report(rng.random(50) * counts, counts), rating_report(rng.random(50) * counts, counts)
    found = one([a], [b], metric="rmse")
    assert found.difference == pytest.approx(a.metrics["rmse"] - b.metrics["rmse"])


def test_interval_agrees_with_scipy():
    """For a mean and for a root of a quotient of sums, up to the noise of resampling."""
    rng = np.random.default_rng(1)
    ours, theirs = rng.random(80), rng.random(80) + 0.1
    found = one([ranking_report(ours)], [ranking_report(theirs)], samples=6000)
    other = bootstrap((ours - theirs,), np.mean, n_resamples=6000, method="percentile", rng=2)
    width = found.high - found.low
    assert abs(found.low - other.confidence_interval.low) < 0.05 * width
    assert abs(found.high - other.confidence_interval.high) < 0.05 * width

    counts = rng.integers(1, 20, 80)
    a, b = rng.gamma(counts), 1.2 * rng.gamma(counts)
    found = one([rating_report(a, counts)], [rating_report(b, counts)], metric="rmse", samples=6000)

    def difference(a, b, n, axis=-1):
        return np.sqrt(a.sum(axis) / n.sum(axis)) - np.sqrt(b.sum(axis) / n.sum(axis))

    other = bootstrap(
        (a, b, counts), difference, paired=True, n_resamples=6000, method="percentile", vectorized=True, rng=2
    )
    width = found.high - found.low
    assert abs(found.low - other.confidence_interval.low) < 0.05 * width
    assert abs(found.high - other.confidence_interval.high) < 0.05 * width


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """Skewed differences between users, correlated models, true difference 0.1; 300 trials of 80 users."""
    rng = np.random.default_rng(3)
    held = rejected = 0
    for trial in range(300):
        theirs = rng.gamma(2.0, 0.5, 80)
        ours = theirs + 0.1 + 0.5 * (rng.exponential(size=80) - 1)
        found = one([ranking_report(ours)], [ranking_report(theirs)], samples=400, confidence=0.9, seed=trial)
        held += found.low <= 0.1 <= found.high
        null = one([ranking_report(ours - 0.1)], [ranking_report(theirs)], samples=400, seed=trial)
        rejected += null.p_value <= 0.1
    assert 0.83 < held / 300 < 0.95
    assert 0.05 < rejected / 300 < 0.17


def test_seeds_of_a_user_are_drawn_together():
    """Twice the same seed adds no information: the interval must not shrink."""
    rng = np.random.default_rng(4)
    ours, theirs = ranking_report(rng.random(60)), ranking_report(rng.random(60))
    single, double = one([ours], [theirs]), one([ours, ours], [theirs, theirs])
    assert (double.low, double.high) == pytest.approx((single.low, single.high))
    assert double.n_users == single.n_users == 60


def test_seeds_with_other_users_are_joined_by_id():
    ours = [ranking_report([1, 0], users=["a", "b"]), ranking_report([1, 1, 0], users=["b", "c", "d"])]
    theirs = [ranking_report([0, 0], users=["a", "b"]), ranking_report([0, 0, 0], users=["b", "c", "d"])]
    found = one(ours, theirs)
    assert found.n_users == 4
    assert found.difference == pytest.approx((1 / 2 + 2 / 3) / 2)  # the mean of the seeds' differences
    assert np.isfinite([found.low, found.high]).all()


def test_undefined_users_are_skipped_and_counted():
    found = one([ranking_report([1, np.nan, 0.5, 0.25])], [ranking_report([0, np.nan, 0.5, 0.75])])
    assert (found.n_users, found.n_skipped) == (3, 1)
    assert found.difference == pytest.approx((1 + 0 - 0.5) / 3)


def test_equal_models_do_not_differ():
    same = ranking_report(np.random.default_rng(5).random(30))
    found = one([same], [same])
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_p_value_is_never_zero():
    found = one([ranking_report(np.ones(30))], [ranking_report(np.zeros(30))], samples=99)
    assert found.p_value == 2 / 100


def test_same_seed_same_interval():
    rng = np.random.default_rng(6)
    ours, theirs = [ranking_report(rng.random(40))], [ranking_report(rng.random(40))]
    assert one(ours, theirs, seed=1) == one(ours, theirs, seed=1)
    assert one(ours, theirs, seed=1).low != one(ours, theirs, seed=2).low


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1 = 0.04, 0.06, 0.06, 0.04, then never falling
    np.testing.assert_allclose(holm(np.array([0.03, 0.01, 0.04, 0.02])), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.5, 0.6])), [1, 1])
    assert len(holm(np.array([]))) == 0


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=8), st.floats(0.002, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, alpha):
    """The procedure of the paper: go up from the smallest, stop at the first above alpha / (m - j)."""
    rejected = set()
    for j, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] * (len(p_values) - j) > alpha:
            break
        rejected.add(index)
    assert set(np.flatnonzero(holm(np.array(p_values)) <= alpha)) == rejected


def test_adjusted_over_all_differences_in_the_order_given():
    rng = np.random.default_rng(7)
    base = rng.random(50)
    reports = {
        name: [ranking_report(base + shift + 0.1 * rng.normal(size=50))]
        for name, shift in (("far", 0.2), ("ref", 0.0), ("near", 0.01))
    }
    found = compare(reports, reference="ref", metric=NDCG.at(10))
    assert [difference.name for difference in found] == ["far", "near"]
    expected = holm(np.array([difference.p_value for difference in found]))
    assert [difference.p_adjusted for difference in found] == expected.tolist()
    assert compare({"ref": reports["ref"]}, reference="ref", metric=NDCG.at(10)) == []


def test_what_cannot_be_compared_is_refused():
    report = ranking_report([0, 1, 0.5])
    other = replace(report, data_fingerprint="e")
    with pytest.raises(DataError, match="evaluate both on the same split"):
        one([report], [ranking_report([0, 1, 0.5], fingerprint="t")])
    with pytest.raises(DataError, match="relevant from 4"):
        one([replace(report, relevant=4.0)], [report])
    with pytest.raises(DataError, match="different data"):
        one([report, other], [report, other])
    with pytest.raises(DataError, match="one per seed"):
        one([report, report], [report])
    with pytest.raises(DataError, match="at least 2"):
        one([ranking_report([1, np.nan])], [ranking_report([0, np.nan])])
    with pytest.raises(CapabilityError, match="'a' has no rmse; it has ndcg_at_10"):
        one([report], [report], metric="rmse")
    with pytest.raises(ConfigError, match="no mean over users"):
        one([report], [report], metric="coverage_at_10")
    with pytest.raises(ConfigError, match="'c' is none of the models: a"):
        compare({"a": [report]}, reference="c", metric=NDCG.at(10))
    with pytest.raises(ConfigError, match="confidence between 0 and 1"):
        one([report], [report], confidence=95)
    with pytest.raises(ConfigError, match="at least one sample"):
        one([report], [report], samples=0)
    assert one([report], [report], samples=1).p_value == 1
