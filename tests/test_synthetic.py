"""Made-up ratings hold what they say they hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from strategies import small_ratings
from synthetic import checkerboard, low_rank, noise, permuted, power_law


@pytest.mark.parametrize("make", [low_rank, power_law])
def test_seeds_decide(make):
    prints = {make(30, 20, seed=seed).fingerprint() for seed in (0, 0, 1)}
    assert len(prints) == 2


def test_low_rank_ratings_are_of_low_rank():
    dense = low_rank(60, 40, rank=2, density=1.0, noise=0.0, seed=3)
    values = dense.matrix.toarray().astype(np.float64)
    inside = (values > 1) & (values < 5)
    users = np.flatnonzero(inside.all(axis=1))
    singular = np.linalg.svd(values[users] - 3, compute_uv=False)
    assert dense.n_observed == 2400
    assert len(users) > 5
    assert (singular[2:] < 1e-4 * singular[0]).all()
    assert singular[1] > 0.05 * singular[0]


@pytest.mark.parametrize("density", [0.0, 0.013, 0.5, 1.0])
def test_density_is_exact_and_cells_are_distinct(density):
    ratings = low_rank(41, 37, density=density)
    assert ratings.n_observed == round(density * 41 * 37)
    assert len(set(zip(ratings.rows(), ratings.columns, strict=True))) == ratings.n_observed
    assert ratings.scale == (1, 5)


@pytest.mark.parametrize("explicit", [False, True])
def test_checkerboards_withhold_the_diagonal(explicit):
    board = checkerboard(6, explicit=explicit)
    for user in range(6):
        seen = dict(
            zip(
                *(a[slice(*board.matrix.indptr[user : user + 2])] for a in (board.columns, board.values)),
                strict=True,
            )
        )
        assert user not in seen
        assert {item for item, value in seen.items() if value == (5 if explicit else 1)} == {
            item for item in range(6) if item % 2 == user % 2 and item != user
        }
        assert len(seen) == (5 if explicit else 2)


def test_power_laws_have_a_head_and_a_tail():
    counts = np.bincount(power_law(300, 200, density=0.05, seed=1).columns, minlength=200)
    assert counts[:20].sum() > 3 * counts[-20:].sum()


@given(small_ratings(min_observed=1))
def test_permuted_ratings_keep_cells_and_histogram(ratings):
    mixed = permuted(ratings, seed=5)
    assert (mixed.columns == ratings.columns).all()
    assert sorted(mixed.values) == sorted(ratings.values)
    assert mixed.users is ratings.users


@given(small_ratings(min_observed=1))
def test_noise_keeps_cells_only(ratings):
    random = noise(ratings, seed=5)
    assert (random.matrix.indptr == ratings.matrix.indptr).all()
    assert set(random.values) <= set(ratings.values)


def test_permuting_moves_the_values():
    ratings = low_rank(50, 40, seed=1)
    assert abs(np.corrcoef(ratings.values, permuted(ratings).values)[0, 1]) < 0.2
