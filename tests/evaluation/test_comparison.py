"""Who is compared with whom, on which users, and how many tests that makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys_ae.errors import ConfigError, DataError
from recsys_ae.evaluation.comparison import compare, holm
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import NDCG, RMSE, find_metric

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


def both(values, squares):
    """A report with a metric of lists and one of ratings."""
    lists, ratings = ranking_report(values), rating_report(squares, np.ones(len(squares)))
    return replace(
        lists, metrics={**lists.metrics, **ratings.metrics}, per_user={**lists.per_user, **ratings.per_user}
    )


def one(ours, theirs, metric=KEY, **options):
    (found,) = compare({"a": ours, "b": theirs}, reference="b", metrics=[find_metric(metric)], **options)
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


def test_one_seed_of_lists_is_the_paired_t_test():
    rng = np.random.default_rng(1)
    ours, theirs = rng.random(80), rng.random(80) + 0.1
    found = one([ranking_report(ours)], [ranking_report(theirs)], confidence=0.9)
    expected = stats.ttest_rel(ours, theirs)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.9)))
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.n_seeds, found.note) == (1, "")


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """Skewed differences between users, correlated models, true difference 0.1; 600 trials of 80 users."""
    rng = np.random.default_rng(3)
    held = rejected = 0
    for _ in range(600):
        theirs = rng.gamma(2.0, 0.5, 80)
        ours = theirs + 0.1 + 0.5 * (rng.exponential(size=80) - 1)
        found = one([ranking_report(ours)], [ranking_report(theirs)], confidence=0.9)
        held += found.low <= 0.1 <= found.high
        null = one([ranking_report(ours - 0.1)], [ranking_report(theirs)])
        rejected += null.p_value <= 0.1
    assert 0.85 < held / 600 < 0.94
    assert held + rejected == 600  # the interval and the test say the same


def test_seeds_of_a_user_are_taken_together():
    """Twice the same seed adds no information: the interval must not shrink."""
    rng = np.random.default_rng(4)
    ours, theirs = ranking_report(rng.random(60)), ranking_report(rng.random(60))
    single, double = one([ours], [theirs]), one([ours, ours], [theirs, theirs])
    assert (double.low, double.high) == pytest.approx((single.low, single.high))
    assert double.n_users == single.n_users == 60
    assert (single.n_seeds, double.n_seeds) == (1, 2)


def test_seeds_with_other_users_are_joined_by_id():
    ours = [ranking_report([1, 0], users=["a", "b"]), ranking_report([1, 1, 0], users=["b", "c", "d"])]
    theirs = [ranking_report([0, 0], users=["a", "b"]), ranking_report([0, 0, 0], users=["b", "c", "d"])]
    found = one(ours, theirs)
    assert found.n_users == 4
    assert found.difference == pytest.approx((1 / 2 + 2 / 3) / 2)  # the mean of the seeds' differences


def test_undefined_users_are_skipped_and_counted():
    found = one([ranking_report([1, np.nan, 0.5, 0.25])], [ranking_report([0, np.nan, 0.5, 0.75])])
    assert (found.n_users, found.n_skipped) == (3, 1)
    assert found.difference == pytest.approx((1 + 0 - 0.5) / 3)


@pytest.mark.parametrize("n_users", [0, 1, 2, 29])
def test_few_users_are_no_test(n_users):
    rng = np.random.default_rng(5)
    ours, theirs = rng.random(31), rng.random(31)
    ours[n_users:] = np.nan
    mine = replace(ranking_report(theirs), per_user={KEY: ours})
    found = one([mine] * 2, [ranking_report(theirs)] * 2)
    expected = (ours - theirs)[:n_users].mean() if n_users else np.nan
    assert found.difference == pytest.approx(expected, nan_ok=True)
    assert np.isnan([found.low, found.high, found.p_value, found.p_adjusted]).all()
    assert found.note == found.to_json()["note"] == f"too few users ({n_users}) for a test"


def test_thirty_users_are_a_test():
    found = one([ranking_report(np.arange(30) / 10)], [ranking_report(np.zeros(30))])
    assert found.p_value < 0.001
    assert found.to_json()["note"] is None


def test_equal_models_do_not_differ():
    same = ranking_report(np.random.default_rng(5).random(30))
    found = one([same], [same])
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_every_star_can_be_earned():
    """By one seed and by five, beside twenty other models."""
    rng = np.random.default_rng(6)
    base = rng.random(300)
    for n_seeds in (1, 5):
        reports = {f"model {n}": [ranking_report(base + rng.normal(size=300))] * n_seeds for n in range(20)}
        reports["far"] = [ranking_report(base + 1 + rng.normal(size=300)) for _ in range(n_seeds)]
        reports["ref"] = [ranking_report(base)] * n_seeds
        found = {each.name: each for each in compare(reports, reference="ref", metrics=[NDCG.at(10)])}
        assert found["far"].p_adjusted < 0.001


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


def test_all_differences_by_all_metrics_are_one_family():
    rng = np.random.default_rng(7)
    base, errors = rng.random(50), rng.gamma(2.0, size=50)

    def shifted(by):
        return [both(base + by + 0.1 * rng.normal(size=50), errors * (1 - by) + 0.1 * rng.random(50))]

    reports = {"far": shifted(0.2), "ref": shifted(0.0), "near": shifted(0.01)}
    reports["lists"] = [ranking_report(base + 0.05 * rng.normal(size=50))]
    found = compare(reports, reference="ref", metrics=[RMSE, NDCG.at(10)])
    names = [(each.metric, each.name) for each in found]
    assert names == [("rmse", "far"), ("rmse", "near"), (KEY, "far"), (KEY, "near"), (KEY, "lists")]
    expected = holm(np.array([each.p_value for each in found]))
    assert [each.p_adjusted for each in found] == expected.tolist()
    alone = compare(reports, reference="ref", metrics=[NDCG.at(10)])
    assert [each.p_value for each in alone] == [each.p_value for each in found[2:]]
    assert alone[0].p_adjusted == pytest.approx(3 * alone[0].p_value)  # the smallest of three
    assert found[2].p_adjusted > alone[0].p_adjusted
    assert compare({"ref": reports["ref"]}, reference="ref", metrics=[NDCG.at(10)]) == []


def test_untested_differences_are_not_in_the_family():
    rng = np.random.default_rng(8)
    few = rng.random(40)
    few[20:] = np.nan
    values = {"few": few, "ref": rng.random(40), "all": rng.random(40)}
    reports = {name: [ranking_report(each)] for name, each in values.items()}
    untested, tested = compare(reports, reference="ref", metrics=[NDCG.at(10)])
    assert np.isnan(untested.p_adjusted)
    assert tested.p_adjusted == tested.p_value


def test_what_cannot_be_compared_is_refused():
    report = ranking_report([0, 1, 0.5])
    other = replace(report, data_fingerprint="e")
    with pytest.raises(DataError, match="evaluate both on the same split"):
        one([report], [ranking_report([0, 1, 0.5], fingerprint="t")])
    with pytest.raises(DataError, match=r"'a' \(split s, rated 4 or more\) .* \(split s, all held out\)"):
        one([replace(report, relevant=4.0)], [report])
    errors = rating_report([1.0, 2.0, 0.5], [1, 1, 1])
    found = compare({"a": [replace(errors, relevant=4.0)], "b": [errors]}, reference="b", metrics=[RMSE])
    assert found[0].difference == 0  # nothing of predicted ratings is a hit
    with pytest.raises(DataError, match="different data"):
        one([report, other], [report, other])
    with pytest.raises(DataError, match="one per seed"):
        one([report, report], [report])
    with pytest.raises(ConfigError, match="no mean over users"):
        one([report], [report], metric="coverage_at_10")
    with pytest.raises(ConfigError, match="'c' is none of the models: a"):
        compare({"a": [report]}, reference="c", metrics=[NDCG.at(10)])
    with pytest.raises(ConfigError, match="confidence between 0 and 1"):
        one([report], [report], confidence=95)
