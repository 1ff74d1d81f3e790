"""Rating metrics against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from recsys_ae.metrics import MAE, NDCG, RMSE, Predictions


def predictions(actual, predicted, warm=None):
    m = len(actual)
    return Predictions(
        users=np.arange(m),
        items=np.arange(m),
        actual=np.array(actual, dtype=np.float32),
        predicted=np.array(predicted, dtype=np.float32),
        warm=np.ones(m, dtype=bool) if warm is None else np.array(warm),
    )


def figure(metric, predictions):
    return metric.figure_of(metric.function(predictions))


def test_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    actual, predicted = rng.integers(0, 11, 500), rng.normal(5, 2, 500).astype(np.float32).astype(float)
    both = predictions(actual, predicted)
    assert figure(RMSE, both) == pytest.approx(root_mean_squared_error(actual, predicted), rel=1e-9)
    assert figure(MAE, both) == pytest.approx(mean_absolute_error(actual, predicted), rel=1e-9)


def test_travel_as_sum_and_count():
    first, second = predictions([1, 2, 3], [1, 4, 0]), predictions([0], [2])
    squares, absolutes = RMSE.function(first), MAE.function(first)
    assert (squares.sum(), len(squares)) == (13.0, 3)
    assert (absolutes.sum(), len(absolutes)) == (5.0, 3)
    joined = RMSE.figure(squares.sum() + RMSE.function(second).sum(), 3 + 1)
    assert joined == (17 / 4) ** 0.5  # not the mean of two means
    assert MAE.figure(absolutes.sum() + MAE.function(second).sum(), 3 + 1) == 7 / 4


def test_warm_pairs_only():
    part = predictions([1, 5], [1, 2], warm=[True, False]).warm_only()
    assert len(part) == 1
    assert figure(RMSE, part) == 0


def test_nothing_predicted_is_undefined():
    assert np.isnan(figure(RMSE, predictions([], [])))


def test_mean_skips_undefined_users():
    assert NDCG.figure_of(np.array([1.0, np.nan, 2.0])) == 1.5
    assert np.isnan(NDCG.figure_of(np.array([np.nan])))


def test_a_prediction_that_is_no_number_is_not_left_out_of_the_mean():
    assert np.isnan(figure(RMSE, predictions([1, 2], [1, np.nan])))
