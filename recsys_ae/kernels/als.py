"""One half-step of alternating least squares: each row's ridge problem on its observed entries."""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(cache=True, parallel=True)
def solve_rows(
    indptr: np.ndarray,
    indices: np.ndarray,
    targets: np.ndarray,
    design: np.ndarray,
    penalties: np.ndarray,
    power: float,
) -> np.ndarray:
    """(n_rows, k) float64: row r minimises the sum over its entries of (target - w · design[index])² plus
    n_r^power · Σ penalties · w², where n_r counts its entries.

    `indptr`, `indices`, `targets`: CSR rows; `design`: (n_columns, k); `penalties`: (k,), at least one
    entry of each empty direction positive. Rows without entries get zeros. Each row is written by one
    iteration, its sums taken in the order of its entries: threads decide nothing.
    """
    n_rows, width = len(indptr) - 1, design.shape[1]
    solutions = np.zeros((n_rows, width))
    for row in prange(n_rows):
        start, end = indptr[row], indptr[row + 1]
        if end > start:
            gram = np.zeros((width, width))
            _accumulate(indices[start:end], targets[start:end], design, gram, solutions[row])
            weight = float(end - start) ** power
            for a in range(width):
                gram[a, a] += weight * penalties[a]
            _solve_positive(gram, solutions[row])
    return solutions


@njit(cache=True)
def _accumulate(
    indices: np.ndarray, targets: np.ndarray, design: np.ndarray, gram: np.ndarray, right: np.ndarray
) -> None:
    """Adds the lower triangle of Σ x xᵀ to `gram` and Σ target · x to `right`."""
    width = design.shape[1]
    for entry in range(len(indices)):
        x = design[indices[entry]]
        target = targets[entry]
        for a in range(width):
            xa = x[a]
            right[a] += target * xa
            for b in range(a + 1):
                gram[a, b] += xa * x[b]


@njit(cache=True)
def _solve_positive(gram: np.ndarray, right: np.ndarray) -> None:
    """Solves gram · w = right in place by Cholesky from the lower triangle. A direction without any
    information (a pivot of 0) gets weight 0, which is the least of the equally good solutions."""
    width = len(right)
    smallest = 1e-12 * np.max(np.diag(gram)) if width > 0 else 0.0
    for a in range(width):
        for b in range(a + 1):
            total = gram[a, b]
            for c in range(b):
                total -= gram[a, c] * gram[b, c]
            if b < a:
                gram[a, b] = total / gram[b, b]
            elif total > smallest:
                gram[a, a] = np.sqrt(total)
            else:
                gram[a, a] = np.inf
    for a in range(width):
        for c in range(a):
            right[a] -= gram[a, c] * right[c]
        right[a] /= gram[a, a]
    for a in range(width - 1, -1, -1):
        for c in range(a + 1, width):
            right[a] -= gram[c, a] * right[c]
        right[a] /= gram[a, a]
