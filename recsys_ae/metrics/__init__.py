"""All metrics, family by family, and the only readers of their names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from recsys_ae.metrics.beyond import BEYOND, CATALOGUE, COVERAGE
from recsys_ae.metrics.metric import Judged, Metric, Popularity, Predictions, sort_key
from recsys_ae.metrics.ranking import NDCG, RANKING, RECALL
from recsys_ae.metrics.rating import MAE, RATING, RMSE

METRICS = (*RATING, *RANKING, *BEYOND, *CATALOGUE)
_COSTS = frozenset({"fit_seconds", "epoch_seconds", "evaluate_seconds", "tuning_seconds", "peak_memory_mb"})


def metrics_at(cutoffs: Sequence[int]) -> tuple[Metric, ...]:
    """Every metric that a report can have, in its order: those of lists once for each different cutoff."""
    depths = tuple(dict.fromkeys(cutoffs))
    of_users = [metric.at(depth) for depth in depths for metric in (*RANKING, *BEYOND)]
    return (*RATING, *of_users, *(metric.at(depth) for depth in depths for metric in CATALOGUE))


def main_metrics(cutoff: int) -> tuple[Metric, Metric]:
    """The metrics that models are chosen and compared by: one of predicted ratings, one of lists."""
    return RMSE, NDCG.at(cutoff)


def summary_metrics(cutoff: int) -> tuple[Metric, ...]:
    """The metrics that a table of models shows."""
    return tuple(metric.at(cutoff) for metric in (RMSE, MAE, NDCG, RECALL, COVERAGE))


def find_metric(name: str) -> Metric | None:
    """The metric that a name means: a key of a report ("ndcg_at_10"), with or without something before the
    last slash ("test/rmse", "validation/ndcg_at_10", "i-autorec/rmse"), or without its cutoff ("ndcg").
    None where the name means none."""
    found = re.fullmatch(r"(?:.*/)?(?P<key>.+?)(?:_at_(?P<cutoff>[1-9][0-9]*))?", name, re.DOTALL)
    metric = next((metric for metric in METRICS if found and metric.key == found["key"]), None)
    if metric is None or found is None or found["cutoff"] is None:
        return metric
    return None if metric.family == "rating" else metric.at(int(found["cutoff"]))


def is_ranking_metric(name: str) -> bool:
    """Whether a name means a metric that counts hits in lists, and so depends on what is relevant."""
    metric = find_metric(name)
    return metric is not None and metric.family == "ranking"


def is_rating_metric(name: str) -> bool:
    """Whether a name means an error of predicted ratings, which has their unit."""
    metric = find_metric(name)
    return metric is not None and metric.family == "rating"


def higher_is_better(name: str) -> bool | None:
    """The direction of anything that is tracked: metrics, losses ("train/total"), costs ("fit_seconds").
    None where it has none, or none is known."""
    if metric := find_metric(name):
        return metric.higher_is_better
    return False if name.startswith("train/") or name.rpartition("/")[2] in _COSTS else None


__all__ = [
    "BEYOND", "CATALOGUE", "COVERAGE", "MAE", "METRICS", "NDCG", "RANKING", "RATING", "RECALL", "RMSE",
    "Judged", "Metric", "Popularity", "Predictions", "find_metric", "higher_is_better", "is_ranking_metric",
    "is_rating_metric", "main_metrics", "metrics_at", "sort_key", "summary_metrics",
]  # fmt: skip
