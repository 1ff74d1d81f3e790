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
from recsys_ae.models.positives import least_liked, positives
from recsys_ae.recommender import clipped
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector

_TOLERANCE = 1e-6  # of the deviation of the ratings: sweeps end when no bias moves further
_ROUNDING = 4 * float(np.finfo(np.float32).eps)  # of the largest rating: what is below it is no deviation


@dataclass(frozen=True, slots=True, eq=False)
class Biases:
    """A rating is explained as mean + b_u + b_i. A user or item without ratings has bias 0.

    `mean`: rating units. `users`: (n_users,) float32; `items`: (n_items,) float32. `user_damping`: the bias
    of a history is the sum of (rating - mean - b_i) over it, divided by its length + this damping; None:
    users have no biases, and histories are not read. `deviation`: of what the biases leave of the training
    ratings, root mean square in rating units; 1 where they leave nothing. What is left, divided by it, has
    no unit: that is what other models learn.
    """

    mean: float
    users: FloatVector
    items: FloatVector
    user_damping: float | None = None
    deviation: float = 1.0

    kind: ClassVar[str] = "biases"

    @classmethod
    def solve(cls, train: Ratings, config: BiasesConfig) -> Biases:
        """The biases that minimise

            Σ (r_ui - mean - b_u - b_i)² + user_damping Σ b_u² + item_damping Σ b_i²

        (Koren 2010, eq. 2, with a penalty for each side), items first, by exact alternating steps until no
        bias moves by more than a millionth of the ratings' deviation or `sweeps` are done. The first sweep is
        Koren's pair of damped means.
        """
        rows, columns, mean = train.rows(), train.columns, train.mean()
        centred = train.values - mean
        tolerance = _TOLERANCE * deviation_of(centred, train)
        users: FloatVector = np.zeros(train.n_users)
        items: FloatVector = np.zeros(train.n_items)
        for _ in range(config.sweeps):
            before = users, items
            items = damped_means(centred - users[rows], columns, train.n_items, config.item_damping)
            users = damped_means(centred - items[columns], rows, train.n_users, config.user_damping)
            if max(np.abs(users - before[0]).max(), np.abs(items - before[1]).max()) < tolerance:
                break
        deviation = deviation_of(centred - users[rows] - items[columns], train)
        return cls(mean, users.astype(np.float32), items.astype(np.float32), config.user_damping, deviation)

    @classmethod
    def of_mean(cls, train: Ratings) -> Biases:
        """The mean rating alone, and the deviation from it."""
        deviation = deviation_of(train.values - train.mean(), train)
        biases = cls.of_items(train, np.zeros(train.n_items), mean=train.mean())
        return replace(biases, deviation=deviation)

    @classmethod
    def of_items(cls, train: Ratings, items: np.ndarray, *, mean: float) -> Biases:
        """A mean and biases of items (n_items,) alone."""
        return cls(mean, np.zeros(train.n_users, dtype=np.float32), items.astype(np.float32))

    def of_histories(self, history: csr_array) -> FloatVector:
        """(b,) float32 user bias of each row of a history (b, n_items)."""
        if self.user_damping is None:
            return np.zeros(history.shape[0], dtype=np.float32)
        left = history.data - self.mean - self.items[history.indices]
        found = damped_means(left, entry_rows(history), history.shape[0], self.user_damping)
        return found.astype(np.float32)

    def centred(self, train: Ratings) -> Ratings:
        """The training ratings less their mean, divided by the deviation; no declared scale."""
        values = ((train.values - self.mean) / self.deviation).astype(np.float32)
        cells = (values, train.columns, train.matrix.indptr)
        return replace(train, matrix=csr_array(cells, shape=train.matrix.shape), scale=None)

    def standardised(self, matrix: csr_array, of_rows: FloatVector) -> csr_array:
        """The stored entries of `matrix` (b, n_items) less the mean, the biases of their row (b,) and those
        of their item, divided by the deviation: float32 without a unit."""
        left = matrix.data - self.mean - of_rows[entry_rows(matrix)] - self.items[matrix.indices]
        values = (left / self.deviation).astype(np.float32)
        return csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)

    def removed_from(self, train: Ratings) -> Ratings:
        """The training ratings standardised so, and their limits as those of a pair without biases."""
        low, high = ((limit - self.mean) / self.deviation for limit in train.limits())
        return replace(train, matrix=self.standardised(train.matrix, self.users), scale=(low, high))


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
            liked = positives(train.matrix, least_liked(config.positive, train.feedback))
            counts = np.bincount(liked.indices, minlength=train.n_items)
            popularity = Biases.of_items(train, counts, mean=0.0)
            return BiasRecommender(train.users, train.items, popularity, predicts_ratings=False)
        case _:
            assert_never(config)


def deviation_of(left: FloatVector, train: Ratings) -> float:
    """Root mean square of what is `left` (n_observed,) of the training ratings; 1 where that is rounding."""
    deviation = float(np.sqrt(np.mean(np.square(left, dtype=np.float64))))
    return deviation if deviation > _ROUNDING * float(np.abs(train.values).max()) else 1.0


def damped_means(values: FloatVector, groups: PositionVector, n_groups: int, damping: float) -> FloatVector:
    """(n_groups,) float64: sum / (count + damping) of the values of each group, 0 for an empty one."""
    sums = np.bincount(groups, weights=values, minlength=n_groups)
    counts = np.bincount(groups, minlength=n_groups)
    return np.divide(sums, counts + damping, out=np.zeros(n_groups), where=counts > 0)
