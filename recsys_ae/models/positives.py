"""What counts as liked, for models of implicit feedback."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.configs import Feedback
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.types import BoolVector, PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class Likes:
    """What is liked in training, without the users and items that have no likes: they can change nothing.

    `matrix`: csr_array of ones, of the users at the positions `users` by the items at `items`. `values`:
    (n_likes,) the ratings or counts behind them.
    """

    matrix: csr_array
    values: np.ndarray
    users: PositionVector
    items: PositionVector

    @classmethod
    def of(cls, train: Ratings, positive: float | None, *, kind: str) -> Likes:
        """All entries at or above `positive`; None: every one. Raises DataError, which names the `kind` of
        model, where nothing is liked."""
        likes = likes_of(train, positive, kind)
        matrix, users, items = without_empty(positives(likes.matrix, None))
        return cls(matrix, likes.values, users, items)

    def unliked(self, n_items: int) -> PositionVector | None:
        """(m,) ascending positions of the other ones of all items; None where there are none."""
        others = np.ones(n_items, dtype=np.bool_)
        others[self.items] = False
        return np.flatnonzero(others) if others.any() else None


def without_empty(matrix: csr_array) -> tuple[csr_array, PositionVector, PositionVector]:
    """The stored entries alone, of the rows and the columns that have any, and the positions of both."""
    sizes = np.diff(matrix.indptr)
    rows, starts = np.flatnonzero(sizes), np.append(0, np.cumsum(sizes[sizes > 0]))
    columns, places = np.unique(matrix.indices, return_inverse=True)
    kept = csr_array((matrix.data, places, starts), shape=(len(rows), len(columns)))
    return kept, rows, columns


def spread(rows: np.ndarray, positions: PositionVector, n: int, fill: float = 0.0) -> np.ndarray:
    """`rows` at these positions of `n`, `fill` at the others; float32."""
    wide = np.full((n, *rows.shape[1:]), fill, dtype=np.float32)
    wide[positions] = rows
    return wide


def least_liked(positive: float | None, feedback: Feedback) -> float | None:
    """The least value that is liked, None: each is. Of counts without a `positive` of their own those above
    0: who has never heard a song does not like it."""
    if positive is None and feedback == "counts":
        return float(np.nextafter(np.float32(0), np.float32(1)))
    return positive


def positives(matrix: csr_array, threshold: float | None) -> csr_array:
    """csr_array float32 of the same shape with a 1 for each observed entry at or above `threshold`; None
    takes every observed entry, zeros and negative ratings included."""
    kept = liked(matrix, threshold)
    starts = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    ones = np.ones(int(kept.sum()), dtype=np.float32)
    return csr_array((ones, matrix.indices[kept], starts), shape=matrix.shape)


def unit_rows(matrix: csr_array, threshold: float | None) -> csr_array:
    """The same entries as `positives`, each divided by the root of their number in the row, so that rows have
    length 1."""
    ones = positives(matrix, threshold)
    sizes = np.diff(ones.indptr)
    values = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes).astype(np.float32)
    return csr_array((values, ones.indices, ones.indptr), shape=matrix.shape)


def confidences(values: np.ndarray, alpha: float, mean_count: float | None) -> np.ndarray:
    """(n,) float64 confidences of liked entries: 1 + alpha each; of counts 1 + alpha · log2(1 + count /
    mean).

    The form is eq. 6 of Hu, Koren and Volinsky (2008), 1 + alpha · log(1 + r / epsilon), with the mean count
    as epsilon: it has no unit (hours or minutes, plays or thousands of them), and an entry of the mean count
    has the confidence of an event. A mean of 0 says nothing: all counts are alike."""
    if not mean_count:
        return np.full(len(values), 1.0 + alpha)
    return 1.0 + alpha * np.log2(1.0 + values.astype(np.float64) / mean_count)


def likes_of(train: Ratings, positive: float | None, kind: str) -> Ratings:
    """The ratings at or above `positive`, None: all. Raises DataError where that is none."""
    likes = train.keep(liked(train.matrix, positive))
    if likes.n_observed:
        return likes
    if train.feedback == "counts" and not (train.values > 0).any():
        raise DataError("no count is above 0: there is nothing to learn from")
    raise DataError(f"no rating is at or above {positive}; lower `positive` of model {kind!r}")


def liked(matrix: csr_array, threshold: float | None) -> BoolVector:
    """(n_observed,) bool in the order of the matrix."""
    if threshold is None:
        return np.ones(len(matrix.data), dtype=np.bool_)
    return matrix.data >= threshold
