"""What counts as liked, for models of implicit feedback."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.configs import Feedback
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.types import BoolVector


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
