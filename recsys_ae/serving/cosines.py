"""Cosines between what a model has learnt of items."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ratings import entry_rows
from recsys_ae.errors import CapabilityError
from recsys_ae.recommender import ComparesItems, ItemVectors, Recommender
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector


def vectors_of(recommender: Recommender) -> ItemVectors:
    """Raises CapabilityError for a model without vectors of items."""
    if not isinstance(recommender, ComparesItems):
        raise CapabilityError(
            f"this {recommender.kind} model has learnt nothing by which items could be compared; choose a "
            "factorisation, a linear model or an autoencoder"
        )
    return recommender.item_vectors()


def lengths_of(vectors: ItemVectors) -> FloatVector:
    """(n_items,) float64"""
    matrix = vectors.matrix
    if isinstance(matrix, csr_array):
        squares = np.bincount(
            entry_rows(matrix), np.square(matrix.data, dtype=np.float64), minlength=matrix.shape[0]
        )
    else:
        squares = np.einsum("ik,ik->i", matrix, matrix, dtype=np.float64)
    return np.sqrt(squares if vectors.own is None else squares + np.square(vectors.own, dtype=np.float64))


def cosines(vectors: ItemVectors, lengths: FloatVector, block: PositionVector) -> FloatMatrix:
    """(b, n_items) float32 of the items of a block with all; 0 where one of the two has no length."""
    matrix, own = vectors.matrix, vectors.own
    products = _dense(matrix[block] @ matrix.T)
    if own is not None:  # (V + D)(V + D)ᵀ without a copy of V
        products = products + own[block, None] * _dense(matrix[:, block]).T + _dense(matrix[block]) * own
        products[np.arange(len(block)), block] += np.square(own[block])
    units = _units(lengths)
    products = products * units[block, None] * units
    return np.clip(products, -1.0, 1.0).astype(np.float32)


def cosines_among(vectors: ItemVectors, lengths: FloatVector, chosen: PositionVector) -> FloatMatrix:
    """(c, c) float32 of some distinct items with each other; 0 where one of the two has no length."""
    rows, own = vectors.matrix[chosen], vectors.own
    if own is not None and isinstance(rows, csr_array):
        places = (own[chosen], chosen, np.arange(len(chosen) + 1))
        rows = rows + csr_array(places, shape=rows.shape)
    elif own is not None:
        rows[np.arange(len(chosen)), chosen] += own[chosen]
    units = _units(lengths[chosen])
    return np.clip(_dense(rows @ rows.T) * units[:, None] * units, -1.0, 1.0).astype(np.float32)


def _units(lengths: FloatVector) -> FloatVector:
    return np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)


def _dense(rows: FloatMatrix | csr_array) -> FloatMatrix:
    return rows.toarray() if isinstance(rows, csr_array) else np.asarray(rows)
