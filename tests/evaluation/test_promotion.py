"""Who may become champion: judged against a bootstrap written out, and by how often luck is enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recsys_ae.errors import ConfigError, DataError
from recsys_ae.evaluation.promotion import Guard, judge, metric_of, of_test, passes_by_luck, why_apart
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import NDCG, RMSE

LISTS = NDCG.at(10)


def of_lists(values, *, coverage: float = 0.5) -> Report:
    values = np.asarray(values, dtype=float)
    return Report(
        metrics={LISTS.key: float(values.mean()), "coverage_at_10": coverage},
        users=np.arange(len(values)),
        per_user={LISTS.key: values},
        counts={},
        fallback="",
        split_name="toy",
        seed=0,
        data_fingerprint="d",
        split_fingerprint="s",
    )


def of_ratings(squares, counts) -> Report:
    rmse = float((squares.sum() / counts.sum()) ** 0.5)
    per_user = {"squared_error_sum": squares, "n_predicted": counts}
    return replace(of_lists(np.zeros(len(squares))), metrics={"rmse": rmse}, per_user=per_user)


def test_the_interval_is_that_of_a_bootstrap_over_users():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 15, 300).astype(float)
    ours, theirs = rng.gamma(counts), 1.1 * rng.gamma(counts)
    drawn = []
    for _ in range(3000):
        some = rng.integers(0, 300, 300)  # users with all that both models did for them
        n = counts[some].sum()
        drawn.append((ours[some].sum() / n) ** 0.5 - (theirs[some].sum() / n) ** 0.5)
    low, high = np.quantile(drawn, [0.025, 0.975])
    found = judge(of_ratings(ours, counts), of_ratings(theirs, counts), RMSE)
    assert (found.difference.low, found.difference.high) == pytest.approx(
        (low, high), abs=0.15 * (high - low)
    )
    assert found.is_better == (high < 0)


@pytest.mark.parametrize("n_users", [30, 300])
def test_equal_models_are_promoted_as_rarely_as_is_said(n_users):
    """Skewed values of users who differ, as those of lists are: many zeros, few large ones."""
    rng = np.random.default_rng(1)
    n, passed = 1200, 0
    for _ in range(n):
        user = rng.beta(0.3, 1.5, n_users)
        ours, theirs = (np.clip(user + rng.normal(0, 0.2, n_users), 0, 1) for _ in range(2))
        passed += judge(of_lists(ours), of_lists(theirs), LISTS).passes
    assert passed / n <= 0.05
    assert passed / n == pytest.approx(0.025, abs=0.02)  # and not because nothing ever passes


def test_the_direction_is_that_of_the_metric():
    rng = np.random.default_rng(2)
    low, high = rng.random(100), rng.random(100) + 0.5
    assert judge(of_lists(high), of_lists(low), LISTS).passes
    worse = judge(of_lists(low), of_lists(high), LISTS)
    assert (worse.passes, worse.is_worse) == (False, True)
    ones = np.ones(100)
    assert judge(of_ratings(low, ones), of_ratings(high, ones), RMSE).passes
    worse = judge(of_ratings(high, ones), of_ratings(low, ones), RMSE)
    assert (worse.passes, worse.is_worse) == (False, True)


def test_the_same_model_again_is_no_better():
    values = np.random.default_rng(3).random(80)
    found = judge(of_lists(values), of_lists(values), LISTS)
    assert (found.is_better, found.is_worse, found.passes) == (False, False, False)


def test_too_few_users_prove_nothing():
    found = judge(of_lists(np.ones(29)), of_lists(np.zeros(29)), LISTS)
    assert not found.is_better
    assert found.difference.note == "too few users (29) for a test"


@pytest.mark.parametrize(
    ("text", "ours", "holds"),
    [
        ("test/coverage_at_10=0.05", 0.46, True),
        ("coverage_at_10=0.05", 0.44, False),
        ("coverage_at_10=0", 0.5, True),
        ("coverage_at_10=0", 0.49, False),
        ("coverage_at_10=0.05", 0.9, True),
        ("coverage_at_10=0.05", np.nan, False),
    ],
)
def test_guards_hold_up_to_their_margin(text, ours, holds):
    better, worse = np.arange(40) / 40 + 0.1, np.arange(40) / 40
    found = judge(of_lists(better, coverage=ours), of_lists(worse), LISTS, [Guard.parse(text)])
    assert found.is_better
    assert (found.passes, found.guards[0].holds) == (holds, holds)


def test_a_guarded_error_must_not_rise():
    rng, ones = np.random.default_rng(4), np.ones(50)
    a, b = (replace(of_lists(rng.random(50)), metrics={LISTS.key: 0.5, "rmse": v}) for v in (1.2, 1.0))
    (up,) = judge(a, b, LISTS, [Guard.parse("rmse=0.1")]).guards
    (down,) = judge(b, a, LISTS, [Guard.parse("rmse=0.1")]).guards
    assert (up.holds, down.holds) == (False, True)
    assert up.loss == pytest.approx(0.2)
    assert of_ratings(ones, ones).metrics == {"rmse": 1.0}


@pytest.mark.parametrize(
    "text",
    ["", "=", "rmse", "rmse=", "rmse=x", "rmse=-1", "rmse=nan", "rmse=inf", "what=1", "validation/rmse=1"],
)
def test_a_guard_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="write METRIC=MARGIN with a metric of the test part"):
        Guard.parse(text)


def test_what_both_must_have():
    lists, ratings = of_lists(np.ones(40)), of_ratings(np.ones(40), np.ones(40))
    with pytest.raises(ConfigError, match="the champion has no test metric 'ndcg_at_10'; it has rmse"):
        judge(lists, ratings, LISTS)
    with pytest.raises(ConfigError, match="the challenger has no test metric 'rmse'; it has ndcg_at_10, cov"):
        judge(lists, lists, LISTS, [Guard.parse("rmse=1")])
    with pytest.raises(ConfigError, match="no mean over users"):
        judge(lists, lists, of_test("coverage_at_10"))


def test_only_tests_of_the_same_part_are_compared():
    one = of_lists(np.random.default_rng(5).random(50))
    assert why_apart(one, one, [LISTS]) == ""
    assert why_apart(one, replace(one, relevant=4.0), [RMSE, of_test("coverage_at_10")]) == ""
    for change, words in (
        ({"data_fingerprint": "e", "split_fingerprint": "t"}, "other ratings"),
        ({"split_fingerprint": "t"}, "another split"),
        ({"relevant": 4.0}, "counts as a hit"),
    ):
        other = replace(one, **change)
        assert words in why_apart(one, other, [RMSE, LISTS])
        if "split" not in str(change) and "relevant" not in str(change):
            continue
        with pytest.raises(DataError):
            judge(one, other, LISTS)


def test_a_model_is_judged_by_what_it_is_for():
    ratings = of_ratings(np.ones(40), np.ones(40))
    both = replace(ratings, metrics={"ndcg_at_5": 0.1, "ndcg_at_10": 0.2, "rmse_warm": 1.0, "rmse": 1.0})
    assert metric_of(both) == RMSE
    lists = replace(both, metrics={"recall_at_5": 0.1, "ndcg_at_5": 0.1, "ndcg_at_10": 0.2})
    assert metric_of(lists) == NDCG.at(5)
    assert metric_of(replace(lists, metrics={"coverage_at_5": 0.1})) is None


def test_many_looks_are_many_chances():
    assert passes_by_luck(1) == pytest.approx(0.025)
    chances = np.random.default_rng(6).random((40_000, 20)) < 0.025
    assert passes_by_luck(20) == pytest.approx(chances.any(axis=1).mean(), abs=0.01)
