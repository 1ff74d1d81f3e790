"""Ratings as levels, whatever their unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from scipy.sparse import csr_array
from strategies import small_ratings

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.models.biases import damped_means
from recsys_ae.models.levels import Levels


def in_a_row(*values: float) -> Ratings:
    """One user's ratings."""
    data = np.array(values, dtype=np.float32)
    matrix = csr_array((data, np.arange(len(data)), [0, len(data)]), shape=(1, len(data)))
    return Ratings(matrix, IdMap(np.arange(1)), IdMap(np.arange(len(data))))


@given(small_ratings(min_observed=1))
def test_each_distinct_rating_is_a_level(ratings):
    levels = Levels.of(ratings, 20)
    assert levels.values.tolist() == sorted(set(ratings.values.tolist()))
    numbered = levels.of_entries(ratings.matrix)
    np.testing.assert_array_equal(numbered.indices, ratings.matrix.indices)
    np.testing.assert_array_equal(numbered.indptr, ratings.matrix.indptr)
    assert numbered.dtype == np.float32
    np.testing.assert_array_equal(levels.values[numbered.data.astype(int)], ratings.values)


def test_many_distinct_ratings_become_quantiles_with_their_means():
    rng = np.random.default_rng(0)
    values = rng.permutation(np.linspace(-1, 1, 1000) ** 3)
    levels = Levels.of(in_a_row(*values), 8)
    octiles = np.sort(values).reshape(8, 125)
    np.testing.assert_allclose(levels.values, octiles.mean(axis=1), rtol=1e-5)
    found = levels.numbers(values.astype(np.float32))
    np.testing.assert_array_equal(found, np.argsort(np.argsort(values)) // 125)


def test_equal_ratings_are_of_one_level():
    """Of 200 ratings 150 are 0: they are a level, and the others share what is left."""
    values = np.concatenate([np.zeros(150), np.arange(1, 26), -np.arange(1, 26)])
    levels = Levels.of(in_a_row(*values), 8)
    assert levels.values.tolist() == [-13.0, 0.0, 13.0]
    assert levels.numbers(np.array([-1, 0, 1, 25])).tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize("most", [20, 3])
def test_ratings_that_training_never_saw_are_of_the_nearest_level(most):
    levels = Levels.of(in_a_row(1, 2, 3, 4, 5, 5), most)
    assert levels.numbers(np.array([-9.0, 99.0])).tolist() == [0, len(levels) - 1]
    if most == 20:
        assert levels.numbers(np.array([1.4, 1.6, 4.4, 4.6])).tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize(("factor", "shift"), [(20.0, 0.0), (1e-3, 0.0), (20.0, -7.0), (1.0, 2000.0)])
def test_other_units_give_the_same_levels(factor, shift):
    values = np.round(np.random.default_rng(0).gamma(2.0, size=500), 2)
    for most in (6, 50):
        plain, mapped = (
            Levels.of(in_a_row(*values), most),
            Levels.of(in_a_row(*(factor * values + shift)), most),
        )
        np.testing.assert_array_equal(
            plain.numbers(values.astype(np.float32)),
            mapped.numbers((factor * values + shift).astype(np.float32)),
        )
        np.testing.assert_allclose((mapped.values - shift) / factor, plain.values, atol=1e-4)


@given(small_ratings(min_observed=1))
def test_means_of_damped_shares_are_damped_means(ratings):
    levels = Levels.of(ratings, 20)
    shares = levels.damped_shares(ratings, 2.0)
    mean = ratings.mean()
    of_items = damped_means(ratings.values - mean, ratings.columns, ratings.n_items, 2.0)
    np.testing.assert_allclose(levels.values @ shares, mean + of_items, atol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    assert (shares > 0).all()
