"""Linear autoencoders in closed form against slow definitions of what they minimise."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from commands import call
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.sparse import csr_array
from strategies import ratings_of, small_ratings
from synthetic import low_rank
from toys import fit

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError, DataError, DivergenceError
from recsys_ae.models import closed_form
from recsys_ae.models.configs import DLAEConfig, EASEConfig, EDLAEConfig
from recsys_ae.settings.load import default_experiment

CONFIGS = [EASEConfig(), EDLAEConfig(dropout=0.4), DLAEConfig(dropout=0.4)]
by_kind = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)


def everyone(ratings: Ratings) -> UserBatch:
    return UserBatch(np.full(ratings.n_users, -1), ratings.matrix)


def dense_likes(ratings: Ratings) -> np.ndarray:
    likes = np.zeros(ratings.matrix.shape)
    likes[ratings.rows(), ratings.columns] = 1.0
    return likes


def lagrangian(likes: np.ndarray, l2: float) -> float:
    """The papers' lambda."""
    counts = likes.sum(axis=0)
    return l2 * counts[counts > 0].mean()


def without_itself(likes: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """For each item the ridge regression of its likes on those of all others, one at a time."""
    n_items = likes.shape[1]
    weights = np.zeros((n_items, n_items))
    for item in range(n_items):
        others = np.delete(np.arange(n_items), item)
        design = np.vstack([likes[:, others], np.diag(np.sqrt(penalty[others]))])
        target = np.append(likes[:, item], np.zeros(n_items - 1))
        weights[others, item] = np.linalg.lstsq(design, target, rcond=None)[0]
    return weights


def expected_loss(likes: np.ndarray, weights: np.ndarray, dropout: float, *, emphasised: bool) -> float:
    """Squared errors of a row whose entries are hidden independently, the others divided by 1 - dropout: the
    average over all masks, each with its probability. `emphasised`: of the entries that a mask hides alone,
    divided by the share that it hides on average."""
    loss = 0.0
    for shown in itertools.product([0.0, 1.0], repeat=likes.shape[1]):
        mask = np.array(shown)
        probability = np.prod(np.where(mask == 1, 1 - dropout, dropout))
        errors = (likes - (likes * mask / (1 - dropout)) @ weights) ** 2
        loss += probability * ((errors * (1 - mask)).sum() / dropout if emphasised else errors.sum())
    return loss


@given(ratings=small_ratings(max_users=12, min_observed=1), l2=st.sampled_from([0.05, 1.0, 20.0]))
def test_ease_is_a_regression_of_each_item_on_all_others(ratings, l2):
    likes = dense_likes(ratings)
    expected = without_itself(likes, np.full(ratings.n_items, lagrangian(likes, l2)))
    weights = fit(EASEConfig(l2=l2), ratings).item_weights
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, atol=1e-4)
    assert (np.diag(weights) == 0).all()


def test_ease_is_that_on_more_items_than_are_turned_over_at_once(monkeypatch):
    """The Gram matrix is made, mirrored and spread in blocks, here of odd sizes."""
    monkeypatch.setattr(closed_form, "_CELLS_AT_ONCE", 700)
    monkeypatch.setattr(closed_form, "_ROWS_AT_ONCE", 7)
    ratings = low_rank(200, 60, density=0.1)
    ratings = ratings.keep(~np.isin(ratings.columns, [0, 1, 20, 31, 32, 59]))
    likes = dense_likes(ratings)
    expected = without_itself(likes, np.full(60, lagrangian(likes, 0.5)))
    np.testing.assert_allclose(fit(EASEConfig(l2=0.5), ratings).item_weights, expected, atol=1e-4)


@pytest.mark.parametrize("emphasised", [True, False])
@pytest.mark.parametrize("dropout", [0.2, 0.7])
def test_dropout_models_minimise_their_loss_in_expectation_over_all_masks(dropout, emphasised):
    """Found by a general minimiser from a random start; all 2⁵ masks, so nothing is simulated."""
    rng = np.random.default_rng(3)
    rows, columns = np.argwhere(rng.random((14, 5)) < 0.5).T
    ratings = ratings_of(rows, columns, np.ones(len(rows)))
    likes = dense_likes(ratings)
    penalty = lagrangian(likes, 0.3)

    def objective(flat: np.ndarray) -> float:
        weights = flat.reshape(5, 5) * (1 - np.eye(5) * emphasised)
        loss = expected_loss(likes, weights, dropout, emphasised=emphasised)
        return loss + penalty * (weights**2).sum()

    found = minimize(objective, rng.normal(size=25), method="BFGS", options={"gtol": 1e-6})
    config = (EDLAEConfig if emphasised else DLAEConfig)(l2=0.3, dropout=dropout)
    weights = fit(config, ratings).item_weights
    expected = found.x.reshape(5, 5) * (1 - np.eye(5) * emphasised)
    np.testing.assert_allclose(weights, expected, atol=1e-4)
    assert objective(weights.ravel().astype(np.float64)) <= found.fun + 1e-6


