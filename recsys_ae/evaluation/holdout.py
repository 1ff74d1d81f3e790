"""What a model says of the holdout of a split: predicted ratings, and ranked lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ratings import Ratings, entry_rows, select_rows
from recsys_ae.errors import CapabilityError, DataError
from recsys_ae.metrics import Judged, Metric, Popularity, Predictions
from recsys_ae.ranking import top_n
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.split import Split
from recsys_ae.types import BoolVector, FloatMatrix, FloatVector, PositionMatrix, PositionVector


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


def relevant_part(holdout: Ratings, least: float | None) -> Ratings:
    """The holdout ratings that count as hits: those of at least `least`, None: all."""
    return holdout if least is None else holdout.keep(holdout.values >= least)


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
        ideal_gains = (np.arange(n) < n_relevant[:, None]).astype(np.float64)
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
