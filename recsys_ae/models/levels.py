"""Ratings as one of a few levels, for models that predict a probability of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ratings import Ratings
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """K groups of neighbouring ratings, from the lowest to the highest.

    `values`: (K,) float64, the mean training rating of each level. `thresholds`: (K - 1,) float64 ascending;
    a rating is of the level whose number is the number of thresholds at or below it. Both in rating units.
    """

    values: FloatVector
    thresholds: FloatVector

    kind: ClassVar[str] = "levels"

    @classmethod
    def of(cls, train: Ratings, most: int) -> Levels:
        """Each distinct rating is a level of its own. Where there are more than `most`, levels are `most`
        quantiles of the ratings, fewer where a single rating makes up several of them."""
        distinct, counts = np.unique(train.values.astype(np.float64), return_counts=True)
        bins = np.arange(len(distinct))
        if len(distinct) > most:
            middles = np.cumsum(counts) - counts / 2
            bins = np.unique(np.floor(middles * most / counts.sum()), return_inverse=True)[1]
        values = np.bincount(bins, weights=distinct * counts) / np.bincount(bins, weights=counts)
        last = np.flatnonzero(np.diff(bins))  # of each level but the highest
        return cls(values, (distinct[last] + distinct[last + 1]) / 2)

    def __len__(self) -> int:
        return len(self.values)

    def of_entries(self, matrix: csr_array) -> csr_array:
        """The same entries, each with the number of its level, 0 to K - 1, as float32."""
        return csr_array(
            (self.numbers(matrix.data).astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape
        )

    def numbers(self, ratings: FloatVector) -> PositionVector:
        """(m,) the level of each rating; one that training never saw is of the level next to it."""
        return np.searchsorted(self.thresholds, ratings.astype(np.float64), side="right")

    def damped_shares(self, train: Ratings, damping: float) -> FloatMatrix:
        """(K, n_items) float64: the share of each level in the ratings of an item, `damping` ratings added
        that are distributed as all are. Their means are the damped means of the items; an item without
        ratings has the shares of all."""
        cells = self.numbers(train.values) * train.n_items + train.columns
        counts = np.bincount(cells, minlength=len(self) * train.n_items).reshape(len(self), train.n_items)
        overall = counts.sum(axis=1, keepdims=True) / train.n_observed
        return (counts + damping * overall) / (counts.sum(axis=0) + damping)