def test_the_emphasised_loss_does_not_see_the_diagonal():
    """So that 0 is as good as any: what is hidden cannot explain itself."""
    rng = np.random.default_rng(0)
    likes, weights = (rng.random((6, 4)) < 0.5).astype(float), rng.normal(size=(4, 4))
    losses = [
        expected_loss(likes, weights * off, 0.4, emphasised=True) for off in (1 - np.eye(4), np.ones((4, 4)))
    ]
    assert losses[0] == pytest.approx(losses[1])


@given(ratings=small_ratings(max_users=12, min_observed=1))
def test_without_dropout_they_are_ease_and_ridge_regression(ratings):
    likes = dense_likes(ratings)
    ease = fit(EASEConfig(l2=0.7), ratings)
    np.testing.assert_array_equal(
        fit(EDLAEConfig(l2=0.7, dropout=0), ratings).item_weights, ease.item_weights
    )
    gram = likes.T @ likes
    ridge = np.linalg.solve(gram + lagrangian(likes, 0.7) * np.eye(len(gram)), gram)
    np.testing.assert_allclose(fit(DLAEConfig(l2=0.7, dropout=0), ratings).item_weights, ridge, atol=1e-5)


@by_kind
def test_as_many_users_again_of_the_same_kind_change_nothing(config):
    """`l2` is in units of likes of an item, so that a sample of the users asks for the same value."""
    ratings = low_rank(50, 20, density=0.3)
    rows, columns = np.concatenate([ratings.rows(), ratings.rows() + 50]), np.tile(ratings.columns, 2)
    doubled = ratings_of(rows, columns, np.tile(ratings.values, 2))
    found, expected = (fit(config, part).item_weights for part in (doubled, ratings))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@by_kind
def test_scores_are_sums_over_the_history_and_new_users_are_read_like_others(config):
    ratings = low_rank(40, 15, density=0.4)
    model = fit(config, ratings)
    expected = dense_likes(ratings) @ model.item_weights
    np.testing.assert_allclose(model.score(everyone(ratings)), expected, atol=1e-5)
    known = model.score(UserBatch(np.arange(40), ratings.matrix))
    np.testing.assert_array_equal(model.score(everyone(ratings)), known)


@by_kind
def test_values_count_only_through_what_is_liked(config):
    ratings = low_rank(40, 15, density=0.4)
    high = ratings.keep(ratings.values >= 3.0)
    chosen = fit(config.model_copy(update={"positive": 3.0}), ratings)
    dropped = fit(config, high)
    np.testing.assert_array_equal(chosen.item_weights, dropped.item_weights)
    np.testing.assert_array_equal(chosen.score(everyone(ratings)), dropped.score(everyone(high)))
    with pytest.raises(DataError, match=rf"at or above 9\.0; lower `positive` of model '{config.kind}'"):
        fit(config.model_copy(update={"positive": 9.0}), ratings)


@by_kind
def test_a_count_of_zero_is_no_like_and_other_counts_are_ones(config):
    ratings = low_rank(40, 15, density=0.4)
    values = np.where(np.arange(ratings.n_observed) % 3, ratings.columns + 1, 0).astype(np.float32)
    matrix = csr_array((values, ratings.columns, ratings.matrix.indptr), shape=ratings.matrix.shape)
    counts = replace(ratings, matrix=matrix, feedback="counts", scale=None)
    played = counts.keep(counts.values > 0)
    events = fit(config, replace(played, feedback="events")).score(everyone(played))
    np.testing.assert_array_equal(fit(config, counts).score(everyone(counts)), events)
    with pytest.raises(DataError, match="no count is above 0"):
        fit(config, counts.keep(counts.values == 0))


@by_kind
@given(ratings=small_ratings(min_observed=1))
def test_items_without_likes_have_no_weights_and_come_last(config, ratings):
    model = fit(config, ratings)
    cold = np.setdiff1d(np.arange(ratings.n_items), ratings.columns)
    assert (model.item_weights[cold] == 0).all()
    assert (model.item_weights[:, cold] == 0).all()
    scores = model.score(everyone(ratings))
    assert np.isfinite(scores).all()
    assert (scores[:, cold] <= scores.min(axis=1, keepdims=True)).all()


