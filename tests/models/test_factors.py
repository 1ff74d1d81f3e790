from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.errors import CapabilityError, StorageError
from recsys_ae.models.codec import recommender_of, state_of
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.folding import ConfidenceFoldIn, RidgeFoldIn

N_USERS, N_ITEMS, SIZE = 5, 12, 3


@pytest.fixture
def model() -> FactorRecommender:
    rng = np.random.default_rng(3)
    return FactorRecommender(
        users=IdMap(np.arange(N_USERS)),
        items=IdMap(np.arange(N_ITEMS)),
        user_factors=rng.normal(size=(N_USERS, SIZE)).astype(np.float32),
        item_factors=rng.normal(size=(N_ITEMS, SIZE)).astype(np.float32),
        user_biases=rng.normal(size=N_USERS).astype(np.float32),
        item_biases=rng.normal(size=N_ITEMS).astype(np.float32),
        mean=2.5,
        fold_in=RidgeFoldIn(1.7, 1.7),
    )


def history(lengths: list[int], *, seed: int = 0) -> csr_array:
    """Rows of so many ratings between -1 and 5, stored zeros among them."""
    rng = np.random.default_rng(seed)
    indices = np.concatenate([np.sort(rng.permutation(N_ITEMS)[:n]) for n in lengths]).astype(np.int64)
    data = rng.integers(-1, 6, len(indices)).astype(np.float32)
    return csr_array(
        (data, indices, np.concatenate([[0], np.cumsum(lengths)])), shape=(len(lengths), N_ITEMS)
    )


def unseen(rows: csr_array) -> UserBatch:
    return UserBatch(np.full(rows.shape[0], -1), rows)


def test_scores_are_products_plus_biases(model):
    batch = UserBatch(np.array([4, 0]), history([0, 3]))
    expected = [
        [
            model.user_factors[u] @ model.item_factors[i] + model.user_biases[u] + model.item_biases[i] + 2.5
            for i in range(N_ITEMS)
        ]
        for u in (4, 0)
    ]
    scores = model.score(batch)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n", [1, 3, 4, 9, 12])
