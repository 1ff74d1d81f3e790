from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from implicit.utils import ParameterWarning
from scipy.sparse import coo_array, csr_array, csr_matrix
from synthetic import low_rank
from threadpoolctl import threadpool_limits
from toys import fit

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import CapabilityError, DataError
from recsys_ae.models.configs import ALSConfig, BPRConfig, ItemKNNConfig, PopularityConfig

CONFIGS = [
    ALSConfig(factors=8, l2=0.1, iterations=5),
    BPRConfig(factors=8, epochs=5, learning_rate=0.5),
    ItemKNNConfig(neighbours=5),
]


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    """60 users in two halves of taste; values -1 to 4, zeros included; the last user and item are cold."""
    rng = np.random.default_rng(0)
    same_taste = (np.arange(60)[:, None] + np.arange(40)) % 2 == 0
    seen = rng.random((60, 40)) < np.where(same_taste, 0.5, 0.05)
    seen[-1], seen[:, -1] = False, False
    rows, columns = np.argwhere(seen).T
    values = rng.integers(-1, 5, len(rows)).astype(np.float32)
    matrix = csr_array(coo_array((values, (rows, columns)), shape=seen.shape))
    matrix.sort_indices()
    return Ratings(matrix, IdMap(np.arange(60)), IdMap(np.arange(40)), scale=(-1.0, 4.0))


def liked(ratings: Ratings, value: float) -> csr_matrix:
    parts = (np.full(ratings.n_observed, value, np.float32), ratings.columns, ratings.matrix.indptr)
    return csr_matrix(parts, shape=ratings.matrix.shape)


def everyone(ratings: Ratings, *, known: bool = True) -> UserBatch:
    positions = np.arange(ratings.n_users) if known else np.full(ratings.n_users, -1)
    return UserBatch(positions, ratings.matrix)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_values_of_ratings_do_not_matter_where_all_count_as_liked(config, ratings):
    ones = Ratings(csr_array(liked(ratings, 1.0)), ratings.users, ratings.items)
    first, second = (fit(config, part, seed=3) for part in (ratings, ones))
    np.testing.assert_array_equal(first.score(everyone(ratings)), second.score(everyone(ratings)))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_a_threshold_drops_the_ratings_below_it(config, ratings):
    high = ratings.keep(ratings.values >= 2.0)
    chosen = fit(config.model_copy(update={"positive": 2.0}), ratings)
    dropped = fit(config, high)
    np.testing.assert_array_equal(chosen.score(everyone(ratings)), dropped.score(everyone(high)))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_a_threshold_that_nothing_reaches_is_refused(config, ratings):
    with pytest.raises(DataError, match=r"at or above 9\.0; lower `positive` of model"):
        fit(config.model_copy(update={"positive": 9.0}), ratings)


@pytest.mark.parametrize("config", CONFIGS[:2], ids=lambda config: config.kind)
def test_seeds_give_different_models_and_epochs_are_told(config, ratings):
    epochs = []
    first = fit(config, ratings, seed=1, on_epoch=epochs.append)
    second = fit(config, ratings, seed=2)
    assert (first.score(everyone(ratings)) != second.score(everyone(ratings))).any()
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4, 5]
    (name,) = epochs[0].terms
    assert epochs[-1].terms[name] < epochs[0].terms[name]
    assert all(np.isfinite(epoch.terms[name]) for epoch in epochs)


def test_total_of_als_is_its_objective_for_each_liked_entry(ratings):
    """All cells, liked ones 1 with confidence 1 + alpha, the others 0 with confidence 1, and the penalty."""
    epochs = []
    config = ALSConfig(factors=4, l2=0.7, alpha=3.0, iterations=3)
    model = fit(config, ratings, on_epoch=epochs.append)
    errors = -(model.user_factors.astype(np.float64) @ model.item_factors.T)
    weights = np.ones(errors.shape)
    errors[ratings.rows(), ratings.columns] += 1.0
    weights[ratings.rows(), ratings.columns] = 4.0
    penalty = 0.7 * ((model.user_factors**2).sum() + (model.item_factors**2).sum())
    expected = ((weights * errors**2).sum() + penalty) / ratings.n_observed
    assert epochs[-1].total == pytest.approx(expected, rel=1e-4)


def test_total_of_bpr_is_not_told():
    """Its library counts wrong pairs, which is not what it minimises."""
    epochs = []
    fit(CONFIGS[1], low_rank(20, 15, density=0.4), on_epoch=epochs.append)
    assert [epoch.total for epoch in epochs] == [None] * 5


def test_als_is_the_weighted_problem_of_hu_koren_volinsky_in_the_limit(ratings):
    """Run to convergence, every user solves the dense normal equations with confidence 1 + alpha."""
    config = ALSConfig(factors=3, l2=0.5, alpha=4.0, iterations=200)
    model = fit(config, ratings)
    items = model.item_factors.astype(np.float64)
    seen = np.zeros(ratings.matrix.shape)
    seen[ratings.rows(), ratings.columns] = 1.0
    for user in (0, 17, 58):
        weights = 1.0 + 4.0 * seen[user]
        system = (items.T * weights) @ items + 0.5 * np.eye(3)
        expected = np.linalg.solve(system, items.T @ (weights * seen[user]))
        np.testing.assert_allclose(model.user_factors[user], expected, atol=1e-3)


