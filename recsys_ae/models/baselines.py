"""What any model must beat: the mean, the biases, the most popular items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, assert_never

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings, entry_rows
from recsys_ae.models.configs import BiasesConfig, MeanConfig, PopularityConfig
from recsys_ae.models.pairs import clipped
from recsys_ae.models.positives import positives
from recsys_ae.recommender import State
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector

_TOLERANCE = 1e-6  # rating units: sweeps end when no bias moves further


@dataclass(frozen=True, slots=True, eq=False)
class BiasRecommender:
    """Score of (u, i) = mean + b_u + b_i; predicted ratings are clipped to `limits`. A user or item without
    ratings has bias 0.

    `user_biases`: (n_users,) float32; `item_biases`: (n_items,) float32.
    `user_damping`: the bias of a user unseen in training is the sum of (rating - mean - b_i) over the
    history, divided by its length + this damping; None: users have no biases, and histories are not read.
    """

    users: IdMap
    items: IdMap
    mean: float
    user_biases: FloatVector
    item_biases: FloatVector
    user_damping: float | None = None
    limits: tuple[float, float] | None = None
    predicts_ratings: bool = True
    ranks: bool = True

    kind: ClassVar[str] = "bias"
    folds_in: ClassVar[bool] = True

    def score(self, batch: UserBatch) -> FloatMatrix:
        return self._biases_of(batch)[:, None] + self.item_biases + np.float32(self.mean)

    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        scores = self._biases_of(batch)[rows] + self.item_biases[items] + np.float32(self.mean)
        return clipped(scores, self.limits)

    def _biases_of(self, batch: UserBatch) -> FloatVector:
        seen = np.maximum(batch.positions, 0)
        unseen = batch.positions < 0
        biases = self.user_biases[seen]
        biases[unseen] = 0.0
        if self.user_damping is not None and unseen.any():
            biases[unseen] = self._fold_in(batch.history, self.user_damping)[unseen]
        return biases

    def _fold_in(self, history: csr_array, damping: float) -> FloatVector:
        residuals = history.data - self.mean - self.item_biases[history.indices]
        return damped_means(residuals, entry_rows(history), history.shape[0], damping)

    def state(self) -> State:
        arrays = {"user_biases": self.user_biases, "item_biases": self.item_biases}
        meta = {
            "mean": self.mean,
            "user_damping": self.user_damping,
            "limits": None if self.limits is None else list(self.limits),
            "predicts_ratings": self.predicts_ratings,
            "ranks": self.ranks,
        }
        return State(arrays, meta)

    @classmethod
    def from_state(cls, users: IdMap, items: IdMap, state: State) -> BiasRecommender:
        """Inverse of `state`."""
        meta = state.meta
        return cls(
            users,
            items,
            meta["mean"],
            state.arrays["user_biases"],
            state.arrays["item_biases"],
            user_damping=meta["user_damping"],
            limits=None if meta["limits"] is None else (meta["limits"][0], meta["limits"][1]),
            predicts_ratings=meta["predicts_ratings"],
            ranks=meta["ranks"],
        )


def fit_baseline(config: MeanConfig | BiasesConfig | PopularityConfig, train: Ratings) -> BiasRecommender:
    """Fit a baseline; the result depends on the ratings alone."""
    match config:
        case MeanConfig():
            return _with_item_biases(train, np.zeros(train.n_items), mean=train.mean(), ranks=False)
        case BiasesConfig():
            return _fit_biases(config, train)
        case PopularityConfig():
            counts = np.bincount(positives(train.matrix, config.positive).indices, minlength=train.n_items)
            return _with_item_biases(train, counts, mean=0.0, predicts_ratings=False)
        case _:
            assert_never(config)


def _fit_biases(config: BiasesConfig, train: Ratings) -> BiasRecommender:
    user_biases, item_biases = solve_biases(
        train, user_damping=config.user_damping, item_damping=config.item_damping, sweeps=config.sweeps
    )
    return BiasRecommender(
        train.users,
        train.items,
        train.mean(),
        user_biases.astype(np.float32),
        item_biases.astype(np.float32),
        user_damping=config.user_damping,
        limits=rating_limits(train),
    )


def solve_biases(
    train: Ratings, *, user_damping: float, item_damping: float, sweeps: int
) -> tuple[FloatVector, FloatVector]:
    """(n_users,) and (n_items,) float64 biases that minimise

        Σ (r_ui - mean - b_u - b_i)² + user_damping Σ b_u² + item_damping Σ b_i²

    (Koren 2010, eq. 2, with a penalty for each side), items first, by exact alternating steps until no bias
    moves by more than 1e-6 or `sweeps` are done. The first sweep is Koren's pair of damped means.
    """
    rows, columns = train.rows(), train.columns
    centred = train.values - train.mean()
    user_biases: FloatVector = np.zeros(train.n_users)
    item_biases: FloatVector = np.zeros(train.n_items)
    for _ in range(sweeps):
        before = user_biases, item_biases
        item_biases = damped_means(centred - user_biases[rows], columns, train.n_items, item_damping)
        user_biases = damped_means(centred - item_biases[columns], rows, train.n_users, user_damping)
        if max(np.abs(user_biases - before[0]).max(), np.abs(item_biases - before[1]).max()) < _TOLERANCE:
            break
    return user_biases, item_biases


def damped_means(values: FloatVector, groups: PositionVector, n_groups: int, damping: float) -> FloatVector:
    """(n_groups,) float64: sum / (count + damping) of the values of each group, 0 for an empty one."""
    sums = np.bincount(groups, weights=values, minlength=n_groups)
    counts = np.bincount(groups, minlength=n_groups)
    return np.divide(sums, counts + damping, out=np.zeros(n_groups), where=counts > 0)


def rating_limits(ratings: Ratings) -> tuple[float, float]:
    """The declared scale, else the observed range."""
    return ratings.scale or (float(ratings.values.min()), float(ratings.values.max()))


def _with_item_biases(
    train: Ratings, item_biases: np.ndarray, *, mean: float, predicts_ratings: bool = True, ranks: bool = True
) -> BiasRecommender:
    return BiasRecommender(
        train.users,
        train.items,
        mean,
        np.zeros(train.n_users, dtype=np.float32),
        item_biases.astype(np.float32),
        predicts_ratings=predicts_ratings,
        ranks=ranks,
    )
