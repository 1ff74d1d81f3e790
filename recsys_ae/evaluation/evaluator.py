"""From a fitted model and a split to a report: predicted ratings, ranked lists, and the figures made of them.
Sees the protocol, never a model."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ratings import Ratings, entry_rows, select_rows
from recsys_ae.errors import CapabilityError, DataError
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.relevance import relevant_part, resolve_relevance
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import RATING, RMSE, Judged, Metric, Popularity, Predictions, metrics_at
from recsys_ae.ranking import top_n
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.split import Split
from recsys_ae.types import (
    BoolVector,
    CountVector,
    FloatMatrix,
    FloatVector,
    PositionMatrix,
    PositionVector,
    Progress,
    unwatched,
)

Columns = dict[str, np.ndarray]
Values = dict[str, float]

log = logging.getLogger(__name__)

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
    on_tested: Progress = unwatched,
) -> Report:
    """All metrics that the model is capable of, on the holdout of `split`, and its predictions there.

    Rankings are over the full catalogue without the user's fold-in. Users are scored `batch_size` at a time;
    the result does not depend on it. `on_tested`: told how many users are done, of how many: first of their
    ratings, then of their lists. Without holdout the report has counts and no metrics. Raises DataError where
    model and split differ in users or items, CapabilityError where a split of users meets a model that does
    not fold in.
    """
    config = config or EvaluationConfig()
    check_fits(recommender, split)
    evaluated = split.evaluated_users
    least = resolve_relevance(config.relevant, split.train)
    relevant = relevant_part(split.holdout, least)
    per_user: Columns = {"n_history": np.diff(split.fold_in.matrix.indptr)[evaluated].astype(np.float64)}
    values: Values = {}
    predicted, hits = None, None
    if recommender.predicts_ratings and len(evaluated):
        predicted = predict_holdout(recommender, split, batch_size=batch_size, on_tested=on_tested)
        columns, found = _rate(predicted, split)
        per_user, values = per_user | columns, values | found
    if recommender.ranks and len(evaluated):
        _check_relevant(relevant, least)
        blocks = _told(holdout_blocks(split, relevant, batch_size), len(evaluated), on_tested)
        columns, found, hits = _rank(recommender, split, blocks, config.cutoffs)
        per_user, values = per_user | columns, values | found
    tested, per_item = _of_items(split, predicted, relevant, hits, config.cutoffs[0])
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
        relevant=least,
        predictions=predicted,
        items=split.holdout.items.ids[tested],
        per_item=per_item,
    )


def predict_holdout(
    recommender: Recommender, split: Split, *, batch_size: int = 1024, on_tested: Progress = unwatched
) -> Predictions:
    """Predicted beside actual ratings of the holdout, in the order of its matrix. `on_tested`: see
    `evaluate`.

    Raises CapabilityError where the model does not predict ratings.
    """
    check_capable(recommender, RMSE)
    check_fits(recommender, split)
    blocks = _told(holdout_blocks(split, split.holdout, batch_size), len(split.evaluated_users), on_tested)
    return predictions(recommender, blocks, unpredicted(split))


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some evaluated users. `users`: (b,) rows of the split; `batch`: what the model may read of them;
    `holdout`: (b, n_items) csr_array, what it is judged by."""

    users: PositionVector
    batch: UserBatch
    holdout: csr_array

    def pairs(self) -> tuple[PositionVector, PositionVector]:
        """(m,) batch rows and (m,) items of the holdout ratings, in the order of the matrix."""
        return entry_rows(self.holdout), self.holdout.indices.astype(np.int64)


def popularity_of(split: Split) -> Popularity:
    """Popularity in the training part, and in the fold-in of each user."""
    train = split.train
    n_training_users = int((np.diff(train.matrix.indptr) > 0).sum())
    of_items = np.bincount(train.columns, minlength=train.n_items) / max(n_training_users, 1)
    of_histories = _row_means(split.fold_in.matrix, of_items)
    evaluated = of_histories[split.evaluated_users]
    known = evaluated[~np.isnan(evaluated)]
    usual = float(known.mean()) if len(known) else float("nan")
    return Popularity(of_items, n_training_users, of_histories, usual)


