"""The one ridge solver: a small least-squares problem for each row of a sparse matrix, all rows at once."""

from __future__ import annotations

import numpy as np
from numba import njit, prange


def solve_rows(
    indptr: np.ndarray,
    indices: np.ndarray,
    targets: np.ndarray,
    design: np.ndarray,
    penalties: np.ndarray,
    *,
    power: float | np.ndarray = 0.0,
    base: np.ndarray | None = None,
    weight: float | np.ndarray = 1.0,
) -> np.ndarray:
    """(n_rows, k) float64: row r solves (base + weight · XᵀX + n_r^power · diag(penalties)) w = Xᵀt.

    X are the rows of `design` (n_columns, k) at the row's n_r entries, t its `targets`. Without `base` and
    `weight` this minimises the sum over the entries of (t - w · x)² plus n_r^power · Σ penalties · w², as a
    half-step of alternating least squares does. With `base` (k, k), the Gram matrix of all of `design`, and
    the `weight` c - 1, entries count c times and all other columns once with a target of 0 (Hu, Koren,
    Volinsky 2008, eq. 4, targets c); each entry may then have a weight of its own, (n_entries,).

    `indptr`, `indices`, `targets`: CSR rows; `penalties`: (k,), not negative; `power`: one for all of them,
    or (k,). A direction about which neither entries nor penalties say anything gets 0, and so do rows without
    entries. Each row is solved by one thread, its sums taken in the order of its entries: the number of
    threads decides nothing.
    """
    gram = np.zeros((0, 0)) if base is None else np.ascontiguousarray(base, dtype=np.float64)
    common, of_entries = (1.0, weight) if isinstance(weight, np.ndarray) else (weight, np.empty(0))
    return _solve_rows(
        indptr,
        indices,
        np.asarray(targets, dtype=np.float64),
        np.ascontiguousarray(design, dtype=np.float64),
        np.asarray(penalties, dtype=np.float64),
        np.broadcast_to(np.asarray(power, dtype=np.float64), np.shape(penalties)).copy(),
        gram,
        common,
        np.asarray(of_entries, dtype=np.float64),
    )


@njit(cache=True, parallel=True)
def _solve_rows(indptr, indices, targets, design, penalties, powers, base, weight, weights):
    n_rows, width = len(indptr) - 1, design.shape[1]
    solutions = np.zeros((n_rows, width))
    short_way = len(base) == 0 and np.all(penalties > 0)
    for row in prange(n_rows):
        start, end = indptr[row], indptr[row + 1]
        if end == start:
            continue
        scaled = penalties * float(end - start) ** powers
        chosen, own = indices[start:end], targets[start:end]
        if short_way and end - start < width:
            _solve_dual(chosen, own, design, scaled / weight, weight, solutions[row])
        else:
            of_entries = weights[start:end] if len(weights) > 0 else weights
            _solve_primal(chosen, own, design, scaled, base, weight, of_entries, solutions[row])
    return solutions


@njit(cache=True)
def _solve_primal(chosen, targets, design, penalties, base, weight, weights, solution):
    """By the (k, k) system. `weights`: of the entries beside the common `weight`; empty: 1 each."""
    width = design.shape[1]
    gram = np.zeros((width, width))
    for entry in range(len(chosen)):
        x = design[chosen[entry]]
        target = targets[entry]
        own = weights[entry] if len(weights) > 0 else 1.0
        for a in range(width):
            solution[a] += target * x[a]
            xa = own * x[a]
            for b in range(a + 1):  # from the first column on: half as fast again as up to the last
                gram[a, b] += xa * x[b]
    for a in range(width):
        for b in range(a, width):
            gram[a, b] = weight * gram[b, a]
            if len(base) > 0:
                gram[a, b] += base[a, b]
        gram[a, a] += penalties[a]
    _solve_positive(gram, solution)


@njit(cache=True)
def _solve_dual(chosen, targets, design, penalties, weight, solution):
    """By the (n, n) system, which is smaller for rows with fewer entries than unknowns:
    w = D⁻¹Xᵀ (X D⁻¹ Xᵀ + I)⁻¹ t / weight, for D = diag(penalties) > 0."""
    n, width = len(chosen), design.shape[1]
    rows, scaled = np.empty((width, n)), np.empty((n, width))
    for entry in range(n):
        x = design[chosen[entry]]
        for a in range(width):
            rows[a, entry] = x[a]
            scaled[entry, a] = x[a] / penalties[a]
    system, right = np.zeros((n, n)), targets / weight
    for i in range(n):
        line = system[i]
        for a in range(width):
            factor = scaled[i, a]
            for j in range(i + 1):
                line[j] += factor * rows[a, j]
        line[i] += 1.0
    for i in range(n):
        for j in range(i):
            system[j, i] = system[i, j]
    _solve_positive(system, right)
    for entry in range(n):
        for a in range(width):
            solution[a] += right[entry] * scaled[entry, a]


@njit(cache=True)
def _solve_positive(system, right):
    """Solves system · w = right in place by Cholesky, from the upper triangle. A direction without any
    information (a pivot of 0) gets 0, which is the least of the equally good solutions."""
    width = len(right)
    smallest = 1e-12 * np.max(np.diag(system)) if width > 0 else 0.0
    for a in range(width):  # rows of the factor, each taken off all rows below: contiguous, so vectorised
        line = system[a]
        line[a] = np.sqrt(line[a]) if line[a] > smallest else np.inf
        for b in range(a + 1, width):
            line[b] /= line[a]
        for b in range(a + 1, width):
            factor, below = line[b], system[b]
            for c in range(b, width):
                below[c] -= factor * line[c]
    for a in range(width):
        right[a] /= system[a, a]
        for b in range(a + 1, width):
            right[b] -= right[a] * system[a, b]
    for a in range(width - 1, -1, -1):
        for b in range(a + 1, width):
            right[a] -= system[a, b] * right[b]
        right[a] /= system[a, a]
