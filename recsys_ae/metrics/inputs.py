"""What metrics read: one input type per family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys_ae.types import (
    BoolVector,
    CountVector,
    FloatMatrix,
    FloatVector,
    PositionMatrix,
    PositionVector,
)


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Predicted ratings beside the true ones, one row per holdout rating.

    `users`, `items`: (m,) int64 positions; `actual`, `predicted`: (m,) float32, rating units;
    `warm`: (m,) bool, true where neither the user nor the item is cold.
    """

    users: PositionVector
    items: PositionVector
    actual: FloatVector
    predicted: FloatVector
    warm: BoolVector

    def __len__(self) -> int:
        return len(self.actual)

    def warm_only(self) -> Predictions:
        """The pairs whose user and item are both known."""
        kept = self.warm
        return Predictions(
            self.users[kept], self.items[kept], self.actual[kept], self.predicted[kept], kept[kept]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Ranked lists of one block of users, held against their holdout.

    `items`: (b, n) int64, best first, -1 = padding; `gains`: (b, n) float64, 0 = miss;
    `n_relevant`: (b,) int64, all relevant holdout items, listed or not;
    `ideal_gains`: (b, n) float64, the gains of the best possible list, descending;
    `popularity`: (n_items,) float64, share of the `n_training_users` users who rated the item in training;
    `history_popularity`: (b,) float64, mean popularity of the items in a user's history, NaN for none;
    `usual_popularity`: mean of `history_popularity` over all evaluated users, not just this block's.
    """

    items: PositionMatrix
    gains: FloatMatrix
    n_relevant: CountVector
    ideal_gains: FloatMatrix
    popularity: FloatVector
    n_training_users: int
    history_popularity: FloatVector
    usual_popularity: float


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """How often each item of the catalogue was recommended. `counts`: (n_items,) int64."""

    counts: CountVector

    @classmethod
    def of(cls, items: PositionMatrix, n_items: int) -> Exposure:
        """Exposure through ranked lists (b, n), padding (-1) left out."""
        return cls(np.bincount(items[items >= 0], minlength=n_items).astype(np.int64))

    def __add__(self, other: Exposure) -> Exposure:
        return Exposure(self.counts + other.counts)
