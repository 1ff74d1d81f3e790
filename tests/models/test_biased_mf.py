from __future__ import annotations

import math
import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import set_num_threads
from numba.core.config import NUMBA_NUM_THREADS
from scipy.sparse import coo_array, csr_array
from strategies import small_ratings
from toys import Scoring, fit
from toys import train as train_model

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.kernels.ridge import solve_rows
from recsys_ae.models.biased_mf import AlternatingTrainee, half_step, objective, start
from recsys_ae.models.biases import Biases
from recsys_ae.models.configs import BiasedMFConfig, BiasesConfig


def rmse(model, history: Ratings, held: pd.DataFrame) -> float:
    batch = UserBatch(np.arange(history.n_users), history.matrix)
    predicted = model.score_pairs(batch, held.user.to_numpy(), held.item.to_numpy())
    return float(np.sqrt(np.mean((predicted - held.rating.to_numpy()) ** 2)))


def ratings_of(frame: pd.DataFrame, shape: tuple[int, int]) -> Ratings:
    cells = (frame.user.to_numpy(), frame.item.to_numpy())
    matrix = csr_array(coo_array((frame.rating.to_numpy(np.float32), cells), shape=shape))
    matrix.sort_indices()
    return Ratings(matrix, IdMap(np.arange(shape[0])), IdMap(np.arange(shape[1])), scale=(1.0, 5.0))


@pytest.fixture(scope="module")
def ml_100k(data_folder: Path) -> tuple[Ratings, pd.DataFrame, pd.DataFrame]:
    """(training part, its triples, test triples) of u1, positions from 0."""
    folder = data_folder / "ml-100k"
    if not folder.is_dir():
        pytest.skip("needs ml-100k in RECSYS_AE_DATA")
    parts = [
        pd.read_csv(folder / f"u1.{name}", sep="\t", names=["user", "item", "rating", "time"])
        for name in ("base", "test")
    ]
    base, test = (part.assign(user=part.user - 1, item=part.item - 1) for part in parts)
    return ratings_of(base, (943, 1682)), base, test


