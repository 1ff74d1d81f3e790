"""Errors of predicted ratings, in rating units. Every rating counts the same, not every user: errors travel
as sum and count, and are divided once, where they are reported.

Herlocker, Konstan, Terveen and Riedl, "Evaluating collaborative filtering recommender systems", ACM TOIS
22(1), 2004, section 4.1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recsys_ae.metrics.metric import Metric, Predictions
from recsys_ae.types import FloatVector


def squared_errors(predictions: Predictions) -> FloatVector:
    """(m,) float64 (predicted - actual)²."""
    return _errors(predictions) ** 2


def absolute_errors(predictions: Predictions) -> FloatVector:
    """(m,) float64 |predicted - actual|."""
    return np.abs(_errors(predictions))


def _errors(predictions: Predictions) -> FloatVector:
    return predictions.predicted.astype(np.float64) - predictions.actual.astype(np.float64)


RMSE = Metric(
    "rmse", "rating", higher_is_better=False, unit="rating units", function=squared_errors,
    error_sum="squared_error_sum", rooted=True,
)  # fmt: skip
MAE = Metric(
    "mae", "rating", higher_is_better=False, unit="rating units", function=absolute_errors,
    error_sum="absolute_error_sum",
)  # fmt: skip
RATING = (RMSE, MAE, replace(RMSE, warm=True), replace(MAE, warm=True))
