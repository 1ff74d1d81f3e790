"""What evaluation, serving and tracking know of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector


@runtime_checkable
class Recommender(Protocol):
    """A fitted model: an immutable value that scores. Picklable, thread-safe; it shares no memory with what
    goes on training.

    A user or item without training ratings gets the model's answer for an empty row (the class docstring
    says which), never NaN.
    """

    kind: ClassVar[str]  # "network" | "factor" | "linear" | "bias": key of storage

    @property
    def users(self) -> IdMap: ...

    @property
    def items(self) -> IdMap: ...

    @property
    def folds_in(self) -> bool:
        """Scores users unseen in training (position -1) from batch.history."""
        ...

    @property
    def predicts_ratings(self) -> bool:
        """Scores are in rating units."""
        ...

    @property
    def ranks(self) -> bool:
        """The order of a user's scores means something."""
        ...

    def score(self, batch: UserBatch) -> FloatMatrix:
        """(b, n_items) float32, finite, nothing masked. In rating units where `predicts_ratings`, not clipped
        to the scale: the best items of a generous user would tie.

        Raises CapabilityError for a position of -1 where `folds_in` is false.
        """
        ...

    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        """(m,) float32 scores of the pairs (batch row rows[j], item items[j]), without the (b, n_items)
        block where the model can: equal to `score(batch)[rows, items]` up to rounding, and clipped to the
        rating scale where `predicts_ratings`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """What a variational autoencoder makes of b rows, or rows that were made up.

    `codes`: (b, code_size) float32, whose prior is the standard normal. `biases`: (b,) float32, by how much a
    row rates higher than the average user, in rating units; 0 where a model has no such thing.
    """

    codes: FloatMatrix
    biases: FloatVector


@runtime_checkable
class SamplesRows(Recommender, Protocol):
    """A recommender that goes from users to codes and from codes to rows of scores, so that rows of users who
    do not exist can be drawn. What not all can do is no part of `Recommender`."""

    @property
    def code_size(self) -> int | None:
        """None: the codes have no prior to draw from."""
        ...

    @property
    def bias_deviation(self) -> float:
        """Root mean square of the biases of the users of training, in rating units."""
        ...

    def encode(self, batch: UserBatch) -> Codes:
        """The mean codes of the users' histories."""
        ...

    def decode(self, codes: Codes) -> FloatMatrix:
        """(b, n_items) float32, not clipped: predicted ratings, or logarithms of shares that are 1 together.
        The codes of users decode to their scores, up to a constant of the user."""
        ...

    def told(self, scores: FloatMatrix) -> FloatMatrix:
        """Decoded scores of any shape as people read them: ratings clipped to the scale, or shares."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ItemVectors:
    """Vectors of items: those of items that the same people want point the same way, and those of items of
    which nothing was learnt are 0.

    `matrix`: (n_items, k) float32, not to be written to. `own`: (n_items,) float32; of vectors over the items
    themselves, whose own places hold 0, what stands in these places; None: nothing does.
    """

    matrix: FloatMatrix | csr_array
    own: FloatVector | None = None


@runtime_checkable
class ComparesItems(Recommender, Protocol):
    """A recommender that has learnt a vector of every item."""

    def item_vectors(self) -> ItemVectors: ...


def clipped(scores: FloatVector, limits: tuple[float, float] | None) -> FloatVector:
    """The same array, written over: scores of pairs as predicted ratings. Scores of whole rows are not
    clipped before they are ranked: the best items of a generous user would all tie at the limit."""
    if limits is None:
        return scores
    return np.clip(scores, np.float32(limits[0]), np.float32(limits[1]), out=scores)