@settings(max_examples=40)
@given(small_ratings(min_observed=1), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_half_step_solves_the_normal_equations_of_every_row(ratings, power):
    config = BiasedMFConfig(factors=3, l2=0.7, power=power)
    items = np.random.default_rng(0).normal(size=(ratings.n_items, 4))
    found = half_step(config, ratings.matrix, items, 0.2)
    for user in range(ratings.n_users):
        own = slice(*ratings.matrix.indptr[user : user + 2])
        rated, n = ratings.columns[own], own.stop - own.start
        design = np.column_stack([items[rated, :3], np.ones(n)])
        targets = ratings.values[own] - items[rated, 3]
        penalty = np.diag([*[0.7 * (n**power if n else 1.0)] * 3, 0.2])
        expected = np.linalg.solve(design.T @ design + penalty, design.T @ targets)
        np.testing.assert_allclose(found[user], expected, rtol=1e-7, atol=1e-9)


@settings(max_examples=25)
@given(small_ratings(min_observed=2), st.sampled_from([0.0, 0.5, 1.0]))
def test_every_half_step_lowers_the_objective(ratings, power):
    config = BiasedMFConfig(factors=2, l2=0.3, power=power)
    biases = Biases.solve(ratings, config.biases)
    standardised = biases.centred(ratings)
    by_item, damping = standardised.transposed().matrix, config.biases.user_damping
    assert damping == config.biases.item_damping
    sides = start(config, ratings, biases, 0)
    values = [sum(objective(config, standardised, sides).values())]
    for _ in range(4):
        sides = replace(sides, users=half_step(config, standardised.matrix, sides.items, damping))
        values.append(sum(objective(config, standardised, sides).values()))
        sides = replace(sides, items=half_step(config, by_item, sides.users, damping))
        values.append(sum(objective(config, standardised, sides).values()))
    assert all(after <= before + 1e-9 for before, after in pairwise(values))


@given(small_ratings(min_observed=1))
def test_the_objective_is_the_formula_of_the_config(ratings):
    damping = BiasesConfig(user_damping=0.2, item_damping=0.4)
    config = BiasedMFConfig(factors=2, l2=0.7, power=0.5, biases=damping)
    biases = Biases.solve(ratings, damping)
    trainee = AlternatingTrainee(config, ratings, biases, start(config, ratings, biases, seed=4))
    next(trainee.epochs([]))
    sides = trainee.sides
    error, penalty = 0.0, 0.0
    for user, item, value in zip(ratings.rows(), ratings.columns, ratings.values, strict=True):
        p, q = sides.users[user], sides.items[item]
        error += ((value - ratings.mean()) / biases.deviation - p[:2] @ q[:2] - p[2] - q[2]) ** 2
    for side, own, weight in ((sides.users, ratings.rows(), 0.2), (sides.items, ratings.columns, 0.4)):
        for position, row in enumerate(side):
            n = (own == position).sum()
            penalty += 0.7 * math.sqrt(n) * row[:2] @ row[:2] + (weight * row[2] ** 2 if n else 0.0)
    terms = objective(config, biases.centred(ratings), sides)
    assert terms["reconstruction"] == pytest.approx(error, rel=1e-5, abs=1e-6)
    assert terms["l2"] == pytest.approx(penalty, rel=1e-9, abs=1e-12)


@given(small_ratings(min_observed=1))
def test_it_starts_from_the_bias_model(ratings):
    config = BiasedMFConfig(factors=3, iterations=0, biases=BiasesConfig(user_damping=2.0))
    batch = UserBatch(np.arange(ratings.n_users), ratings.matrix)
    expected = fit(config.biases, ratings).score(batch)
    np.testing.assert_allclose(fit(config, ratings).score(batch), expected, atol=1e-5)


def test_threads_decide_nothing():
    rng = np.random.default_rng(1)
    indptr = np.concatenate([[0], np.cumsum(rng.integers(0, 40, 300))])
    indices, targets = rng.integers(0, 90, indptr[-1]), rng.normal(size=indptr[-1])
    arguments = indptr, indices, targets, rng.normal(size=(90, 7)), np.full(7, 0.3)
    try:
        set_num_threads(1)
        alone = solve_rows(*arguments, power=0.5)
    finally:
        set_num_threads(NUMBA_NUM_THREADS)
    np.testing.assert_array_equal(solve_rows(*arguments, power=0.5), alone)


def test_a_matrix_of_rank_one_is_recovered_from_a_third_of_its_cells():
    rng = np.random.default_rng(5)
    full = np.outer(rng.normal(size=60), rng.normal(size=50))
    seen = rng.random(full.shape) < 0.35
    rows, columns = np.argwhere(seen).T
    frame = pd.DataFrame({"user": rows, "item": columns, "rating": full[seen]})
    train = replace(ratings_of(frame, full.shape), scale=None)
    damping = BiasesConfig(item_damping=1e-6, user_damping=1e-6)
    config = BiasedMFConfig(factors=1, l2=1e-6, biases=damping, iterations=300, patience=None)
    model = fit(config, train)
    scores = model.score(UserBatch(np.arange(60), train.matrix))
    assert np.abs(scores - full)[~seen].max() < 0.02


def test_the_best_validated_iteration_is_returned_and_patience_ends_the_fit():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "user": np.repeat(np.arange(20), 5),
            "rating": rng.integers(1, 6, 100),
            "item": np.concatenate([rng.permutation(12)[:5] for _ in range(20)]),
        }
    )
    train = ratings_of(frame, (20, 12))
    scores, candidates, epochs = iter([0.5, 1.0, 3.0, 2.0, 2.5, 9.0]), [], []

    def validate(candidate):
        candidates.append(candidate)
        return next(scores)

    config = BiasedMFConfig(factors=2, patience=2, iterations=5)
    model = fit(config, train, validator=Scoring(validate), on_epoch=epochs.append)
    for name in ("user_factors", "item_factors", "user_biases", "item_biases"):
        np.testing.assert_array_equal(getattr(model, name), getattr(candidates[2], name))
    assert [epoch.number for epoch in epochs] == [0, 1, 2, 3, 4]
    assert [epoch.score for epoch in epochs] == [0.5, 1.0, 3.0, 2.0, 2.5]
    totals = [epoch.total for epoch in epochs[1:]]
    assert totals == sorted(totals, reverse=True)


