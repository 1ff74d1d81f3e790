"""The ridge solver against the normal equations, row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import small_ratings

from recsys_ae.kernels.ridge import solve_rows


@given(
    small_ratings(),
    st.integers(1, 9),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_every_row_solves_its_normal_equations(ratings, k, power, with_base, seed):
    """More unknowns than entries and fewer, empty rows, one rating, stored zeros."""
    rng = np.random.default_rng(seed)
    design, penalties = rng.normal(size=(ratings.n_items, k)), rng.uniform(0.1, 3.0, k)
    base, weight = (design.T @ design, 2.5) if with_base else (None, 1.0)
    found = solve_rows(
        ratings.matrix.indptr, ratings.columns, ratings.values, design, penalties,
        power=power, base=base, weight=weight,
    )  # fmt: skip
    for row in range(ratings.n_users):
        own = slice(*ratings.matrix.indptr[row : row + 2])
        chosen, n = design[ratings.columns[own]], own.stop - own.start
        system = weight * chosen.T @ chosen + np.diag(penalties) * float(n) ** power
        if base is not None:
            system += base
        expected = np.linalg.solve(system, chosen.T @ ratings.values[own]) if n else np.zeros(k)
        np.testing.assert_allclose(found[row], expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("n", [1, 3, 6])
def test_a_direction_that_nothing_determines_stays_zero(n):
    """Without a penalty on it, a constant column of zeros says nothing of its weight."""
    design = np.column_stack([np.arange(1.0, 7.0), np.zeros(6), np.ones(6)])
    found = solve_rows(np.array([0, n]), np.arange(n), np.ones(n), design, np.array([0.5, 0.0, 0.5]))
    assert found[0, 1] == 0.0
    assert np.isfinite(found).all()
    assert found[0, 2] > 0.0
