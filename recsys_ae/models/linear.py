"""Scores as the history times a matrix of item weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.sparse import csr_array, issparse

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.models.positives import liked, positives
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class LinearRecommender:
    """Score of item j for a history h = Σ_i h_i · W_ij. Users without history score 0 everywhere.

    `item_weights`: (n_items, n_items) float32, csr_array or dense; row = rated item, column = scored item.
    `reads`: what of an observed entry counts, its value or the mere fact ("ones"). `positive`: entries below
    it are not read; None: all are.
    """

    users: IdMap
    items: IdMap
    item_weights: csr_array | FloatMatrix
    reads: Literal["values", "ones"] = "values"
    positive: float | None = None
    predicts_ratings: bool = False
    ranks: bool = True

    kind: ClassVar[str] = "linear"
    folds_in: ClassVar[bool] = True

    def score(self, batch: UserBatch) -> FloatMatrix:
        scores = self._input(batch.history) @ self.item_weights
        dense = scores.toarray() if issparse(scores) else np.asarray(scores)
        return dense.astype(np.float32, copy=False)

    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        return self.score(batch)[rows, items]

    def _input(self, history: csr_array) -> csr_array:
        ones = positives(history, self.positive)
        if self.reads == "ones":
            return ones
        values = history.data[liked(history, self.positive)]
        return csr_array((values, ones.indices, ones.indptr), shape=history.shape)
