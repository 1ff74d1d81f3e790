"""Blocks of users, the only shape in which models meet them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.types import PositionVector


@dataclass(frozen=True, slots=True)
class UserBatch:
    """Some users and what may be known of them.

    `positions`: (b,) int64 in the model's user map; -1 = not seen in training.
    `history`: (b, n_items) csr_array float32, the observed entries that a model may read.
    """

    positions: PositionVector
    history: csr_array

    def __len__(self) -> int:
        return len(self.positions)


def select_rows(matrix: csr_array, rows: PositionVector) -> csr_array:
    """(len(rows), n_columns) csr_array of the rows; stored zeros stay stored."""
    return matrix[np.asarray(rows)]


def entry_rows(matrix: csr_array) -> PositionVector:
    """(n_observed,) int64 row of each stored entry, in the order of the matrix."""
    return np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