def holdout_blocks(split: Split, holdout: Ratings, size: int = 1024) -> Iterator[Block]:
    """The evaluated users of `split`, ascending, at most `size` at a time, each with its row of `holdout`."""
    for users, batch in split.histories().batches(size, rows=split.evaluated_users):
        yield Block(users, batch, select_rows(holdout.matrix, users))


def _told(blocks: Iterable[Block], n_users: int, on_tested: Progress) -> Iterator[Block]:
    """The same blocks; each is told of when the next is asked for."""
    done = 0
    for block in blocks:
        yield block
        done += len(block.users)
        on_tested(done, n_users)


def warm_pairs(split: Split) -> BoolVector:
    """(m,) of each holdout rating: whether its user has fold-in ratings and its item training ratings."""
    known_users = np.diff(split.fold_in.matrix.indptr) > 0
    return known_users[split.holdout.rows()] & split.trained_items()[split.holdout.columns]


def unpredicted(split: Split) -> Predictions:
    """The holdout ratings in the order of their matrix, each predicted as NaN."""
    holdout = split.holdout
    nothing = np.full(holdout.n_observed, np.nan, dtype=np.float32)
    items = holdout.columns.astype(np.int64)
    return Predictions(holdout.rows(), items, holdout.values, nothing, warm=warm_pairs(split))


def predictions(recommender: Recommender, blocks: Iterable[Block], blank: Predictions) -> Predictions:
    """`blank` (see `unpredicted`) with what the model predicts for the pairs of all blocks."""
    parts = [recommender.score_pairs(block.batch, *block.pairs()) for block in blocks]
    return replace(blank, predicted=np.concatenate([blank.predicted[:0], *parts]))


def ranked_lists(
    recommender: Recommender, blocks: Iterable[Block], popularity: Popularity, *, n: int
) -> Iterator[Judged]:
    """For each block the `n` best items of each user, over the whole catalogue without the user's history.
    Every entry of the block's holdout is relevant, with gain 1."""
    for block in blocks:
        items = top_n(recommender.score(block.batch), n, block.batch.history).items
        n_relevant = np.diff(block.holdout.indptr).astype(np.int64)
        ideal_gains = (np.arange(items.shape[1]) < n_relevant[:, None]).astype(np.float64)
        of_block = replace(popularity, of_histories=popularity.of_histories[block.users])
        yield Judged(items, _gains(items, block.holdout), n_relevant, ideal_gains, of_block)


def check_fits(recommender: Recommender, split: Split) -> None:
    """Raises DataError where the model speaks of other users or items than the split."""
    parts = [("items", recommender.items, split.train.items)]
    if not split.of_users:
        parts.append(("users", recommender.users, split.train.users))
    for word, known, wanted in parts:
        if known is not wanted and not np.array_equal(known.ids, wanted.ids):
            raise DataError(
                f"the model knows {len(known)} {word}, the split has {len(wanted)}, and they are not the "
                "same; evaluate a model on a split of the ratings that it was trained on"
            )


def check_capable(recommender: Recommender, metric: Metric) -> None:
    """Raises CapabilityError where the model cannot do what the metric measures."""
    if getattr(recommender, metric.needs):
        return
    if metric.needs == "predicts_ratings":
        does, choice = "ranks but does not predict ratings", "a ranking metric (ndcg, recall)"
    else:
        does, choice = "predicts ratings but cannot rank", "rmse or mae"
    raise CapabilityError(
        f"this {recommender.kind} model {does}, so it has no {metric.key}; choose {choice} or another model"
    )


def _counts(split: Split, relevant: Ratings) -> dict[str, int]:
    with_relevant = int((np.diff(relevant.matrix.indptr) > 0).sum())
    return {
        "evaluated_users": len(split.evaluated_users),
        "holdout_ratings": split.holdout.n_observed,
        "cold_users": split.cold_users,
        "cold_items": split.cold_items,
        "cold_pairs": int((~warm_pairs(split)).sum()),
        "outside_scale": split.outside_scale,
        "users_without_relevant": len(split.evaluated_users) - with_relevant,
    }


