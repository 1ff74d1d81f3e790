"""Lists for people of whom nothing is known: the most popular items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys_ae.data.histories import Histories, UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.recommender import Recommender
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class WithFallback:
    """A recommender that answers users without any history by how popular items are, and leaves all others to
    `known`.

    `popularity`: (n_items,) float32, how many people rated each item, however; it is these users' scores.
    """

    known: Recommender
    popularity: FloatVector

    kind: ClassVar[str] = "fallback"
    folds_in: ClassVar[bool] = True
    predicts_ratings: ClassVar[bool] = False

    @classmethod
    def of(cls, known: Recommender, training: Histories) -> WithFallback:
        """Popular is what many have rated in `training`."""
        counts = np.bincount(training.matrix.indices, minlength=len(known.items))
        return cls(known, counts.astype(np.float32))

    @property
    def users(self) -> IdMap:
        return self.known.users

    @property
    def items(self) -> IdMap:
        return self.known.items

    @property
    def ranks(self) -> bool:
        return self.known.ranks

    def score(self, batch: UserBatch) -> FloatMatrix:
        """(b, n_items) float32. Raises CapabilityError for a user with a history that `known` cannot read."""
        has_history = np.diff(batch.history.indptr) > 0
        if has_history.all():
            return self.known.score(batch)
        scores = np.empty((len(batch), len(self.items)), dtype=np.float32)
        scores[~has_history] = self.popularity
        if has_history.any():
            rows = np.flatnonzero(has_history)
            scores[rows] = self.known.score(batch.chosen(rows))
        return scores

    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        return self.score(batch)[rows, items]
