"""Ranked lists held against the holdout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ratings import entry_rows
from recsys_ae.evaluation.blocks import Block
from recsys_ae.metrics import Judged
from recsys_ae.ranking import top_n
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.split import Split
from recsys_ae.types import FloatMatrix, FloatVector, PositionMatrix


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """How well items are known; fields as in `Judged`, but `history_popularity` is (n_users,)."""

    popularity: FloatVector
    n_training_users: int
    history_popularity: FloatVector
    usual_popularity: float

    @classmethod
    def of(cls, split: Split) -> Familiarity:
        """Popularity in the training part, and in the fold-in of the evaluated users."""
        train = split.train
        n_training_users = int((np.diff(train.matrix.indptr) > 0).sum())
        counts = np.bincount(train.columns, minlength=train.n_items)
        popularity = counts / max(n_training_users, 1)
        history = _row_means(split.fold_in.matrix, popularity)
        evaluated = history[split.evaluated_users]
        known = evaluated[~np.isnan(evaluated)]
        usual = float(known.mean()) if len(known) else float("nan")
        return cls(popularity, n_training_users, history, usual)


def judge(recommender: Recommender, block: Block, familiarity: Familiarity, *, n: int) -> Judged:
    """The `n` best items of each user over the whole catalogue, history excluded, against `block.holdout`,
    whose every entry counts as relevant with gain 1."""
    items = top_n(recommender.score(block.batch), n, block.batch.history).items
    n_relevant = np.diff(block.holdout.indptr).astype(np.int64)
    return Judged(
        items=items,
        gains=_gains(items, block.holdout),
        n_relevant=n_relevant,
        ideal_gains=(np.arange(n) < n_relevant[:, None]).astype(np.float64),
        popularity=familiarity.popularity,
        n_training_users=familiarity.n_training_users,
        history_popularity=familiarity.history_popularity[block.users],
        usual_popularity=familiarity.usual_popularity,
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
