"""Inner products where they are asked for, and predictions on the rating scale."""

from __future__ import annotations

import numpy as np

from recsys_ae.types import FloatMatrix, FloatVector, PositionVector

_AT_ONCE = 1 << 14  # pairs whose vectors fit into the processor's cache together


def pair_products(
    left: FloatMatrix, right: FloatMatrix, rows: PositionVector, columns: PositionVector
) -> FloatVector:
    """(m,) float32: left[rows[j]] · right[columns[j]], without the block of all products."""
    products = np.empty(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        products[part] = np.einsum("mk,mk->m", left[rows[part]], right[columns[part]])
    return products


def clipped(scores: FloatVector, limits: tuple[float, float] | None) -> FloatVector:
    """The same array, written over: scores of pairs as predicted ratings. Scores of whole rows are not
    clipped: the best items of a generous user would all tie at the limit."""
    if limits is None:
        return scores
    return np.clip(scores, np.float32(limits[0]), np.float32(limits[1]), out=scores)
