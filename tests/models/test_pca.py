"""Linear autoencoders of low rank against dense decompositions and scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from scipy.sparse import csr_array, eye_array
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA, TruncatedSVD
from strategies import ratings_of, small_ratings
from synthetic import low_rank
from toys import fit

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ratings import Ratings
from recsys_ae.models.biases import Biases
from recsys_ae.models.configs import BiasesConfig, PCAConfig, PureSVDConfig
from recsys_ae.models.pca import principal_axes

UNDAMPED = BiasesConfig(item_damping=0, user_damping=0)


def complete(n_users: int = 60, n_items: int = 25) -> Ratings:
    return low_rank(n_users, n_items, rank=4, density=1.0, noise=0.3, seed=2)


def everyone(ratings: Ratings) -> UserBatch:
    return UserBatch(np.full(ratings.n_users, -1), ratings.matrix)


def axes_of(matrix: np.ndarray, n_axes: int) -> np.ndarray:
    return principal_axes(csr_array(matrix), n_axes, np.random.default_rng(0))


@pytest.mark.parametrize("shape", [(80, 30), (30, 80)])
def test_axes_are_the_right_singular_vectors(shape):
    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.normal(size=(n, 30)))[0] for n in shape)
    matrix = left * np.geomspace(9, 0.1, 30) @ right.T
    axes = axes_of(matrix, 7)
    np.testing.assert_allclose(axes.T @ axes, np.eye(7), atol=1e-10)
    np.testing.assert_allclose(axes @ axes.T, right[:, :7] @ right[:, :7].T, atol=1e-4)


def test_equal_singular_values_are_no_trouble():
    """As where every user likes one item: any of their directions will do, and the seed names one."""
    axes = principal_axes(csr_array(eye_array(300)), 5, np.random.default_rng(0))
    np.testing.assert_allclose(axes.T @ axes, np.eye(5), atol=1e-10)
    again = principal_axes(csr_array(eye_array(300)), 5, np.random.default_rng(0))
    np.testing.assert_array_equal(axes, again)


def test_there_are_no_more_axes_than_the_matrix_has():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 20))
    axes = axes_of(matrix, 50)
    assert axes.shape == (20, 3)
    np.testing.assert_allclose(matrix @ axes @ axes.T, matrix, atol=1e-8)
    np.testing.assert_array_equal(axes_of(np.zeros((4, 3)), 2), np.zeros((3, 1)))


@pytest.mark.parametrize("factors", [1, 3, 25])
def test_pca_of_complete_ratings_is_that_of_scikit_learn(factors):
    """Where nothing is missing and nothing is damped, what the biases leave has columns of mean 0."""
    ratings = complete()
    biases = Biases.solve(ratings, UNDAMPED)
    left = biases.removed_from(ratings).matrix.toarray()
    other = PCA(factors).fit(left)
    back = other.inverse_transform(other.transform(left)) * biases.deviation
    expected = back + biases.mean + biases.users[:, None] + biases.items
    model = fit(PCAConfig(factors=factors, biases=UNDAMPED), ratings)
    np.testing.assert_allclose(model.score(everyone(ratings)), expected, atol=2e-3)
    projected = left @ model.item_weights @ model.item_factors.T
    explained = np.square(projected).sum() / np.square(left).sum()
    assert explained == pytest.approx(other.explained_variance_ratio_.sum(), abs=1e-4)


def test_pure_svd_is_the_truncated_svd_of_scikit_learn():
    ratings = low_rank(80, 30, density=0.3, seed=4)
    likes = np.zeros(ratings.matrix.shape)
    likes[ratings.rows(), ratings.columns] = 1.0
    other = TruncatedSVD(6, algorithm="arpack", random_state=0).fit(likes)
    expected = other.inverse_transform(other.transform(likes))
    model = fit(PureSVDConfig(factors=6), ratings)
    np.testing.assert_allclose(model.score(everyone(ratings)), expected, atol=1e-3)


@pytest.mark.parametrize("factors", [3, 50])
def test_items_are_as_like_each_other_as_their_columns_of_that_rank(factors):
    """Of as many axes as there are items, too, where the axes alone make all items unlike."""
    likes = np.zeros((60, 12))
    ratings = low_rank(60, 12, density=0.4, seed=4)
    likes[ratings.rows(), ratings.columns] = 1.0
    left, sizes, right = np.linalg.svd(likes, full_matrices=False)
    columns = (left[:, :factors] * sizes[:factors] @ right[:factors]).T
    factors_of_items = fit(PureSVDConfig(factors=factors), ratings).item_factors
    np.testing.assert_allclose(pdist(factors_of_items, "cosine"), pdist(columns, "cosine"), atol=1e-4)


def test_missing_ratings_count_as_average_ones():
    """The projection is that of the residuals with zeros in the empty cells."""
    ratings = low_rank(70, 20, rank=2, density=0.5, noise=0.2, seed=1)
    biases = Biases.solve(ratings, BiasesConfig())
    left = biases.removed_from(ratings).matrix.toarray()
    right = np.linalg.svd(left)[2][:3]
    expected = biases.deviation * (left @ right.T @ right)
    expected += biases.mean + biases.users[:, None] + biases.items
    scores = fit(PCAConfig(factors=3), ratings).score(everyone(ratings))
    np.testing.assert_allclose(scores, expected, atol=2e-3)


def test_low_rank_ratings_are_predicted_better_than_by_biases():
    ratings = low_rank(300, 60, rank=2, density=0.5, noise=0.2, seed=1)
    held = np.random.default_rng(0).random(ratings.n_observed) < 0.1
    train, test = ratings.keep(~held), ratings.keep(held)

    def rmse(config) -> float:
        predicted = fit(config, train).score_pairs(
            UserBatch(np.arange(300), train.matrix), test.rows(), test.columns
        )
        return float(np.sqrt(np.mean((predicted - test.values) ** 2)))

    assert rmse(PCAConfig(factors=2)) < 0.85 * rmse(BiasesConfig())


def test_the_weights_of_a_pair_of_items_are_never_multiplied_out():
    """A catalogue whose square would take 600 GiB."""
    n = 400_000
    ratings = ratings_of(np.arange(n) % 50, np.arange(n), np.arange(n) % 5)
    for config in (PCAConfig(factors=2), PureSVDConfig(factors=2)):
        model = fit(config, ratings)
        first = UserBatch(np.array([-1]), ratings.matrix[[0]])
        assert np.isfinite(model.score(first)).all()
        assert model.item_weights.shape == (n, 2)


@given(ratings=small_ratings(min_observed=1))
def test_small_ratings_of_any_shape_are_projected(ratings):
    """A projection: what was scored once is scored the same again, and no new user gets anything else."""
    likes = np.zeros(ratings.matrix.shape)
    likes[ratings.rows(), ratings.columns] = 1.0
    model = fit(PureSVDConfig(), ratings)
    warm = np.unique(ratings.columns)
    cold = np.setdiff1d(np.arange(ratings.n_items), warm)
    scores = model.score(everyone(ratings))
    np.testing.assert_allclose(scores[:, warm], likes[:, warm], atol=1e-4)  # of all factors: nothing is lost
    assert (scores[:, cold] <= scores.min(axis=1, keepdims=True)).all()
    rated = fit(PCAConfig(), ratings).score(everyone(ratings))
    assert np.isfinite(rated).all()


@pytest.mark.parametrize("factor", [20.0, 1e-3])
def test_ratings_that_are_all_equal_are_predicted(factor):
    ratings = ratings_of(np.arange(60) // 3, np.arange(60) * 7 % 10, np.full(60, 4.3 * factor))
    scores = fit(PCAConfig(), ratings).score(everyone(ratings))
    np.testing.assert_allclose(scores, 4.3 * factor, rtol=1e-5)


def test_predicted_ratings_keep_to_the_scale():
    ratings = complete()
    extreme = replace(ratings, scale=(2.9, 3.1))
    model = fit(PCAConfig(), extreme)
    pairs = model.score_pairs(everyone(ratings), ratings.rows(), ratings.columns)
    assert (pairs.min(), pairs.max()) == (np.float32(2.9), np.float32(3.1))
    assert model.score(everyone(ratings)).max() > 3.1
