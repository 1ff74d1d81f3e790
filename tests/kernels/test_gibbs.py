"""Gibbs draws against dense linear algebra, and against the distribution that they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import set_num_threads
from numba.core.config import NUMBA_NUM_THREADS
from oracles import slow_effect_draws, slow_row_draws
from scipy.sparse import csr_array
from strategies import small_ratings

from recsys_ae.kernels.gibbs import collapse_rows, draw_effects, draw_rows, squared_errors

NOISE_PRECISION = 1.7


def random_precision(rng: np.random.Generator, width: int) -> np.ndarray:
    root = rng.normal(size=(width, width + 2))
    return root @ root.T / width + 0.3 * np.eye(width)


def rows_of(matrix: csr_array) -> list[tuple[np.ndarray, np.ndarray]]:
    spans = zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    return [(matrix.indices[a:b], matrix.data[a:b]) for a, b in spans]


@given(small_ratings(), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_a_draw_is_the_posterior_mean_plus_noise_through_the_cholesky_factor(ratings, width, seed):
    """Also of rows without entries, which are drawn from the prior."""
    rng = np.random.default_rng(seed)
    matrix, design = ratings.matrix.astype(np.float64), rng.normal(size=(ratings.n_items, width))
    precision, centres, normals = (
        random_precision(rng, width),
        *rng.normal(size=(2, ratings.n_users, width)),
    )
    arguments = matrix.indptr, matrix.indices, matrix.data, design, NOISE_PRECISION, centres, precision
    expected = slow_row_draws(rows_of(matrix), design, NOISE_PRECISION, centres, precision, normals)
    np.testing.assert_allclose(draw_rows(*arguments, normals), expected, rtol=1e-8, atol=1e-9)
    means = slow_row_draws(rows_of(matrix), design, NOISE_PRECISION, centres, precision, 0 * normals)
    np.testing.assert_allclose(draw_rows(*arguments, 0 * normals), means, rtol=1e-8, atol=1e-9)


def warm(ratings) -> csr_array:
    """Users with ratings by items with ratings."""
    dense, seen = np.zeros(ratings.matrix.shape), np.zeros(ratings.matrix.shape, dtype=bool)
    dense[ratings.rows(), ratings.columns] = ratings.values
    seen[ratings.rows(), ratings.columns] = True
    users, items = seen.any(axis=1), seen.any(axis=0)
    dense, seen = dense[users][:, items], seen[users][:, items]
    starts = np.concatenate([[0], np.cumsum(seen.sum(axis=1))])
    return csr_array((dense[seen], np.argwhere(seen)[:, 1], starts), shape=seen.shape)


@settings(max_examples=60)
@given(small_ratings(min_observed=1), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_effects_are_drawn_with_the_rows_integrated_out_and_rows_then_given_them(ratings, width, seed):
    rng = np.random.default_rng(seed)
    matrix = warm(ratings)
    n_rows, n_columns = matrix.shape
    design, effects, effect_normals = rng.normal(size=(3, n_columns, width))
    mean, effect_mean = rng.normal(size=(2, width))
    precision, effect_precision = random_precision(rng, width), random_precision(rng, width)
    row_normals, counts = rng.normal(size=(n_rows, width)), np.diff(matrix.indptr)[:, None]
    entries = rows_of(matrix)
    expected = slow_effect_draws(
        entries, design, NOISE_PRECISION, (mean, precision), effects, (effect_mean, effect_precision),
        effect_normals,
    )  # fmt: skip

    def centres(effects: np.ndarray) -> np.ndarray:
        return np.array(
            [mean + effects[columns].sum(axis=0) / np.sqrt(len(columns)) for columns, _ in entries]
        )

    curvatures, slopes, spreads = collapse_rows(
        matrix.indptr, matrix.indices, matrix.data, design, NOISE_PRECISION, centres(effects), precision,
        row_normals,
    )  # fmt: skip
    by_column = csr_array(matrix).tocsc()
    found = effects.copy()
    draw_effects(
        by_column.indptr, by_column.indices, curvatures, slopes, found, effect_mean, effect_precision,
        effect_normals,
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)  # curvatures are in single precision
    drawn = centres(found) + np.linalg.solve(precision, (np.sqrt(counts) * slopes).T).T + spreads
    given_them = slow_row_draws(entries, design, NOISE_PRECISION, centres(found), precision, row_normals)
    np.testing.assert_allclose(drawn, given_them, rtol=1e-3, atol=1e-4)


def test_many_draws_have_the_mean_and_the_covariance_of_the_posterior():
    rng = np.random.default_rng(4)
    n, columns = 40_000, np.array([0, 2, 3])
    design, targets, precision = rng.normal(size=(4, 2)), rng.normal(size=3), random_precision(rng, 2)
    centre = np.array([0.5, -1.0])
    draws = draw_rows(
        3 * np.arange(n + 1), np.tile(columns, n), np.tile(targets, n), design, NOISE_PRECISION,
        np.tile(centre, (n, 1)), precision, rng.standard_normal((n, 2)),
    )  # fmt: skip
    covariance = np.linalg.inv(precision + NOISE_PRECISION * design[columns].T @ design[columns])
    mean = covariance @ (precision @ centre + NOISE_PRECISION * design[columns].T @ targets)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=6 * np.sqrt(covariance.max() / n))
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.05 * covariance.max())


@given(small_ratings(), st.integers(0, 2**32 - 1))
def test_squared_errors_are_those_of_the_products(ratings, seed):
    rng, matrix = np.random.default_rng(seed), ratings.matrix.astype(np.float64)
    rows, columns = rng.normal(size=(ratings.n_users, 3)), rng.normal(size=(ratings.n_items, 3))
    found = squared_errors(matrix.indptr, matrix.indices, matrix.data, rows, columns)
    for row, (own, targets) in enumerate(rows_of(matrix)):
        assert found[row] == pytest.approx(((targets - columns[own] @ rows[row]) ** 2).sum())


def test_threads_decide_nothing():
    rng = np.random.default_rng(1)
    indptr = np.concatenate([[0], np.cumsum(rng.integers(1, 40, 300))])
    indices, targets = rng.integers(0, 90, indptr[-1]), rng.normal(size=indptr[-1])
    arguments = (
        indptr, indices, targets, rng.normal(size=(90, 7)), 2.0, rng.normal(size=(300, 7)),
        random_precision(rng, 7), rng.normal(size=(300, 7)),
    )  # fmt: skip
    try:
        set_num_threads(1)
        alone = draw_rows(*arguments), *collapse_rows(*arguments)
    finally:
        set_num_threads(NUMBA_NUM_THREADS)
    together = draw_rows(*arguments), *collapse_rows(*arguments)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
