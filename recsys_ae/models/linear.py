"""Scores as the history times a matrix of item weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.sparse import csr_array, issparse

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.models.biases import Biases
from recsys_ae.models.positives import liked, positives
from recsys_ae.recommender import ItemVectors, clipped
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class LinearRecommender:
    """Score of item j for a history h = Σ_i h_i · W_ij. Users without history score 0 everywhere.

    `item_weights`: W, (n_items, n_items) float32, csr_array or dense; row = rated item, column = scored item.
    `item_factors`: (n_items, k) float32; `item_weights` are then (n_items, k), and W, which is never formed,
    is their product with the transpose of these.
    `reads`: what of an observed entry counts, its value or the mere fact ("ones"). `positive`: entries below
    it are not read; None: all are.
    `biases`: values are standardised by them, and scores are ratings again; users without history get the
    mean plus the item's bias. `limits`: of predicted ratings.
    `unliked`: (m,) positions of items that nobody liked in training. Their 0 would rank them above whatever
    has a negative score; they score what the last of the other items does.
    """

    users: IdMap
    items: IdMap
    item_weights: csr_array | FloatMatrix
    reads: Literal["values", "ones"] = "values"
    positive: float | None = None
    predicts_ratings: bool = False
    ranks: bool = True
    item_factors: FloatMatrix | None = None
    biases: Biases | None = None
    limits: tuple[float, float] | None = None
    unliked: PositionVector | None = None

    kind: ClassVar[str] = "linear"
    folds_in: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raises ValueError where the parts are not of these items."""
        n_items = len(self.items)
        n_codes = n_items if self.item_factors is None else self.item_factors.shape[-1]
        found = [self.item_weights.shape]
        expected: list[tuple[int, ...]] = [(n_items, n_codes)]
        if self.item_factors is not None:
            found, expected = [*found, self.item_factors.shape], [*expected, (n_items, n_codes)]
        if self.biases is not None:
            found, expected = [*found, self.biases.items.shape], [*expected, (n_items,)]
        if found != expected:
            raise ValueError(f"item weights of shapes {found} for {n_items} items")

    def score(self, batch: UserBatch) -> FloatMatrix:
        history, user_biases = self._read(batch.history)
        product = history @ self.item_weights
        scores = product.toarray() if issparse(product) else np.asarray(product)
        if self.item_factors is not None:
            scores = scores @ self.item_factors.T
        scores = scores.astype(np.float32, copy=False)
        if self.biases is not None:
            scores *= np.float32(self.biases.deviation)
            scores += user_biases[:, None]
            scores += self.biases.items + np.float32(self.biases.mean)
        if self.unliked is not None:
            scores[:, self.unliked] = scores.min(axis=1, keepdims=True)
        return scores

    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        return clipped(self.score(batch)[rows, items], self.limits)

    def item_vectors(self) -> ItemVectors:
        """What an item's score is made of: its factors, or its column of W. Where no item explains itself,
        the column has its greatest weight in its own place, too: cosines of columns alone would miss the
        weights between the two items that they compare."""
        if self.item_factors is not None:
            return ItemVectors(self.item_factors)
        weights = self.item_weights
        if isinstance(weights, csr_array):
            columns = weights.T.tocsr()
            greatest = abs(columns).max(axis=1).toarray()
        else:
            columns = weights.T
            greatest = np.maximum(weights.max(axis=0), -weights.min(axis=0))
        return ItemVectors(columns, None if weights.diagonal().any() else greatest)

    def _read(self, history: csr_array) -> tuple[csr_array, FloatVector]:
        """What the weights are multiplied with, and the (b,) user biases that they do not see."""
        if self.biases is not None:
            of_users = self.biases.of_histories(history)
            return self.biases.standardised(history, of_users), of_users
        ones = positives(history, self.positive)
        if self.reads == "values":
            values = history.data[liked(history, self.positive)]
            ones = csr_array((values, ones.indices, ones.indptr), shape=history.shape)
        return ones, np.zeros(history.shape[0], dtype=np.float32)
