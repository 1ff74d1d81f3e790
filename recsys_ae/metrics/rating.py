"""Errors of predicted ratings, in rating units. Sums in float64, divided once, where they are reported.

Herlocker, Konstan, Terveen and Riedl, "Evaluating collaborative filtering recommender systems", ACM TOIS
22(1), 2004, section 4.1.
"""

from __future__ import annotations

import numpy as np

from recsys_ae.metrics.inputs import Predictions
from recsys_ae.types import FloatVector, Mean


def squared_errors(predictions: Predictions) -> FloatVector:
    """(m,) float64 (predicted - actual)²."""
    return _errors(predictions) ** 2


def absolute_errors(predictions: Predictions) -> FloatVector:
    """(m,) float64 |predicted - actual|."""
    return np.abs(_errors(predictions))


def rmse(predictions: Predictions) -> Mean:
    """Mean squared error as (sum, count); the root is taken by who reports: `value ** 0.5`.

    Every rating counts the same, not every user.
    """
    return Mean(float(squared_errors(predictions).sum()), len(predictions))


def mae(predictions: Predictions) -> Mean:
    """Mean absolute error as (sum, count). Every rating counts the same, not every user."""
    return Mean(float(absolute_errors(predictions).sum()), len(predictions))


def _errors(predictions: Predictions) -> FloatVector:
    return predictions.predicted.astype(np.float64) - predictions.actual.astype(np.float64)
