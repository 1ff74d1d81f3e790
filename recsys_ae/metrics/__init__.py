"""Metrics: pure functions of arrays. The names under which reports list them stand here, family by family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

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


RATING: Mapping[str, Callable[[Predictions], Mean]] = {"rmse": rmse, "mae": mae}
RANKING: Mapping[str, UserMetric] = {
    "precision": precision,
    "recall": recall,
    "hit_rate": hit_rate,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "ndcg": ndcg,
}
BEYOND: Mapping[str, UserMetric] = {"novelty": novelty, "popularity_bias": popularity_bias}
CATALOGUE: Mapping[str, Callable[[Exposure], float]] = {"coverage": coverage, "gini": gini}

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
    "ndcg",
    "novelty",
    "popularity_bias",
    "precision",
    "recall",
    "reciprocal_rank",
    "rmse",
]
