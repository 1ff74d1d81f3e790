"""Mean, user biases and item biases: what any model must beat, and what others take off before they learn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, assert_never

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings, entry_rows
from recsys_ae.models.configs import BiasesConfig, MeanConfig, PopularityConfig
from recsys_ae.models.positives import positives
from recsys_ae.recommender import clipped
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector

_TOLERANCE = 1e-6  # rating units: sweeps end when no bias moves further


@dataclass(frozen=True, slots=True, eq=False)
class Biases:
    """A rating is explained as mean + b_u + b_i. A user or item without ratings has bias 0.

    `mean`: rating units. `users`: (n_users,) float32; `items`: (n_items,) float32. `user_damping`: the bias
    of a history is the sum of (rating - mean - b_i) over it, divided by its length + this damping; None:
    users have no biases, and histories are not read.
    """

    mean: float
    users: FloatVector
    items: FloatVector
    user_damping: float | None = None

    kind: ClassVar[str] = "biases"

    @classmethod
    def solve(cls, train: Ratings, config: BiasesConfig) -> Biases:
        """The biases that minimise

            Σ (r_ui - mean - b_u - b_i)² + user_damping Σ b_u² + item_damping Σ b_i²

        (Koren 2010, eq. 2, with a penalty for each side), items first, by exact alternating steps until no
        bias moves by more than 1e-6 or `sweeps` are done. The first sweep is Koren's pair of damped means.
        """
        rows, columns, mean = train.rows(), train.columns, train.mean()
        centred = train.values - mean
        users: FloatVector = np.zeros(train.n_users)
        items: FloatVector = np.zeros(train.n_items)
        for _ in range(config.sweeps):
            before = users, items
            items = damped_means(centred - users[rows], columns, train.n_items, config.item_damping)
            users = damped_means(centred - items[columns], rows, train.n_users, config.user_damping)
            if max(np.abs(users - before[0]).max(), np.abs(items - before[1]).max()) < _TOLERANCE:
                break
        return cls(mean, users.astype(np.float32), items.astype(np.float32), config.user_damping)

    @classmethod
    def of_items(cls, train: Ratings, items: np.ndarray, *, mean: float) -> Biases:
        """A mean and biases of items (n_items,) alone."""
        return cls(mean, np.zeros(train.n_users, dtype=np.float32), items.astype(np.float32))

    def of_histories(self, history: csr_array) -> FloatVector:
        """(b,) float32 user bias of each row of a history (b, n_items)."""
        if self.user_damping is None:
            return np.zeros(history.shape[0], dtype=np.float32)
        left = history.data - np.float32(self.mean) - self.items[history.indices]
        found = damped_means(left, entry_rows(history), history.shape[0], self.user_damping)
        return found.astype(np.float32)

    def subtracted(self, matrix: csr_array, of_rows: FloatVector) -> csr_array:
        """The stored entries of `matrix` (b, n_items) less the biases of their row (b,) and of their item.

        The mean rating stays: an observed entry still weighs about the mean in a network's input, and so the
        network goes on seeing *which* items were rated, which helps as much as how they were.
        """
        values = matrix.data - of_rows[entry_rows(matrix)] - self.items[matrix.indices]
        return csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)

    def removed_from(self, train: Ratings) -> Ratings:
        """The training ratings without their biases; no declared scale."""
        return replace(train, matrix=self.subtracted(train.matrix, self.users), scale=None)


@dataclass(frozen=True, slots=True, eq=False)
class BiasRecommender:
    """Score of (u, i) = mean + b_u + b_i; predicted ratings are clipped to `limits`. The bias of a user
    without training ratings is that of the history."""

    users: IdMap
    items: IdMap
    biases: Biases
    limits: tuple[float, float] | None = None
    predicts_ratings: bool = True
    ranks: bool = True

    kind: ClassVar[str] = "bias"
    folds_in: ClassVar[bool] = True

    def score(self, batch: UserBatch) -> FloatMatrix:
        return self._biases_of(batch)[:, None] + self.biases.items + np.float32(self.biases.mean)

    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        scores = self._biases_of(batch)[rows] + self.biases.items[items] + np.float32(self.biases.mean)
        return clipped(scores, self.limits)

    def _biases_of(self, batch: UserBatch) -> FloatVector:
        found = self.biases.users[np.maximum(batch.positions, 0)]
        unseen = (batch.positions < 0) | ~found.astype(bool)
        if unseen.any():
            found[unseen] = self.biases.of_histories(batch.history)[unseen]
        return found


def fit_biases(config: MeanConfig | BiasesConfig | PopularityConfig, train: Ratings) -> BiasRecommender:
    """Fit a baseline; the result depends on the ratings alone."""
    match config:
        case MeanConfig():
            mean = Biases.of_items(train, np.zeros(train.n_items), mean=train.mean())
            return BiasRecommender(train.users, train.items, mean, ranks=False)
        case BiasesConfig():
            biases = Biases.solve(train, config)
            return BiasRecommender(train.users, train.items, biases, limits=train.limits())
        case PopularityConfig():
            counts = np.bincount(positives(train.matrix, config.positive).indices, minlength=train.n_items)
            popularity = Biases.of_items(train, counts, mean=0.0)
            return BiasRecommender(train.users, train.items, popularity, predicts_ratings=False)
        case _:
            assert_never(config)


def damped_means(values: FloatVector, groups: PositionVector, n_groups: int, damping: float) -> FloatVector:
    """(n_groups,) float64: sum / (count + damping) of the values of each group, 0 for an empty one."""
    sums = np.bincount(groups, weights=values, minlength=n_groups)
    counts = np.bincount(groups, minlength=n_groups)
    return np.divide(sums, counts + damping, out=np.zeros(n_groups), where=counts > 0)
