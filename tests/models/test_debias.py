"""Ratings freed of biases."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from strategies import small_ratings

from recsys_ae.models.configs import BiasesConfig
from recsys_ae.models.debias import find_biases, without_biases


@given(small_ratings(min_observed=1))
def test_bias_of_a_history_is_the_trained_bias_of_its_user(ratings):
    """So a network reads of a user what it has read in training, whether or not the sweeps had settled."""
    biases = find_biases(ratings, BiasesConfig(user_damping=2.0, sweeps=3))
    np.testing.assert_allclose(biases.of_histories(ratings.matrix), biases.users, atol=1e-5)


@given(small_ratings(min_observed=1))
def test_the_same_entries_stay_observed(ratings):
    """One that becomes 0 too."""
    biases = find_biases(ratings, BiasesConfig())
    rest = without_biases(ratings, biases)
    expected = ratings.values - biases.users[ratings.rows()] - biases.items[ratings.columns]
    np.testing.assert_allclose(rest.values, expected, atol=1e-6)
    np.testing.assert_array_equal(rest.matrix.indptr, ratings.matrix.indptr)
    np.testing.assert_array_equal(rest.columns, ratings.columns)