def _check_relevant(relevant: Ratings, least: float | None) -> None:
    """Warn where no metric that counts hits is defined."""
    if relevant.n_observed == 0 and least is not None:
        log.warning("no held-out rating is %.9g or more; ranking metrics are left out", least)


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
    recommender: Recommender, split: Split, blocks: Iterable[Block], cutoffs: Sequence[int]
) -> tuple[Columns, Values, CountVector]:
    """Values per user, the figures (means of them, and those of the catalogue), and of each item (n_items,)
    how often it was a hit in the first cutoff."""
    metrics, n_items = metrics_at(cutoffs), split.train.n_items
    of_users = [metric for metric in metrics if metric.family in ("ranking", "beyond")]
    of_catalogue = [metric for metric in metrics if metric.family == "catalogue"]
    hits = np.zeros(n_items, dtype=np.int64)
    exposures = {cutoff: np.zeros(n_items, dtype=np.int64) for cutoff in cutoffs}
    collected: dict[str, list[np.ndarray]] = {metric.key: [] for metric in of_users}
    for judged in ranked_lists(recommender, blocks, popularity_of(split), n=max(cutoffs)):
        first = slice(0, cutoffs[0])
        hits += np.bincount(judged.items[:, first][judged.gains[:, first] > 0], minlength=n_items)
        for cutoff, exposure in exposures.items():
            listed = judged.items[:, :cutoff]
            exposure += np.bincount(listed[listed >= 0], minlength=n_items)
        for metric in of_users:
            collected[metric.key].append(metric.function(judged, cutoff=metric.cutoff))
    columns = {key: np.concatenate(parts) for key, parts in collected.items()}
    values = {metric.key: metric.figure_of(columns[metric.key]) for metric in of_users}
    return columns, values | {m.key: m.function(exposures[m.cutoff or 0]) for m in of_catalogue}, hits


def _of_items(
    split: Split, predicted: Predictions | None, relevant: Ratings, hits: CountVector | None, cutoff: int
) -> tuple[PositionVector, Columns]:
    """(m,) items with held-out ratings, and for each of them what `Report.per_item` holds: errors where
    ratings were `predicted`, `hits` (n_items,) where lists were made."""
    n_items = split.train.n_items
    tested = np.unique(split.holdout.columns).astype(np.int64)
    found = {"n_train": np.bincount(split.train.columns, minlength=n_items)}
    if predicted is not None:
        errors = RMSE.function(predicted)
        found[RMSE.error_sum] = np.bincount(predicted.items, weights=errors, minlength=n_items)
        found["n_predicted"] = np.bincount(predicted.items, minlength=n_items)
    if hits is not None:
        found["n_relevant"] = np.bincount(relevant.columns, minlength=n_items)
        found[f"hits_at_{cutoff}"] = hits
    return tested, {name: values[tested].astype(np.float64) for name, values in found.items()}


def _gains(items: PositionMatrix, holdout: csr_array) -> FloatMatrix:
    """(b, n) 1.0 where the item is stored in the user's row of `holdout`."""
    if holdout.indices.size == 0:
        return np.zeros(items.shape)
    n_items = holdout.shape[1]
    relevant = entry_rows(holdout) * n_items + holdout.indices  # ascending: columns are sorted within rows
    wanted = np.arange(len(items))[:, None] * n_items + items
    places = np.minimum(np.searchsorted(relevant, wanted), len(relevant) - 1)
    return ((relevant[places] == wanted) & (items >= 0)).astype(np.float64)


def _row_means(matrix: csr_array, values: FloatVector) -> FloatVector:
    """(n_rows,) mean of `values` over the stored columns of each row, NaN for an empty one."""
    counts = np.diff(matrix.indptr)
    sums = np.bincount(entry_rows(matrix), weights=values[matrix.indices], minlength=len(counts))
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
