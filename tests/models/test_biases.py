from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from scipy.sparse import csr_array
from strategies import small_ratings
from toys import everyone

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.models.biases import Biases, damped_means, fit_biases
from recsys_ae.models.configs import BiasesConfig, MeanConfig, PopularityConfig


def ratings_of(rows: list[int], columns: list[int], values: list[float], shape: tuple[int, int]) -> Ratings:
    """Triples in row order, scale open."""
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    matrix = csr_array((np.array(values, dtype=np.float32), np.array(columns), starts), shape=shape)
    return Ratings(matrix, IdMap(np.arange(shape[0])), IdMap(np.arange(shape[1])))


TINY = ratings_of([0, 0, 1, 3], [0, 1, 0, 2], [4.0, 0.0, 2.0, -2.0], (4, 4))  # user 2 and item 3 are cold


def test_the_mean_is_predicted_for_every_pair_and_ranks_nothing():
    model = fit_biases(MeanConfig(), TINY)
    assert (model.score(everyone(TINY)) == 1.0).all()
    assert model.predicts_ratings
    assert not model.ranks


def test_popularity_counts_users_and_a_rating_of_zero_is_one():
    model = fit_biases(PopularityConfig(), TINY)
    assert model.score(everyone(TINY))[2].tolist() == [2.0, 1.0, 1.0, 0.0]
    assert not model.predicts_ratings
    assert model.ranks


def test_popularity_of_positive_ratings_counts_those_at_the_threshold():
    model = fit_biases(PopularityConfig(positive=0.0), TINY)
    assert model.score(everyone(TINY))[0].tolist() == [2.0, 1.0, 0.0, 0.0]


@given(small_ratings(min_observed=1))
def test_biases_solve_the_ridge_problem_of_their_docstring(ratings):
    found = Biases.solve(ratings, BiasesConfig(user_damping=3.0, item_damping=1.5, sweeps=10_000))
    n_users = ratings.n_users
    design = np.zeros((ratings.n_observed, n_users + ratings.n_items))
    design[np.arange(ratings.n_observed), ratings.rows()] = 1.0
    design[np.arange(ratings.n_observed), n_users + ratings.columns] = 1.0
    penalty = np.diag([3.0] * n_users + [1.5] * ratings.n_items)
    expected = np.linalg.solve(design.T @ design + penalty, design.T @ (ratings.values - ratings.mean()))
    np.testing.assert_allclose(np.concatenate([found.users, found.items]), expected, atol=2e-5)


@given(small_ratings(min_observed=1))
def test_one_sweep_gives_the_damped_means_of_koren(ratings):
    found = Biases.solve(ratings, BiasesConfig(user_damping=15.0, item_damping=10.0, sweeps=1))
    dense = np.full(ratings.matrix.shape, np.nan)
    dense[ratings.rows(), ratings.columns] = ratings.values
    dense -= ratings.mean()
    seen = ~np.isnan(dense)
    expected_items = np.nansum(dense, axis=0) / (10.0 + seen.sum(axis=0))
    np.testing.assert_allclose(found.items, expected_items, atol=1e-6)
    expected_users = np.nansum(dense - expected_items, axis=1) / (15.0 + seen.sum(axis=1))
    np.testing.assert_allclose(found.users, expected_users, atol=1e-6)


@given(small_ratings(min_observed=1))
def test_a_user_folded_in_gets_the_bias_that_training_would_give_with_the_items_fixed(ratings):
    model = fit_biases(BiasesConfig(sweeps=2000), ratings)
    known = model.score(everyone(ratings))
    unseen = model.score(UserBatch(np.full(ratings.n_users, -1), ratings.matrix))
    np.testing.assert_allclose(known, unseen, atol=1e-4)


def test_cold_users_and_items_fall_back_to_the_other_side():
    model = fit_biases(BiasesConfig(), TINY)
    scores = model.score(everyone(TINY))
    assert scores[2, 3] == pytest.approx(1.0)
    np.testing.assert_allclose(scores[2], np.clip(1.0 + model.biases.items, -2, 4), rtol=1e-6)
    np.testing.assert_allclose(scores[:, 3], np.clip(1.0 + model.biases.users, -2, 4), rtol=1e-6)


def test_a_user_unseen_without_history_is_the_cold_user():
    model = fit_biases(BiasesConfig(), TINY)
    empty = UserBatch(np.array([-1]), csr_array((1, 4), dtype=np.float32))
    np.testing.assert_array_equal(model.score(empty), model.score(everyone(TINY))[2:3])


def test_no_damping_and_no_ratings_is_not_a_division_by_zero():
    assert damped_means(np.array([2.0]), np.array([1]), 3, 0.0).tolist() == [0.0, 2.0, 0.0]


def test_limits_are_the_declared_scale_or_what_was_seen():
    assert TINY.limits() == (-2.0, 4.0)
    declared = Ratings(TINY.matrix, TINY.users, TINY.items, scale=(-5.0, 5.0))
    assert declared.limits() == (-5.0, 5.0)


def test_pairs_are_cells_of_the_block():
    model = fit_biases(BiasesConfig(), TINY)
    batch = UserBatch(np.array([-1, 3, 0]), TINY.matrix[np.array([0, 3, 0])])
    rows, items = np.array([0, 0, 1, 2]), np.array([3, 0, 1, 2])
    expected = model.score(batch)[rows, items].clip(-2.0, 4.0)
    np.testing.assert_array_equal(model.score_pairs(batch, rows, items), expected)


@given(small_ratings(min_observed=1))
def test_bias_of_a_history_is_the_trained_bias_of_its_user(ratings):
    """So a network reads of a user what it has read in training, whether or not the sweeps had settled."""
    biases = Biases.solve(ratings, BiasesConfig(user_damping=2.0, sweeps=3))
    np.testing.assert_allclose(biases.of_histories(ratings.matrix), biases.users, atol=1e-5)


@given(small_ratings(min_observed=1))
def test_entries_stay_observed_when_their_biases_are_removed(ratings):
    """One that becomes 0 too. What is left is in units of its own deviation."""
    biases = Biases.solve(ratings, BiasesConfig())
    rest = biases.removed_from(ratings)
    left = ratings.values - ratings.mean() - biases.users[ratings.rows()] - biases.items[ratings.columns]
    np.testing.assert_allclose(rest.values * biases.deviation, left, atol=1e-5)
    np.testing.assert_array_equal(rest.matrix.indptr, ratings.matrix.indptr)
    np.testing.assert_array_equal(rest.columns, ratings.columns)
    if np.abs(left).max() > 1e-3:
        assert np.sqrt(np.mean(rest.values**2)) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("value", [0.0, 4.3, -1e7, 1e-3])
def test_equal_ratings_have_no_deviation_and_what_rounding_leaves_is_not_blown_up(value):
    equal = ratings_of([0, 0, 1, 2, 2], [0, 1, 0, 1, 2], [value] * 5, (3, 3))
    for biases in (Biases.solve(equal, BiasesConfig()), Biases.of_mean(equal)):
        assert biases.deviation == 1.0
        assert np.abs(biases.removed_from(equal).values).max() <= 1e-6 * max(abs(value), 1.0)
