"""Scores as products of user and item factors plus biases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.errors import CapabilityError
from recsys_ae.models.folding import (
    ConfidenceFolding,
    Folding,
    RidgeFolding,
    folding_from_meta,
    folding_to_meta,
)
from recsys_ae.models.pairs import clipped, pair_products
from recsys_ae.models.positives import liked
from recsys_ae.recommender import State
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector

_ARRAYS = ("user_factors", "item_factors", "user_biases", "item_biases")


@dataclass(frozen=True, slots=True, eq=False)
class FactorRecommender:
    """Score of (u, i) = p_u · q_i + b_u + b_i + mean, through `output`.

    Biased MF, implicit ALS and BPR, and item-based AutoRec (p = decoder rows, q = item codes).
    `user_factors`: (n_users, k) float32; `item_factors`: (n_items, k) float32; `user_biases`: (n_users,)
    float32; `item_biases`: (n_items,) float32. Users without training ratings have zero factors and a zero
    bias, so their scores fall back to the mean and the items' biases; likewise items.
    `limits`: predicted ratings are clipped to this range, and "scaled" outputs stretched over it; None leaves
    them.
    `fold_in_l2`: where given, a user at position -1 is fitted to the item factors from the history, by
    `folding` with this penalty; None refuses such users.
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
    folding: Folding = field(default_factory=RidgeFolding)
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
        raw = pair_products(factors, self.item_factors, rows, items)
        raw += biases[rows]
        raw += self.item_biases[items]
        return clipped(self._finish(raw), self.limits)

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
        unseen = np.flatnonzero(batch.positions < 0)
        if len(unseen) and self.fold_in_l2 is None:
            raise CapabilityError(
                f"{len(unseen)} users were not seen in training, and this model cannot fold them in; "
                "train a model that can (`folds_in` is true)"
            )
        seen = np.maximum(batch.positions, 0)
        factors, biases = self.user_factors[seen], self.user_biases[seen]
        if len(unseen):
            factors[unseen], biases[unseen] = self._fold_in(batch.history, unseen)
        return factors, biases

    def _fold_in(self, history: csr_array, rows: PositionVector) -> tuple[FloatMatrix, FloatVector]:
        """(m, k) factors and (m,) biases of the users in these rows of the history."""
        factors = np.zeros((len(rows), self.item_factors.shape[1]), dtype=np.float32)
        biases = np.zeros(len(rows), dtype=np.float32)
        l2 = self.fold_in_l2 or 0.0
        spans = [slice(history.indptr[row], history.indptr[row + 1]) for row in rows]
        match self.folding:
            case RidgeFolding() as ridge:
                targets = self._before_output(history.data) - self.mean - self.item_biases[history.indices]
                for place, span in enumerate(spans):
                    chosen = self.item_factors[history.indices[span]]
                    factors[place], biases[place] = ridge.solve(chosen, targets[span], l2)
            case ConfidenceFolding() as weighted:
                wide = self.item_factors.astype(np.float64)
                gram, kept = wide.T @ wide, liked(history, weighted.positive)
                for place, span in enumerate(spans):
                    chosen = self.item_factors[history.indices[span][kept[span]]]
                    factors[place] = weighted.solve(chosen, gram, l2)
        return factors, biases

    def _before_output(self, ratings: FloatVector) -> FloatVector:
        """(m,) float64: what the output turns into `ratings`."""
        if self.output == "identity" or self.limits is None:
            return ratings.astype(np.float64)
        low, high = self.limits
        share = np.clip((ratings - low) / (high - low), 0.02, 0.98)  # the ends are infinitely far away
        return np.log(share / (1 - share))

    def state(self) -> State:
        meta = {
            "mean": self.mean,
            "output": self.output,
            "limits": None if self.limits is None else list(self.limits),
            "fold_in_l2": self.fold_in_l2,
            "folding": folding_to_meta(self.folding),
            "predicts_ratings": self.predicts_ratings,
            "ranks": self.ranks,
        }
        return State({name: getattr(self, name) for name in _ARRAYS}, meta)

    @classmethod
    def from_state(cls, users: IdMap, items: IdMap, state: State) -> FactorRecommender:
        """Inverse of `state`."""
        meta = state.meta
        return cls(
            users=users,
            items=items,
            user_factors=state.arrays["user_factors"],
            item_factors=state.arrays["item_factors"],
            user_biases=state.arrays["user_biases"],
            item_biases=state.arrays["item_biases"],
            mean=meta["mean"],
            output=meta["output"],
            limits=None if meta["limits"] is None else (meta["limits"][0], meta["limits"][1]),
            fold_in_l2=meta["fold_in_l2"],
            folding=folding_from_meta(meta["folding"]),
            predicts_ratings=meta["predicts_ratings"],
            ranks=meta["ranks"],
        )
