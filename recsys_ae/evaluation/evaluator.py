"""From a fitted model and a split to a report. Sees the protocol, never a model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ratings import Ratings
from recsys_ae.evaluation.blocks import (
    check_fits,
    check_predicts,
    holdout_blocks,
    ranking_size,
    relevant_part,
    warm_pairs,
)
from recsys_ae.evaluation.config import EvaluationConfig
from recsys_ae.evaluation.judging import Familiarity, judge
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import (
    BEYOND,
    CATALOGUE,
    RANKING,
    RATING,
    Exposure,
    Judged,
    Predictions,
    mean_over_users,
    rating_value,
)
from recsys_ae.metrics.rating import absolute_errors, squared_errors
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.split import Split

Columns = dict[str, np.ndarray]
Values = dict[str, float]

FALLBACK = (
    "A cold pair (user without fold-in ratings or item without training ratings) is predicted by the "
    "model's answer for an empty row; it counts in rmse and mae, not in rmse_warm and mae_warm."
)


def evaluate(
    recommender: Recommender,
    split: Split,
    config: EvaluationConfig | None = None,
    *,
    batch_size: int = 1024,
) -> Report:
    """All metrics that the model is capable of, on the holdout of `split`.

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
    metrics: Values = {}
    if recommender.predicts_ratings and len(evaluated):
        predictions = predict_holdout(recommender, split, batch_size=batch_size)
        metrics |= _rating_metrics(predictions)
        per_user |= _errors_per_user(predictions, split)
    if recommender.ranks and len(evaluated):
        columns, spread = _rank(recommender, split, relevant, config.cutoffs, batch_size)
        metrics |= {name: mean_over_users(column) for name, column in columns.items()} | spread
        per_user |= columns
    return Report(
        metrics={name: value for name, value in metrics.items() if not np.isnan(value)},
        users=split.holdout.users.ids[evaluated],
        per_user=per_user,
        counts=_counts(split, relevant),
        fallback=FALLBACK,
        split_name=split.name,
        seed=split.seed,
        data_fingerprint=whole(split).fingerprint(),
        split_fingerprint=split.fingerprint(),
        relevant=config.relevant,
    )


def predict_holdout(recommender: Recommender, split: Split, *, batch_size: int = 1024) -> Predictions:
    """Predicted beside actual ratings of the holdout, in the order of its matrix.

    Raises CapabilityError where the model does not predict ratings.
    """
    check_predicts(recommender, "rmse")
    check_fits(recommender, split)
    holdout = split.holdout
    parts: list[np.ndarray] = [
        recommender.score_pairs(block.batch, *block.pairs())
        for block in holdout_blocks(split, holdout, batch_size)
    ]
    return Predictions(
        users=holdout.rows(),
        items=holdout.columns.astype(np.int64),
        actual=holdout.values,
        predicted=np.concatenate(parts) if parts else np.empty(0, dtype=np.float32),
        warm=warm_pairs(split),
    )


def whole(split: Split) -> Ratings:
    """The ratings that were split: all entries of the three parts on one matrix."""
    parts = (split.train, split.holdout, *((split.fold_in,) if split.of_users else ()))
    cells = np.concatenate([part.rows() * part.n_items + part.columns for part in parts])
    _, order = np.unique(cells, return_index=True)
    rows, columns = np.divmod(cells[order], max(split.train.n_items, 1))
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=split.train.n_users))])
    values = np.concatenate([part.values for part in parts])[order]
    times = None
    if split.train.timestamps is not None:
        times = np.concatenate([part.timestamps for part in parts])[order]
    matrix = csr_array((values, columns, starts), shape=split.train.matrix.shape)
    return Ratings(matrix, split.train.users, split.train.items, times, split.train.scale)


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


def _rating_metrics(predictions: Predictions) -> Values:
    values: Values = {}
    for suffix, part in (("", predictions), ("_warm", predictions.warm_only())):
        values |= {name + suffix: rating_value(name, part) for name in RATING}
    return values


def _errors_per_user(predictions: Predictions, split: Split) -> Columns:
    columns: Columns = {}
    for suffix, part in (("", predictions), ("_warm", predictions.warm_only())):
        weights = {
            "squared_error_sum": squared_errors(part),
            "absolute_error_sum": absolute_errors(part),
            "n_predicted": np.ones(len(part)),
        }
        for name, values in weights.items():
            sums = np.bincount(part.users, weights=values, minlength=split.holdout.n_users)
            columns[name + suffix] = sums[split.evaluated_users].astype(np.float64)  # int64 of no pairs
    return columns


def _rank(
    recommender: Recommender, split: Split, relevant: Ratings, cutoffs: tuple[int, ...], batch_size: int
) -> tuple[Columns, Values]:
    """Values per user, and those of the catalogue."""
    n_items = split.train.n_items
    exposures = {cutoff: Exposure(np.zeros(n_items, dtype=np.int64)) for cutoff in cutoffs}
    collected: dict[str, list[np.ndarray]] = {}
    for judged in _judged(recommender, split, relevant, max(cutoffs), batch_size):
        for cutoff in cutoffs:
            exposures[cutoff] += Exposure.of(judged.items[:, :cutoff], n_items)
            for name, metric in (RANKING | BEYOND).items():
                collected.setdefault(f"{name}_at_{cutoff}", []).append(metric(judged, cutoff=cutoff))
    columns = {name: np.concatenate(parts) for name, parts in collected.items()}
    spread = {f"{name}_at_{c}": metric(exposures[c]) for c in cutoffs for name, metric in CATALOGUE.items()}
    return columns, spread


def _judged(
    recommender: Recommender, split: Split, relevant: Ratings, n: int, batch_size: int
) -> Iterator[Judged]:
    familiarity = Familiarity.of(split)
    for block in holdout_blocks(split, relevant, ranking_size(batch_size, split.train.n_items)):
        yield judge(recommender, block, familiarity, n=n)