def test_an_item_without_likes_is_not_listed_before_one_that_is_disliked():
    """Users like one of two items, and never both: who likes one scores the other below 0."""
    ratings = ratings_of([*range(6), *range(6)], [0, 1] * 3 + [2, 2, 2, 2, 2, 2], np.ones(12))
    wide = Ratings(
        csr_array((ratings.values, ratings.columns + 1, ratings.matrix.indptr), shape=(6, 4)),
        ratings.users,
        IdMap(np.arange(4)),
    )
    history = csr_array((np.ones(1, dtype=np.float32), [1], [0, 1]), shape=(1, 4))
    (scores,) = fit(EASEConfig(l2=0.01), wide).score(UserBatch(np.array([-1]), history))
    assert scores[2] < -0.5
    assert scores[0] == scores[2]


@by_kind
@pytest.mark.parametrize("shape", ["one item", "one user", "ten items", "users with one like", "one like"])
def test_odd_shapes_are_fitted(config, shape):
    users, items = {
        "one item": (range(9), [0] * 9),
        "one user": ([0] * 9, range(9)),
        "ten items": (np.arange(60) // 2, np.arange(60) * 7 % 10),
        "users with one like": (range(40), np.arange(40) % 7),
        "one like": ([0], [0]),
    }[shape]
    ratings = ratings_of(list(users), list(items), np.full(len(users), 4.3))
    scores = fit(config, ratings).score(everyone(ratings))
    assert np.isfinite(scores).all()
    if shape in ("one item", "one like") and config.kind != "dlae":
        assert (scores == 0).all()
    if shape == "users with one like":  # no two items were ever liked by one user
        off = fit(config, ratings).item_weights * (1 - np.eye(7))
        np.testing.assert_allclose(off, 0.0, atol=1e-6)


def twins() -> np.ndarray:
    """300 × 12 likes; the same users like the first two items."""
    likes = dense_likes(low_rank(300, 12, density=0.5))
    likes[:, 1] = likes[:, 0]
    return likes


@pytest.mark.parametrize("l2", [1e-8, 3e-6])
def test_a_penalty_too_small_for_32_bits_is_solved_in_64(l2):
    """One that 32 bits cannot add to the counts, and one whose solution they get wrong."""
    likes = twins()
    penalties = np.full(12, lagrangian(likes, l2))
    sparse = csr_array(likes.astype(np.float32))
    assert not closed_form._invert_penalised_gram(np.empty((12, 12), dtype=np.float32), sparse, penalties)
    rows, columns = np.argwhere(likes).T
    weights = fit(EASEConfig(l2=l2), ratings_of(rows, columns, np.ones(len(rows)))).item_weights
    np.testing.assert_allclose(weights, without_itself(likes, penalties), atol=1e-4)


@by_kind
def test_a_penalty_too_small_for_64_bits_is_refused(config):
    rows, columns = np.argwhere(twins()).T
    tiny = config.model_copy(update={"l2": 1e-300} | ({} if config.kind == "ease" else {"dropout": 0.0}))
    with pytest.raises(DivergenceError, match="raise `l2`"):
        fit(tiny, ratings_of(rows, columns, np.ones(len(rows))))


@by_kind
def test_weights_that_fit_into_no_memory_are_refused_before_the_work(config):
    n = 3_000_000
    items = IdMap(np.arange(n))
    ratings = Ratings(csr_array(([1.0], [7], [0, 1]), shape=(1, n)), IdMap(np.arange(1)), items)
    with pytest.raises(DataError, match=rf"'{config.kind}' needs 33,5\d\d\.\d GiB .*\(data\.filters\.core"):
        fit(config, ratings)


def test_the_gram_matrix_is_inverted_where_it_lies():
    """LAPACK would work on a copy of a matrix that it cannot take as it is, and leave this one as it was."""
    likes = csr_array((np.random.default_rng(0).random((50, 9)) < 0.4).astype(np.float32))
    for dtype in (np.float32, np.float64):
        out = np.empty((9, 9), dtype=dtype)
        assert closed_form._invert_penalised_gram(out, likes, np.full(9, 2.0))
        expected = np.linalg.inv((likes.T @ likes).toarray() + 2 * np.eye(9))
        np.testing.assert_allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "setting", "sentence"),
    [
        ("ease", "l2=0", "'model.l2' must be greater than 0"),
        ("ease", "dropout=0.5", "no setting 'dropout'"),
        ("edlae", "dropout=1", "'model.dropout' must be less than 1"),
        ("dlae", "dropout=-0.1", "'model.dropout' must be at least 0"),
        ("pca", "factors=0", "'model.factors' must be greater than 0"),
        ("pca", "positive=4", "no setting 'positive'"),
    ],
)
def test_impossible_values_are_refused_before_data_is_read(model, setting, sentence):
    with pytest.raises(ConfigError, match=sentence):
        default_experiment("nowhere.csv", model, [setting])
    assert call("train", "--data", "nowhere.csv", "--model", model, "--set", f"model.{setting}").code == 2