def test_als_takes_counts_as_confidence():
    """Hu, Koren, Volinsky 2008, eq. 4 with the confidences of eq. 6: run to convergence, every user solves
    the dense normal equations, a user who is folded in too; and no unit of the counts matters."""
    plain = low_rank(60, 25, density=0.3, seed=2)
    counts = np.random.default_rng(1).integers(1, 50, plain.n_observed).astype(np.float32)
    config, mean = ALSConfig(factors=3, l2=0.5, alpha=4.0, iterations=200), counts.mean(dtype=np.float64)

    def of(values, feedback="counts"):
        matrix = csr_array((values, plain.columns, plain.matrix.indptr), shape=plain.matrix.shape)
        return replace(plain, matrix=matrix, feedback=feedback, scale=None)

    ratings = of(counts)
    model = fit(config, ratings)
    folded = model.score(everyone(ratings, known=False))
    items = model.item_factors.astype(np.float64)
    observed, own = np.zeros(ratings.matrix.shape), np.ones(ratings.matrix.shape)
    observed[ratings.rows(), ratings.columns] = 1.0
    own[ratings.rows(), ratings.columns] = 1 + 4 * np.log2(1 + counts / mean)
    for user in (0, 17, 58):
        system = (items.T * own[user]) @ items + 0.5 * np.eye(3)
        expected = np.linalg.solve(system, items.T @ (own[user] * observed[user]))
        np.testing.assert_allclose(model.user_factors[user], expected, atol=1e-3)
        np.testing.assert_allclose(folded[user], items @ expected, atol=1e-4)
    scaled = fit(config, of(counts * np.float32(1000)))
    np.testing.assert_allclose(scaled.score(everyone(ratings)), model.score(everyone(ratings)), atol=1e-4)
    equal, events = (fit(config, of(np.full_like(counts, value), kind)) for value, kind in
                     ((7, "counts"), (1, "events")))  # fmt: skip
    assert (equal.item_factors == events.item_factors).all()
    assert np.abs(events.item_factors - model.item_factors).max() > 0.01
    with pytest.raises(DataError, match="no count is above 0"):
        fit(config, of(np.zeros_like(counts)))


@pytest.mark.parametrize("config", [*CONFIGS, PopularityConfig()], ids=lambda config: config.kind)
def test_a_count_of_zero_is_no_like(config, ratings):
    values = np.where(np.arange(ratings.n_observed) % 3, 2.0, 0.0).astype(np.float32)
    matrix = csr_array((values, ratings.columns, ratings.matrix.indptr), shape=ratings.matrix.shape)
    counts = replace(ratings, matrix=matrix, feedback="counts", scale=None)
    played = counts.keep(counts.values > 0)
    model, other = fit(config, counts), fit(config, played)
    for known in (True, False) if model.folds_in else (True,):
        found, expected = (m.score(everyone(r, known=known)) for m, r in ((model, counts), (other, played)))
        np.testing.assert_array_equal(found, expected)


def test_als_folds_users_in_as_the_library_recalculates_them(ratings):
    model = fit(ALSConfig(factors=6, l2=0.2, alpha=3.0), ratings)
    with threadpool_limits(limits=1, user_api="blas"):
        library = AlternatingLeastSquares(factors=6, regularization=0.2, alpha=1.0)
    library.item_factors = model.item_factors
    users = library.recalculate_user(np.arange(60), liked(ratings, 4.0))
    scores = model.score(everyone(ratings, known=False))
    np.testing.assert_allclose(scores, users @ model.item_factors.T, rtol=1e-3, atol=1e-4)


def test_bpr_prefers_what_was_liked_and_refuses_unseen_users(ratings):
    model = fit(BPRConfig(factors=8, epochs=60, learning_rate=0.05), ratings)
    scores = model.score(everyone(ratings))
    seen = np.zeros(ratings.matrix.shape, dtype=bool)
    seen[ratings.rows(), ratings.columns] = True
    better = [(scores[u][seen[u]][:, None] > scores[u][~seen[u]]).mean() for u in range(59)]
    assert np.mean(better) > 0.8
    assert model.item_biases[-1] == model.item_biases.min()  # never liked: not ahead of what was
    with pytest.raises(CapabilityError):
        model.score(everyone(ratings, known=False))


def test_item_knn_scores_are_the_sums_of_the_library_without_the_item_itself(ratings):
    library = CosineRecommender(K=1000)
    with pytest.warns(ParameterWarning):
        library.fit(liked(ratings, 1.0), show_progress=False)
    similarity = library.similarity.toarray()
    np.fill_diagonal(similarity, 0.0)
    model = fit(ItemKNNConfig(neighbours=1000, weighting="cosine"), ratings)
    expected = liked(ratings, 1.0) @ similarity
    np.testing.assert_allclose(model.score(everyone(ratings, known=False)), expected, rtol=1e-5, atol=1e-6)


def test_item_knn_cosines_are_cosines(ratings):
    model = fit(ItemKNNConfig(neighbours=1000, weighting="cosine"), ratings)
    columns = liked(ratings, 1.0).toarray().astype(np.float64)
    lengths = np.maximum(np.linalg.norm(columns, axis=0), 1e-12)
    cosine = (columns.T @ columns) / np.outer(lengths, lengths)
    np.fill_diagonal(cosine, 0.0)
    np.testing.assert_allclose(model.item_weights.toarray(), cosine, atol=1e-6)


@pytest.mark.parametrize("weighting", ["cosine", "tfidf", "bm25"])
def test_item_knn_keeps_so_many_neighbours_and_not_the_item_itself(weighting, ratings):
    model = fit(ItemKNNConfig(neighbours=5, weighting=weighting), ratings)
    assert np.diff(model.item_weights.indptr).max() == 5
    full = fit(ItemKNNConfig(neighbours=39, weighting=weighting), ratings).item_weights
    for item in (0, 11, 38):
        strongest = np.sort(full[[item]].data)[-5:]
        np.testing.assert_array_equal(np.sort(model.item_weights[[item]].data), strongest)
    assert (model.item_weights.diagonal() == 0).all()
    assert np.isfinite(model.score(everyone(ratings))).all()
