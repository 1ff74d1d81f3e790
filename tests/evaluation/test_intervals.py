"""Intervals of single figures and of groups: against closed forms and against the comparison of reports."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from recsys_ae.data.ids import IdMap
from recsys_ae.evaluation.comparison import compare
from recsys_ae.evaluation.intervals import bounds, by_activity, of_items, of_users
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import NDCG, RECALL, RMSE

METRIC = NDCG.at(10)


def report(values, history=None, *, seed=0, users=None, **more) -> Report:
    values = np.asarray(values, dtype=np.float64)
    users = np.arange(len(values)) if users is None else users
    history = np.arange(len(values)) + 1.0 if history is None else np.asarray(history, dtype=np.float64)
    per_user = {"n_history": history, METRIC.key: values}
    figure = float(np.nanmean(values))
    return Report({METRIC.key: figure}, users, per_user, {}, "", "random", seed, "d", f"s{seed}", **more)


def test_the_interval_of_a_mean_of_one_seed_is_students():
    values = np.random.default_rng(0).normal(0.3, 0.1, 80)
    values[7] = np.nan
    known = values[~np.isnan(values)]
    found = of_users([report(values)], METRIC).estimate(METRIC)
    half = t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / math.sqrt(len(known))
    assert (found.value, found.n) == (pytest.approx(known.mean()), 79)
    assert (found.low, found.high) == pytest.approx((known.mean() - half, known.mean() + half), rel=1e-6)


def test_few_units_have_no_interval():
    found = of_users([report([0.1] * 29)], METRIC).estimate(METRIC)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert math.isfinite(of_users([report([0.1] * 30)], METRIC).estimate(METRIC).low)
    nothing = of_users([report([0.1] * 29)], METRIC).estimate(METRIC, np.zeros(29, dtype=bool))
    assert nothing.n == 0
    assert math.isnan(nothing.value)


@pytest.mark.parametrize("seeds", [1, 3])
def test_differences_of_all_users_are_those_of_the_comparison(seeds):
    rng = np.random.default_rng(1)
    ours = [report(rng.random(60), seed=s, users=np.sort(rng.permutation(70)[:60])) for s in range(seeds)]
    theirs = [report(rng.random(60), seed=s, users=ours[s].users) for s in range(seeds)]
    (expected,) = compare({"a": ours, "b": theirs}, reference="b", metrics=[METRIC])
    units = of_users(ours, METRIC).against(of_users(theirs, METRIC))
    found = units.estimate(METRIC)
    assert (found.value, found.low, found.high, found.n) == pytest.approx(
        (expected.difference, expected.low, expected.high, expected.n_users)
    )


def test_groups_are_even_cover_all_and_keep_equal_activities_together():
    history = np.repeat([1, 2, 3, 5, 9, 40], [100, 20, 20, 20, 20, 20])
    values = np.linspace(0, 1, 200)
    units = of_users([report(values, history)], METRIC)
    groups = bounds(units)
    assert groups == [(1, 1), (2, 5), (9, 40)]
    found = by_activity(units, METRIC, groups)
    assert [one.n for one in found] == [100, 60, 40]
    assert [one.value for one in found] == pytest.approx(
        [values[:100].mean(), values[100:160].mean(), values[160:].mean()]
    )
    assert bounds(of_users([report([0.5] * 40, [7] * 40)], METRIC)) == [(7, 7)]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 70)), min_size=1, max_size=9))
def test_no_group_is_too_small_for_an_interval(levels):
    """Unless there is one alone; together they are all units."""
    history = np.concatenate([np.full(n, level) for level, n in levels])
    units = of_users([report(np.linspace(0, 1, len(history)), history)], METRIC)
    groups = bounds(units)
    sizes = [one.n for one in by_activity(units, METRIC, groups)]
    assert sum(sizes) == len(history)
    assert min(sizes) >= 30 or len(groups) == 1
    assert all(most < least for (_, most), (least, _) in pairwise(groups))


def test_the_activity_of_users_in_some_seeds_is_their_mean_there():
    first = report([0.1, 0.2], [4, 10], users=np.array([5, 9]))
    second = report([0.3, 0.4], [20, 6], users=np.array([2, 5]), seed=1)
    units = of_users([first, second], METRIC)
    assert units.ids.tolist() == [2, 5, 9]
    assert units.activity.tolist() == [20, 5, 10]


def test_items_are_judged_by_errors_and_by_what_was_found():
    items = {
        "n_train": np.array([1.0, 2.0]),
        "squared_error_sum": np.array([4.0, 9.0]),
        "n_predicted": np.array([1.0, 3.0]),
        "n_relevant": np.array([1.0, 4.0]),
        "hits_at_10": np.array([0.0, 2.0]),
    }
    one = replace(report([0.5]), items=IdMap(np.array([3, 8])).ids, per_item=items)
    assert of_items([one], RMSE).estimate(RMSE).value == pytest.approx(math.sqrt(13 / 4))
    assert of_items([one], RECALL.at(10)).estimate(RECALL.at(10)).value == pytest.approx(2 / 5)
    assert of_items([one], RECALL.at(5)) is None  # another cutoff than the first
    assert of_items([report([0.5])], RMSE) is None
    assert of_users([report([0.5])], RMSE) is None
