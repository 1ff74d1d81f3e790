"""Scores as products of user and item factors plus biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit, logit

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import select_rows
from recsys_ae.errors import CapabilityError
from recsys_ae.models.folding import ConfidenceFoldIn, FoldIn, RidgeFoldIn, SampledFoldIn
from recsys_ae.recommender import ItemVectors, clipped
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector

_PAIRS_AT_ONCE = 1 << 14  # pairs whose vectors fit into the processor's cache together


@dataclass(frozen=True, slots=True, eq=False)
class FactorRecommender:
    """Score of (u, i) = p_u · q_i + b_u + b_i + mean, through `output`.

    Biased MF, implicit ALS and BPR, item-based AutoRec (p = decoder rows, q = item codes), and Bayesian MF
    (the factors of all draws side by side).
    `user_factors`: (n_users, k) float32; `item_factors`: (n_items, k) float32; `user_biases`: (n_users,)
    float32; `item_biases`: (n_items,) float32. An item without training ratings has zero factors and a zero
    bias, so its scores fall back to the mean and the users' biases. So has such a user, who is then read from
    the history like one at position -1, where the model can fold in.
    `limits`: predicted ratings are clipped to this range, and "scaled" outputs stretched over it; None leaves
    them.
    `fold_in`: how a user at position -1 is fitted to the item factors from the history; None refuses such
    users.
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
    fold_in: FoldIn | None = None
    predicts_ratings: bool = True
    ranks: bool = True

    kind: ClassVar[str] = "factor"

    def __post_init__(self) -> None:
        """Raises ValueError where the parts are not of these users, items and factors: compiled code would
        read beyond their ends."""
        n_users, n_items, k = len(self.users), len(self.items), self.user_factors.shape[-1]
        found = (self.user_factors, self.item_factors, self.user_biases, self.item_biases)
        shapes = [array.shape for array in found]
        if shapes != [(n_users, k), (n_items, k), (n_users,), (n_items,)]:
            raise ValueError(f"factors and biases of shapes {shapes} for {n_users} users and {n_items} items")
        if isinstance(self.fold_in, SampledFoldIn):
            self.fold_in.check_fits(n_items, k)

    @property
    def folds_in(self) -> bool:
        return self.fold_in is not None

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
        raw += biases[rows]
        raw += self.item_biases[items]
        return clipped(self._finish(raw), self.limits)

    def item_vectors(self) -> ItemVectors:
        return ItemVectors(self.item_factors)

    def _finish(self, raw: np.ndarray) -> np.ndarray:
        """The same array, written over."""
        raw += np.float32(self.mean)
        if self.output == "scaled" and self.limits is not None:
            low, high = np.float32(self.limits[0]), np.float32(self.limits[1])
            expit(raw, out=raw)
            raw *= high - low
            raw += low
        return raw

    def _users_of(self, batch: UserBatch) -> tuple[FloatMatrix, FloatVector]:
        """(b, k) factors and (b,) biases, copies."""
        seen = np.maximum(batch.positions, 0)
        factors, biases = self.user_factors[seen], self.user_biases[seen]
        unseen = batch.positions < 0
        if self.folds_in:
            unseen |= ~(factors.any(axis=1) | biases.astype(bool))
        if unseen.any():
            factors[unseen], biases[unseen] = self._folded_in(
                select_rows(batch.history, np.flatnonzero(unseen))
            )
        return factors, biases

    def _folded_in(self, history: csr_array) -> tuple[FloatMatrix, FloatVector]:
        """(b, k) factors and (b,) biases of users unseen in training."""
        match self.fold_in:
            case RidgeFoldIn():
                rest = self._before_output(history.data) - self.mean - self.item_biases[history.indices]
                targets = csr_array((rest, history.indices, history.indptr), shape=history.shape)
                return self.fold_in.solve(targets, self.item_factors)
            case ConfidenceFoldIn() | SampledFoldIn():
                return self.fold_in.solve(history, self.item_factors)
            case None:
                raise CapabilityError(
                    f"{history.shape[0]} users were not seen in training, and this model cannot fold them "
                    "in; train a model that can (`folds_in` is true)"
                )

    def _before_output(self, ratings: FloatVector) -> FloatVector:
        """(m,) float64: what the output turns into `ratings`."""
        if self.output == "identity" or self.limits is None:
            return ratings.astype(np.float64)
        low, high = self.limits
        share = np.clip((ratings.astype(np.float64) - low) / (high - low), 0.02, 0.98)
        return logit(share)  # the ends, which are infinitely far away, were pulled in