def test_an_interrupt_keeps_the_iterations_so_far():
    frame = pd.DataFrame({"user": [0, 0, 1, 2], "item": [0, 1, 1, 0], "rating": [1, 5, 3, 2]})
    train = ratings_of(frame, (3, 2))

    def interrupt_the_second(epoch):
        if epoch.number == 2:
            signal.raise_signal(signal.SIGINT)

    trained = train_model(BiasedMFConfig(factors=1), train, on_epoch=interrupt_the_second)
    assert trained.interrupted
    assert [epoch.number for epoch in trained.epochs] == [1, 2]
    expected = fit(BiasedMFConfig(factors=1, iterations=2), train)
    np.testing.assert_array_equal(trained.model.item_factors, expected.item_factors)


def test_a_user_folded_in_is_the_user_of_another_half_step():
    frame = pd.DataFrame(
        [(u, i, 1 + (u * i) % 5) for u in range(30) for i in range(20) if (u + i) % 3],
        columns=["user", "item", "rating"],
    )
    train = ratings_of(frame, (30, 20))
    config = BiasedMFConfig(factors=3, iterations=60)
    biases = Biases.solve(train, config.biases)
    trainee = AlternatingTrainee(config, train, biases, start(config, train, biases, 0))
    assert len(list(trainee.epochs([]))) == 60
    sides = trainee.sides
    model = fit(config, train)
    users = half_step(config, biases.centred(train).matrix, sides.items, config.biases.user_damping)
    raw = users[:, :-1] @ sides.items[:, :-1].T + users[:, -1:] + sides.items[:, -1]
    raw = train.mean() + biases.deviation * raw
    folded = model.score(UserBatch(np.full(30, -1), train.matrix))
    np.testing.assert_allclose(folded, raw, atol=1e-4)


def test_biases_agree_with_scikit_surprise(ml_100k):
    surprise = pytest.importorskip("surprise", reason="compares with scikit-surprise")
    train, base, _ = ml_100k
    theirs = surprise.BaselineOnly(
        bsl_options={"method": "als", "reg_u": 15, "reg_i": 10, "n_epochs": 100}, verbose=False
    )
    trainset = _surprise_trainset(surprise, base)
    theirs.fit(trainset)
    ours = fit(BiasesConfig(user_damping=15, item_damping=10, sweeps=100), train)
    users = [trainset.to_inner_uid(user) for user in range(943)]
    items = base.item.unique()
    np.testing.assert_allclose(ours.biases.users, np.array(theirs.bu)[users], atol=1e-4)
    np.testing.assert_allclose(
        ours.biases.items[items],
        np.array(theirs.bi)[[trainset.to_inner_iid(item) for item in items]],
        atol=1e-4,
    )


def test_biased_mf_beats_the_factorisation_of_scikit_surprise(ml_100k):
    """Surprise trains the same model by stochastic gradients, here with its default settings."""
    surprise = pytest.importorskip("surprise", reason="compares with scikit-surprise")
    train, base, test = ml_100k
    theirs = surprise.SVD(random_state=0).fit(_surprise_trainset(surprise, base))
    errors = [theirs.predict(u, i).est - r for u, i, r in zip(test.user, test.item, test.rating, strict=True)]
    ours = rmse(fit(BiasedMFConfig(), train), train, test)
    biases = rmse(fit(BiasesConfig(), train), train, test)
    assert ours < math.sqrt(np.mean(np.square(errors))) - 0.01
    assert ours < biases - 0.02


def _surprise_trainset(surprise, base: pd.DataFrame):
    reader = surprise.Reader(rating_scale=(1, 5))
    return surprise.Dataset.load_from_df(base[["user", "item", "rating"]], reader).build_full_trainset()
