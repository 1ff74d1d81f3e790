"""Gibbs draws of the vectors of one side of a factorisation, the other side being fixed."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

_LOST = 2e-6  # what sums of curvatures, in 32 bits, lose of themselves


@njit(cache=True, parallel=True)
def draw_rows(indptr, indices, targets, design, noise_precision, prior_means, prior_precision, normals):
    """(n_rows, k) float64: a draw of each row's vector w from its posterior

        w ~ N(mean_r, prior_precision⁻¹),  t_e = w · x_e + N(0, 1 / noise_precision) at the row's entries,

    which is normal with precision M = prior_precision + noise_precision · XᵀX (Salakhutdinov & Mnih 2008,
    eq. 11-13): M⁻¹(prior_precision · mean_r + noise_precision · Xᵀt) + L⁻ᵀ · normal, LLᵀ = M.

    `indptr`, `indices`, `targets`: CSR rows; `design`: (n_columns, k); `prior_means`, `normals`: (n_rows, k),
    the latter standard normal, or 0 for the mean of the posterior. All float64. One thread for each row, its
    sums taken in the order of its entries: the number of threads decides nothing.
    """
    draws = normals.copy()
    for row in prange(len(indptr) - 1):
        own = slice(indptr[row], indptr[row + 1])
        factor, vector = _posterior(indices[own], targets[own], design, noise_precision, prior_precision)
        _add_product(vector, prior_precision, prior_means[row])
        _forward(factor, vector)
        draws[row] += vector
        _backward(factor, draws[row])
    return draws


@njit(cache=True, parallel=True)
def collapse_rows(indptr, indices, targets, design, noise_precision, centres, prior_precision, normals):
    """What a row's entries say of the centre c of its vector's prior, w ~ N(c, prior_precision⁻¹), when w
    itself is integrated out: log p(t | c) = -½ cᵀAc + bᵀc + const., with P the prior precision, M as in
    `draw_rows`, A = P - P M⁻¹ P and b = P M⁻¹ · noise_precision · Xᵀt.

    Gives `curvatures` (n_rows, k, k) float32, A / n_r; `slopes` (n_rows, k), (b - A · centre) / √n_r, for
    the n_r entries of the row; and `spreads` (n_rows, k), L⁻ᵀ · normal. Once centres c are settled, and the
    slopes s are those at c, a draw of the row is c + P⁻¹ · √n_r · s + spread. Every row has entries.
    """
    n_rows, width = len(indptr) - 1, design.shape[1]
    covariance = np.linalg.inv(prior_precision)
    curvatures = np.empty((n_rows, width, width), dtype=np.float32)
    slopes, spreads = np.empty((n_rows, width)), normals.copy()
    for row in prange(n_rows):
        own = slice(indptr[row], indptr[row + 1])
        factor, vector = _posterior(indices[own], targets[own], design, noise_precision, prior_precision)
        _backward(factor, spreads[row])
        n = indptr[row + 1] - indptr[row]
        if 2 * n <= width:
            curvature, slope = _collapse_short(
                indices[own], targets[own], design, noise_precision, covariance
            )
        else:
            _forward(factor, vector)
            curvature, slope = _collapse(factor, vector, prior_precision)
        for a in range(width):
            pull = 0.0
            for b in range(width):
                curvatures[row, a, b] = curvature[a, b] / n
                pull += curvatures[row, a, b] * centres[row, b]
            slopes[row, a] = slope[a] / np.sqrt(n) - np.sqrt(n) * pull
    return curvatures, slopes, spreads


@njit(cache=True)
def draw_effects(indptr, indices, curvatures, slopes, effects, prior_mean, prior_precision, normals):
    """Draw, one after the other, the vectors y that shift the centres of rows: row r's by the sum of the y of
    its columns over √n_r.

    `indptr`, `indices`: the rows in which each column occurs (CSC); `curvatures`, `slopes`: as of
    `collapse_rows`, the slopes at the centres of now; `effects`: (n_columns, k), the y of now;
    y ~ N(prior_mean, prior_precision⁻¹). `effects` and `slopes` are written over.
    """
    width = effects.shape[1]
    shift, moved = np.zeros(width), np.empty(width, dtype=np.float32)
    _add_product(shift, prior_precision, prior_mean)
    for column in range(len(indptr) - 1):
        rows = indices[indptr[column] : indptr[column + 1]]
        curvature, vector = np.zeros((width, width), dtype=np.float32), shift.copy()
        for row in rows:
            own = curvatures[row]
            for a in range(width):
                vector[a] += slopes[row, a]
                for b in range(width):
                    curvature[a, b] += own[a, b]
        before = effects[column].copy()
        _add_product(vector, curvature, before)
        factor = prior_precision + curvature
        _cholesky(factor, _LOST)
        _forward(factor, vector)
        vector += normals[column]
        _backward(factor, vector)
        effects[column] = vector
        change = (vector - before).astype(np.float32)
        for row in rows:
            own = curvatures[row]
            moved[:] = 0
            for a in range(width):
                step = change[a]
                for b in range(width):
                    moved[b] += step * own[a, b]
            for a in range(width):
                slopes[row, a] -= moved[a]


@njit(cache=True, parallel=True)
def squared_errors(indptr, indices, targets, rows, columns):
    """(n_rows,) float64: Σ (t - rows_r · columns_c)² over the entries of each row."""
    sums = np.zeros(len(indptr) - 1)
    for row in prange(len(indptr) - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            other, error = columns[indices[entry]], targets[entry]
            for a in range(len(other)):
                error -= rows[row, a] * other[a]
            sums[row] += error * error
    return sums


@njit(cache=True)
def _posterior(chosen, targets, design, noise_precision, prior_precision):
    """(L, noise_precision · Xᵀt) of a row, LLᵀ = prior_precision + noise_precision · XᵀX."""
    width = design.shape[1]
    gram, moment = np.zeros((width, width)), np.zeros(width)
    for entry in range(len(chosen)):
        x, target = design[chosen[entry]], targets[entry]
        for a in range(width):
            xa = x[a]
            moment[a] += target * xa
            for b in range(a + 1):
                gram[a, b] += xa * x[b]
    for a in range(width):
        moment[a] *= noise_precision
        for b in range(a + 1):
            gram[a, b] = gram[b, a] = noise_precision * gram[a, b] + prior_precision[a, b]
    _cholesky(gram)
    return gram, moment


@njit(cache=True)
def _collapse(factor, vector, precision):
    """P - HᵀH and Hᵀ · vector, for H = L⁻¹P and P the `precision`."""
    width = len(vector)
    half, curvature, slope = precision.copy(), precision.copy(), np.zeros(width)
    for a in range(width):
        line, pivot = half[a], factor[a, a]
        for b in range(a):
            above, share = half[b], factor[a, b]
            for c in range(width):
                line[c] -= share * above[c]
        for c in range(width):
            line[c] /= pivot
        for b in range(width):
            share = line[b]
            slope[b] += vector[a] * share
            for c in range(width):
                curvature[b, c] -= share * line[c]
    return curvature, slope


@njit(cache=True)
def _collapse_short(chosen, targets, design, noise_precision, covariance):
    """The same of a row with few entries, by the covariance of its ratings: Xᵀ S⁻¹ X and Xᵀ S⁻¹ t, for
    S = 1 / noise_precision + X · covariance · Xᵀ."""
    n, width = len(chosen), design.shape[1]
    system, half = np.empty((n, n)), np.empty((n, width))  # half: becomes L⁻¹X, LLᵀ = S
    curvature, slope = np.zeros((width, width)), np.zeros(width)
    for i in range(n):
        moved = np.zeros(width)
        half[i] = design[chosen[i]]
        _add_product(moved, covariance, half[i])
        for j in range(n):
            system[i, j] = np.sum(moved * design[chosen[j]])
        system[i, i] += 1.0 / noise_precision
    _cholesky(system)
    left = targets.copy()
    _forward(system, left)
    for i in range(n):
        line = half[i]
        for j in range(i):
            line -= system[i, j] * half[j]
        line /= system[i, i]
        slope += left[i] * line
        for a in range(width):
            share = line[a]
            for b in range(width):
                curvature[a, b] += share * line[b]
    return curvature, slope


@njit(cache=True)
def _cholesky(matrix, lost=0.0):
    """The lower triangle becomes the factor L, LLᵀ = matrix, which is positive definite but for the share
    `lost` of its diagonal by rounding: no direction has a precision below that."""
    width = len(matrix)
    least = lost * np.max(np.diag(matrix)) if width > 0 else 0.0
    for a in range(width):
        upper = matrix[a]
        for b in range(a):  # the symmetric upper triangle is reduced row by row: contiguous, so vectorised
            above, share = matrix[b], matrix[a, b]
            for c in range(a, width):
                upper[c] -= share * above[c]
        upper[a] = np.sqrt(max(upper[a], least))
        for c in range(a + 1, width):
            upper[c] /= upper[a]
            matrix[c, a] = upper[c]


@njit(cache=True)
def _add_product(vector, matrix, other):
    """vector += matrix · other, for a symmetric matrix."""
    for a in range(len(vector)):
        line, share = matrix[a], other[a]
        for b in range(len(vector)):
            vector[b] += share * line[b]


@njit(cache=True)
def _forward(factor, vector):
    """L⁻¹ · vector, in place."""
    for a in range(len(vector)):
        for b in range(a):
            vector[a] -= factor[a, b] * vector[b]
        vector[a] /= factor[a, a]


@njit(cache=True)
def _backward(factor, vector):
    """L⁻ᵀ · vector, in place."""
    for a in range(len(vector) - 1, -1, -1):
        vector[a] /= factor[a, a]
        for b in range(a):
            vector[b] -= factor[a, b] * vector[a]
