"""Scores as products of user and item factors plus biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.special import expit

from recsys_ae.data.batches import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.errors import CapabilityError
from recsys_ae.recommender import State
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector

_PAIRS_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class FactorRecommender:
    """Score of (u, i) = p_u · q_i + b_u + b_i + mean, through `output`.

    Biased MF, implicit ALS and BPR, and item-based AutoRec (p = decoder rows, q = item codes).
    `user_factors`: (n_users, k) float32; `item_factors`: (n_items, k) float32; `user_biases`: (n_users,);
    `item_biases`: (n_items,). Rows without training ratings have zero factors and a zero bias, so their pairs
    fall back to the mean and the other side's bias.
    `limits`: predictions are stretched over ("scaled") or clipped to (else) this range; None leaves them.
    `fold_in_l2`: where given, a user at position -1 is fitted to the item factors by ridge regression on the
    history, bias included; None refuses such users.
    """

    users: IdMap
    items: IdMap
    user_factors: FloatMatrix
    item_factors: FloatMatrix
    user_biases: FloatVector
    item_biases: FloatVector
    mean: float = 0.0
    output: Literal["identity", "scaled"] = "identity"
    limits: tuple[float, float] | None = None
    fold_in_l2: float | None = None
    predicts_ratings: bool = True
    ranks: bool = True

    kind: ClassVar[str] = "factor"

    @property
    def folds_in(self) -> bool:
        return self.fold_in_l2 is not None

    def score(self, batch: UserBatch) -> FloatMatrix:
        factors, biases = self._users_of(batch)
        raw = factors @ self.item_factors.T
        raw += biases[:, None]
        raw += self.item_biases
        return self._finish(raw)

    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        factors, biases = self._users_of(batch)
        raw = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _PAIRS_AT_ONCE):
            part = slice(start, start + _PAIRS_AT_ONCE)
            raw[part] = np.einsum("mk,mk->m", factors[rows[part]], self.item_factors[items[part]])
        return self._finish(raw + biases[rows] + self.item_biases[items])

    def _finish(self, raw: np.ndarray) -> np.ndarray:
        raw += np.float32(self.mean)
        if self.limits is None:
            return raw
        low, high = self.limits
        if self.output == "scaled":
            return (low + (high - low) * expit(raw)).astype(np.float32)
        return np.clip(raw, low, high, out=raw)

    def _users_of(self, batch: UserBatch) -> tuple[FloatMatrix, FloatVector]:
        unseen = np.flatnonzero(batch.positions < 0)
        if len(unseen) and self.fold_in_l2 is None:
            raise CapabilityError(f"{len(unseen)} users were not seen in training, and this model cannot "
                                  "fold them in; choose one that folds in (u-autorec, i-autorec, item-knn)")
        factors, biases = self.user_factors[batch.positions], self.user_biases[batch.positions]
        for row in unseen:
            start, end = batch.history.indptr[row], batch.history.indptr[row + 1]
            factors[row], biases[row] = self._fold_in(batch.history.indices[start:end],
                                                      batch.history.data[start:end])
        return factors, biases

    def _fold_in(self, items: PositionVector, ratings: FloatVector) -> tuple[FloatVector, np.float32]:
        """Ridge regression of one history on the item factors and a constant."""
        targets = self._before_output(ratings) - self.mean - self.item_biases[items]
        design = np.column_stack([self.item_factors[items], np.ones(len(items))]).astype(np.float64)
        penalty = np.full(design.shape[1], self.fold_in_l2)
        solution = np.linalg.solve(design.T @ design + np.diag(penalty), design.T @ targets)
        return solution[:-1].astype(np.float32), np.float32(solution[-1])

    def _before_output(self, ratings: FloatVector) -> FloatVector:
        if self.output == "identity" or self.limits is None:
            return ratings.astype(np.float64)
        low, high = self.limits
        share = np.clip((ratings - low) / (high - low), 0.02, 0.98)  # the ends are infinitely far away
        return np.log(share / (1 - share))

    def state(self) -> State:
        arrays = {name: getattr(self, name)
                  for name in ("user_factors", "item_factors", "user_biases", "item_biases")}
        meta = {"mean": self.mean, "output": self.output, "limits": self.limits,
                "fold_in_l2": self.fold_in_l2, "predicts_ratings": self.predicts_ratings, "ranks": self.ranks}
        return State(arrays, meta)