def test_folding_in_is_the_ridge_solution_of_scikit_learn(model, n):
    rows = history([n])
    design = np.column_stack([model.item_factors[rows.indices], np.ones(n)])
    targets = rows.data - 2.5 - model.item_biases[rows.indices]
    solution = Ridge(alpha=1.7, fit_intercept=False).fit(design.astype(np.float64), targets).coef_
    expected = model.item_factors @ solution[:-1] + solution[-1] + model.item_biases + 2.5
    np.testing.assert_allclose(model.score(unseen(rows))[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n", [2, 9])
def test_folding_in_weights_penalties_by_the_length_of_the_history(model, n):
    rows = history([n])
    model = replace(model, fold_in=RidgeFoldIn(1.7, 0.3, power=0.5, bias_power=1.0))
    design = np.column_stack([model.item_factors[rows.indices], np.ones(n)]).astype(np.float64)
    targets = rows.data - 2.5 - model.item_biases[rows.indices]
    penalty = np.diag([1.7 * np.sqrt(n)] * SIZE + [0.3 * n])
    solution = np.linalg.solve(design.T @ design + penalty, design.T @ targets)
    expected = model.item_factors @ solution[:-1] + solution[-1] + model.item_biases + 2.5
    np.testing.assert_allclose(model.score(unseen(rows))[0], expected, rtol=1e-4, atol=1e-4)


def test_folding_in_by_confidence_is_the_weighted_problem_over_all_items(model):
    rows = history([6])
    model = replace(model, fold_in=ConfidenceFoldIn(1.7, confidence=9.0, positive=2.0))
    liked = np.zeros(N_ITEMS)
    liked[rows.indices[rows.data >= 2.0]] = 1.0
    assert 0 < liked.sum() < 6
    weights = np.where(liked > 0, 9.0, 1.0)
    factors = model.item_factors.astype(np.float64)
    solution = np.linalg.solve(
        (factors.T * weights) @ factors + 1.7 * np.eye(SIZE), factors.T @ (weights * liked)
    )
    expected = factors @ solution + model.item_biases + 2.5
    np.testing.assert_allclose(model.score(unseen(rows))[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "fold_in", [RidgeFoldIn(1.7, 0.4, 1.0), RidgeFoldIn(1.7, 1.7), ConfidenceFoldIn(1.7, 5.0)]
)
def test_no_history_gives_no_factors(model, fold_in):
    scores = replace(model, fold_in=fold_in).score(unseen(history([0, 0])))
    np.testing.assert_allclose(scores, np.tile(model.item_biases + np.float32(2.5), (2, 1)), rtol=1e-6)


def test_seen_and_unseen_users_in_one_batch_are_what_they_are_apart(model):
    rows = history([4, 7, 2])
    mixed = model.score(UserBatch(np.array([2, -1, 0]), rows))
    apart = np.vstack([model.score(UserBatch(np.array([p]), rows[[i]])) for i, p in enumerate([2, -1, 0])])
    np.testing.assert_allclose(mixed, apart, rtol=1e-5)


def test_without_a_way_to_fold_in_unseen_users_are_refused(model):
    model = replace(model, fold_in=None)
    assert not model.folds_in
    with pytest.raises(CapabilityError, match="1 users were not seen in training"):
        model.score(UserBatch(np.array([0, -1]), history([1, 1])))


def test_stretched_output_is_a_sigmoid_over_the_limits(model):
    batch = UserBatch(np.arange(N_USERS), history([1] * N_USERS))
    raw = model.score(batch).astype(np.float64)
    stretched = replace(model, output="scaled", limits=(-1.0, 5.0)).score(batch)
    assert stretched.dtype == np.float32
    np.testing.assert_allclose(stretched, -1 + 6 / (1 + np.exp(-raw)), rtol=1e-5)


def test_stretched_folding_in_recovers_a_user_from_ratings_of_every_item(model):
    model = replace(
        model,
        mean=0.0,
        output="scaled",
        limits=(0.0, 1.0),
        fold_in=RidgeFoldIn(1e-6, 1e-6),
        user_factors=model.user_factors / 4,
        item_biases=model.item_biases / 4,
        user_biases=model.user_biases / 4,
    )
    known = model.score(UserBatch(np.array([1]), history([0])))
    everything = csr_array((known[0], np.arange(N_ITEMS), np.array([0, N_ITEMS])), shape=(1, N_ITEMS))
    np.testing.assert_allclose(model.score(unseen(everything)), known, atol=1e-3)


def test_limits_clip_predicted_ratings_and_leave_the_order_of_scores(model):
    batch = UserBatch(np.arange(N_USERS), history([1] * N_USERS))
    rows, items = np.repeat(np.arange(N_USERS), N_ITEMS), np.tile(np.arange(N_ITEMS), N_USERS)
    limited = replace(model, limits=(2.0, 3.0))
    np.testing.assert_array_equal(limited.score(batch), model.score(batch))
    expected = np.clip(model.score_pairs(batch, rows, items), 2.0, 3.0)
    np.testing.assert_array_equal(limited.score_pairs(batch, rows, items), expected)


@pytest.mark.parametrize("output", ["identity", "scaled"])
def test_pairs_are_cells_of_the_block(model, output):
    model = replace(model, output=output, limits=(1.0, 4.0))
    batch = UserBatch(np.array([3, -1, 0]), history([2, 5, 1]))
    rows, items = np.repeat(np.arange(3), N_ITEMS), np.tile(np.arange(N_ITEMS), 3)
    expected = model.score(batch)[rows, items].clip(1.0, 4.0)
    np.testing.assert_allclose(model.score_pairs(batch, rows, items), expected, rtol=1e-5, atol=1e-5)
    assert model.score_pairs(batch, rows[:0], items[:0]).shape == (0,)


def test_scoring_changes_neither_the_model_nor_the_history(model):
    rows = history([3, 5])
    before = {name: array.copy() for name, array in state_of(model).arrays.items()}, rows.copy()
    model.score(UserBatch(np.array([0, -1]), rows))
    for name, array in state_of(model).arrays.items():
        np.testing.assert_array_equal(array, before[0][name])
    np.testing.assert_array_equal(rows.data, before[1].data)


@pytest.mark.parametrize("fold_in", [RidgeFoldIn(1.7, 0.4, 1.0), ConfidenceFoldIn(1.7, 5.0, 3.0), None])
def test_state_and_pickle_bring_the_model_back(model, fold_in):
    model = replace(model, fold_in=fold_in, limits=(0.0, 5.0))
    batch = UserBatch(np.array([1, 2 if fold_in is None else -1]), history([3, 5]))
    for again in (
        recommender_of("factor", model.users, model.items, state_of(model)),
        pickle.loads(pickle.dumps(model)),
    ):
        np.testing.assert_array_equal(again.score(batch), model.score(batch))
        assert again.fold_in == fold_in


def test_an_unknown_way_to_fold_in_is_refused(model):
    state = state_of(model)
    state.meta["fold_in"]["is"] = "magic"
    with pytest.raises(StorageError, match="unknown kind 'magic'"):
        recommender_of("factor", model.users, model.items, state)
