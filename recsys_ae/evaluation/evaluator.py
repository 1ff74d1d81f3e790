"""From a fitted model and a split to a report. Sees the protocol, never a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recsys_ae.data.ratings import Ratings
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.holdout import (
    check_capable,
    check_fits,
    holdout_blocks,
    popularity_of,
    predictions,
    ranked_lists,
    relevant_part,
    unpredicted,
    warm_pairs,
)
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import RATING, RMSE, Predictions, metrics_at
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.split import Split

Columns = dict[str, np.ndarray]
Values = dict[str, float]

FALLBACK = (
    "A cold pair (user without fold-in ratings or item without training ratings) is predicted by the "
    "model's answer for an empty row; it counts in rmse and mae, not in rmse_warm and mae_warm."
)


def evaluate(
    recommender: Recommender, split: Split, config: EvaluationConfig | None = None, *, batch_size: int = 1024
) -> Report:
    """All metrics that the model is capable of, on the holdout of `split`, and its predictions there.

    Rankings are over the full catalogue without the user's fold-in. Users are scored `batch_size` at a time;
    the result does not depend on it. Without holdout the report has counts and no metrics.
    Raises DataError where model and split differ in users or items, CapabilityError where a split of users
    meets a model that does not fold in.
    """
    config = config or EvaluationConfig()
    check_fits(recommender, split)
    evaluated = split.evaluated_users
    relevant = relevant_part(split.holdout, config.relevant)
    per_user: Columns = {"n_history": np.diff(split.fold_in.matrix.indptr)[evaluated].astype(np.float64)}
    values: Values = {}
    predicted = None
    if recommender.predicts_ratings and len(evaluated):
        predicted = predict_holdout(recommender, split, batch_size=batch_size)
        columns, found = _rate(predicted, split)
        per_user, values = per_user | columns, values | found
    if recommender.ranks and len(evaluated):
        columns, found = _rank(recommender, split, relevant, config.cutoffs, batch_size)
        per_user, values = per_user | columns, values | found
    return Report(
        metrics={key: value for key, value in values.items() if not np.isnan(value)},
        users=split.holdout.users.ids[evaluated],
        per_user=per_user,
        counts=_counts(split, relevant),
        fallback=FALLBACK,
        split_name=split.config.kind,
        seed=split.seed,
        data_fingerprint=split.data_fingerprint,
        split_fingerprint=split.fingerprint(),
        relevant=config.relevant,
        predictions=predicted,
    )


def predict_holdout(recommender: Recommender, split: Split, *, batch_size: int = 1024) -> Predictions:
    """Predicted beside actual ratings of the holdout, in the order of its matrix.

    Raises CapabilityError where the model does not predict ratings.
    """
    check_capable(recommender, RMSE)
    check_fits(recommender, split)
    return predictions(recommender, holdout_blocks(split, split.holdout, batch_size), unpredicted(split))


def _counts(split: Split, relevant: Ratings) -> dict[str, int]:
    with_relevant = int((np.diff(relevant.matrix.indptr) > 0).sum())
    return {
        "evaluated_users": len(split.evaluated_users),
        "holdout_ratings": split.holdout.n_observed,
        "cold_users": split.cold_users,
        "cold_items": split.cold_items,
        "cold_pairs": int((~warm_pairs(split)).sum()),
        "users_without_relevant": len(split.evaluated_users) - with_relevant,
    }


def _rate(predicted: Predictions, split: Split) -> tuple[Columns, Values]:
    """Sums of errors and counts per user, and the figures made of them."""
    columns: Columns = {}
    values: Values = {}
    for metric in RATING:
        part = predicted.warm_only() if metric.warm else predicted
        errors = metric.function(part)
        values[metric.key] = metric.figure_of(errors)
        for name, weights in zip(metric.columns, (errors, np.ones(len(part))), strict=True):
            sums = np.bincount(part.users, weights=weights, minlength=split.holdout.n_users)
            columns[name] = sums[split.evaluated_users].astype(np.float64)  # int64 of no pairs
    return columns, values


def _rank(
    recommender: Recommender, split: Split, relevant: Ratings, cutoffs: Sequence[int], batch_size: int
) -> tuple[Columns, Values]:
    """Values per user, and the figures: means of them, and those of the catalogue."""
    metrics, n_items = metrics_at(cutoffs), split.train.n_items
    of_users = [metric for metric in metrics if metric.family in ("ranking", "beyond")]
    of_catalogue = [metric for metric in metrics if metric.family == "catalogue"]
    exposures = {cutoff: np.zeros(n_items, dtype=np.int64) for cutoff in cutoffs}
    collected: dict[str, list[np.ndarray]] = {metric.key: [] for metric in of_users}
    blocks = holdout_blocks(split, relevant, batch_size)
    for judged in ranked_lists(recommender, blocks, popularity_of(split), n=max(cutoffs)):
        for cutoff, exposure in exposures.items():
            listed = judged.items[:, :cutoff]
            exposure += np.bincount(listed[listed >= 0], minlength=n_items)
        for metric in of_users:
            collected[metric.key].append(metric.function(judged, cutoff=metric.cutoff))
    columns = {key: np.concatenate(parts) for key, parts in collected.items()}
    values = {metric.key: metric.figure_of(columns[metric.key]) for metric in of_users}
    return columns, values | {m.key: m.function(exposures[m.cutoff or 0]) for m in of_catalogue}
