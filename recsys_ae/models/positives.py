"""What counts as liked, for models of implicit feedback."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.types import BoolVector


def positives(matrix: csr_array, threshold: float | None) -> csr_array:
    """csr_array float32 of the same shape with a 1 for each observed entry at or above `threshold`; None
    takes every observed entry, zeros and negative ratings included."""
    kept = liked(matrix, threshold)
    starts = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    ones = np.ones(int(kept.sum()), dtype=np.float32)
    return csr_array((ones, matrix.indices[kept], starts), shape=matrix.shape)


def liked(matrix: csr_array, threshold: float | None) -> BoolVector:
    """(n_observed,) bool in the order of the matrix."""
    if threshold is None:
        return np.ones(len(matrix.data), dtype=np.bool_)
    return matrix.data >= threshold
