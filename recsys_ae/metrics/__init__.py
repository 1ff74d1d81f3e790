"""Metrics: pure functions of arrays. The names under which reports list them stand here, family by family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from recsys_ae.metrics.beyond import novelty, popularity_bias
from recsys_ae.metrics.catalogue import coverage, gini
from recsys_ae.metrics.inputs import Exposure, Judged, Predictions
from recsys_ae.metrics.ranking import (
    average_precision,
    hit_rate,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)
from recsys_ae.metrics.rating import mae, rmse
from recsys_ae.types import FloatVector, Mean


class UserMetric(Protocol):
    """One value per user of a block; NaN where the metric is not defined for a user."""

    def __call__(self, judged: Judged, *, cutoff: int) -> FloatVector: ...


RATING: dict[str, Callable[[Predictions], Mean]] = {"rmse": rmse, "mae": mae}
RANKING: dict[str, UserMetric] = {
    "precision": precision,
    "recall": recall,
    "hit_rate": hit_rate,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "ndcg": ndcg,
}
BEYOND: dict[str, UserMetric] = {"novelty": novelty, "popularity_bias": popularity_bias}
CATALOGUE: dict[str, Callable[[Exposure], float]] = {"coverage": coverage, "gini": gini}


def mean_over_users(values: FloatVector) -> float:
    """Mean over the users for whom a metric is defined (not NaN); NaN where it is for none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def rating_value(name: str, predictions: Predictions) -> float:
    """A rating metric as it is reported, in rating units; NaN where nothing is predicted."""
    if len(predictions) == 0:
        return float("nan")
    mean = RATING[name](predictions).value
    return mean**0.5 if name == "rmse" else mean


__all__ = [
    "BEYOND",
    "CATALOGUE",
    "RANKING",
    "RATING",
    "Exposure",
    "Judged",
    "Predictions",
    "UserMetric",
    "average_precision",
    "coverage",
    "gini",
    "hit_rate",
    "mae",
    "mean_over_users",
    "ndcg",
    "novelty",
    "popularity_bias",
    "precision",
    "rating_value",
    "recall",
    "reciprocal_rank",
    "rmse",
]
