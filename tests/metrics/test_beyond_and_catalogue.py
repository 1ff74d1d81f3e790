"""Novelty, popularity bias, coverage and Gini, by hand and against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import slow_delta_gap, slow_gini, slow_novelty

from recsys_ae.metrics import Judged, Popularity
from recsys_ae.metrics.beyond import coverage, gini, novelty, popularity_bias


def judged(lists, raters, n_training_users, histories=None, n=4):
    popularity = np.array(raters) / n_training_users
    histories = histories or [[] for _ in lists]
    means = np.array([popularity[h].mean() if len(h) else np.nan for h in map(list, histories)])
    usual = means[~np.isnan(means)]
    items = np.array([[*row, *[-1] * (n - len(row))] for row in lists], dtype=np.int64).reshape(len(lists), n)
    mean = float(usual.mean()) if len(usual) else float("nan")
    none, relevant = np.zeros(items.shape), np.ones(len(lists), dtype=np.int64)
    return Judged(items, none, relevant, none, Popularity(popularity, n_training_users, means, mean))


def test_novelty_by_hand():
    block = judged([[0, 1], [2, 3], [], [0]], raters=[8, 4, 1, 0], n_training_users=8)
    # everyone knows item 0: 0 bits; half know 1: 1 bit; one of eight knows 2: 3 bits; nobody 3: as 2
    with np.errstate(invalid="raise"):  # an empty list is left out, not divided by zero
        np.testing.assert_allclose(novelty(block, cutoff=4), [0.5, 3.0, np.nan, 0.0])
    np.testing.assert_allclose(novelty(block, cutoff=1), [0.0, 3.0, np.nan, 0.0])


def test_popularity_bias_by_hand():
    block = judged([[0], [2], [0]], raters=[8, 4, 2], n_training_users=8, histories=[[1], [1, 2], []])
    usual = (0.5 + 0.375) / 2
    expected = [(1 - 0.5) / usual, (0.25 - 0.375) / usual, np.nan]
    np.testing.assert_allclose(popularity_bias(block, cutoff=1), expected)


def test_popularity_bias_without_any_history_is_undefined():
    assert np.isnan(popularity_bias(judged([[0]], [1], 1), cutoff=1)).all()


@given(st.data())
def test_beyond_equals_the_plain_loop(data):
    n_items, users = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    n_training_users = data.draw(st.integers(1, 9))
    raters = data.draw(st.lists(st.integers(0, n_training_users), min_size=n_items, max_size=n_items))
    rows = st.lists(st.integers(0, n_items - 1), unique=True, max_size=4)
    lists = data.draw(st.lists(rows, min_size=users, max_size=users))
    cutoff = data.draw(st.integers(1, 4))
    block = judged(lists, raters, n_training_users)
    slow = [slow_novelty(row, raters, n_training_users, cutoff) for row in lists]
    expected = [np.nan if value is None else value for value in slow]
    np.testing.assert_allclose(novelty(block, cutoff=cutoff), expected, atol=1e-12)


@given(st.data())
def test_mean_popularity_bias_is_delta_gap(data):
    n_items, n_training_users = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 9))
    raters = data.draw(st.lists(st.integers(1, n_training_users), min_size=n_items, max_size=n_items))
    rows = st.lists(st.integers(0, n_items - 1), unique=True, min_size=1, max_size=4)
    lists, histories = (
        data.draw(st.lists(rows, min_size=3, max_size=3)),
        data.draw(st.lists(rows, min_size=3, max_size=3)),
    )
    block = judged(lists, raters, n_training_users, histories)
    expected = slow_delta_gap(lists, dict(enumerate(histories)), raters, n_training_users, 2)
    assert popularity_bias(block, cutoff=2).mean() == pytest.approx(expected, abs=1e-12)


def test_catalogue_by_hand():
    assert coverage(np.array([3, 1, 1, 0])) == 0.75
    assert gini(np.array([2, 2, 2])) == 0
    assert gini(np.array([0, 6, 0])) == 1


def test_catalogue_where_nothing_is_defined():
    assert np.isnan(gini(np.array([0, 0])))
    assert np.isnan(gini(np.array([3])))
    assert np.isnan(coverage(np.array([], dtype=np.int64)))


@given(st.lists(st.integers(0, 20), min_size=2, max_size=8).filter(any))
def test_gini_equals_the_mean_difference_of_pairs(counts):
    found = gini(np.array(counts))
    assert found == pytest.approx(slow_gini(counts), abs=1e-12)
    assert -1e-12 <= found <= 1 + 1e-12
