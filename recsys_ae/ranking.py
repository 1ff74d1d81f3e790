"""From scores to lists: the one place that masks, cuts and breaks ties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.errors import DataError
from recsys_ae.kernels.topn import best_columns
from recsys_ae.types import FloatMatrix, PositionMatrix


@dataclass(frozen=True, slots=True, eq=False)
class TopN:
    """The best items of b users, best first.

    `items`: (b, n) int64 positions, -1 where there are no more. `scores`: (b, n) float32, -inf there.
    """

    items: PositionMatrix
    scores: FloatMatrix

    def __len__(self) -> int:
        return len(self.items)


def top_n(scores: FloatMatrix, n: int, exclude: csr_array | None = None) -> TopN:
    """The `n` highest of each row of `scores` (b, n_items), which stay as they are; compared as float32.

    Left out: the stored entries of `exclude` (b, n_items), stored zeros too, and scores of -inf. Of equal
    scores the lower position comes first. Lists shorter than `n` are padded; `n` is n_items at
    most. Raises DataError for a score that is not a number, unless it is excluded.
    """
    if n < 1:
        raise ValueError(f"a list of n = {n} items")
    n = min(n, scores.shape[1])
    block = np.ascontiguousarray(scores, dtype=np.float32)
    items = np.full((len(block), n), -1, dtype=np.int64)
    values = np.full((len(block), n), -np.inf, dtype=np.float32)
    broken = best_columns(block, *_hidden(exclude, block.shape), items, values)
    if broken >= 0:
        raise DataError(
            f"row {broken} of a block of scores holds a value that is not a number, which has "
            "no rank; fit the model again, with a lower learning rate or more regularisation"
        )
    return TopN(items, values)


def _hidden(exclude: csr_array | None, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(starts, columns) int64, columns ascending within rows."""
    if exclude is None:
        return np.zeros(shape[0] + 1, dtype=np.int64), np.empty(0, dtype=np.int64)
    if exclude.shape != shape:
        raise ValueError(f"exclude has shape {exclude.shape}, scores have {shape}")
    ordered = exclude if exclude.has_sorted_indices else exclude.sorted_indices()
    return ordered.indptr.astype(np.int64), ordered.indices.astype(np.int64)
