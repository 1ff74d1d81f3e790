"""Rating metrics against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from recsys_ae.metrics import Predictions, mae, mean_over_users, rating_value, rmse


def predictions(actual, predicted, warm=None):
    m = len(actual)
    return Predictions(
        users=np.arange(m),
        items=np.arange(m),
        actual=np.array(actual, dtype=np.float32),
        predicted=np.array(predicted, dtype=np.float32),
        warm=np.ones(m, dtype=bool) if warm is None else np.array(warm),
    )


def test_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    actual, predicted = rng.integers(0, 11, 500), rng.normal(5, 2, 500).astype(np.float32).astype(float)
    both = predictions(actual, predicted)
    assert rating_value("rmse", both) == pytest.approx(root_mean_squared_error(actual, predicted), rel=1e-9)
    assert rating_value("mae", both) == pytest.approx(mean_absolute_error(actual, predicted), rel=1e-9)


def test_travel_as_sum_and_count():
    first, second = predictions([1, 2, 3], [1, 4, 0]), predictions([0], [2])
    assert (rmse(first).sum, rmse(first).count) == (13.0, 3)
    assert (mae(first).sum, mae(first).count) == (5.0, 3)
    joined = rmse(first) + rmse(second)
    assert joined.value == 17 / 4  # not the mean of two means


def test_warm_pairs_only():
    part = predictions([1, 5], [1, 2], warm=[True, False]).warm_only()
    assert len(part) == 1
    assert rating_value("rmse", part) == 0


def test_nothing_predicted_is_undefined():
    assert np.isnan(rating_value("rmse", predictions([], [])))


def test_mean_skips_undefined_users():
    assert mean_over_users(np.array([1.0, np.nan, 2.0])) == 1.5
    assert np.isnan(mean_over_users(np.array([np.nan])))
