"""Bayesian MF: its average against its draws, its priors against their moments, its predictions against what
is known of the ratings."""

from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_array, csr_matrix, diags, hstack, identity
from synthetic import low_rank, permuted
from toys import everyone, fit, train

import recsys_ae as ra
from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.models.bayesian_mf import Draw, StandardRatings, average, kept_sweeps
from recsys_ae.models.configs import BayesianMFConfig, BiasesConfig
from recsys_ae.models.gibbs import Chain, Normal
from recsys_ae.rng import numpy_generator

FORMS = ("both", "users", "items", "none")
QUICK = BayesianMFConfig(factors=3, sweeps=40, samples=6)


def strangers(ratings: Ratings) -> UserBatch:
    return UserBatch(np.full(ratings.n_users, -1), ratings.matrix)


def halves(ratings: Ratings, share: float = 0.8) -> tuple[Ratings, Ratings]:
    kept = np.random.default_rng(3).random(ratings.n_observed) < share
    return ratings.keep(kept), ratings.keep(~kept)


def rmse(model, part: Ratings, held: Ratings) -> float:
    predicted = model.score_pairs(everyone(part), held.rows(), held.columns)
    return float(np.sqrt(np.mean((predicted - held.values) ** 2)))


def revalued(ratings: Ratings, values: np.ndarray) -> Ratings:
    old = ratings.matrix
    matrix = csr_array((values.astype(np.float32), old.indices, old.indptr), shape=old.shape)
    return replace(ratings, matrix=matrix, scale=None)


def from_cells(rows, columns, values, shape: tuple[int, int]) -> Ratings:
    matrix = csr_array(coo_array((np.asarray(values, dtype=np.float32), (rows, columns)), shape=shape))
    matrix.sort_indices()
    return Ratings(matrix, IdMap(np.arange(shape[0])), IdMap(np.arange(shape[1])))


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    return low_rank(60, 40, rank=2, density=0.3, noise=0.2, seed=2)


@pytest.fixture(scope="module", params=FORMS)
def implicit(request) -> str:
    return request.param


def draws_of(ratings: Ratings, implicit: str, n: int = 5) -> tuple[list[Draw], StandardRatings]:
    standard = StandardRatings.of(ratings)
    generator = numpy_generator(1, "test")
    chain = Chain.start(
        standard.rows, 3, implicit_users=implicit in ("both", "users"),
        implicit_items=implicit in ("both", "items"), generator=generator,
    )  # fmt: skip
    draws = []
    for _ in range(n):
        for _ in range(4):
            chain.sweep()
        draws.append(Draw.of(chain))
    return draws, standard


def test_the_prediction_is_the_mean_over_draws_of_the_posterior_mean_of_the_user(ratings, implicit):
    """Written out with dense matrices for each user and each draw."""
    draws, standard = draws_of(ratings, implicit)
    found = average(draws, ratings, standard).score(everyone(ratings))
    assert len(standard.items) == ratings.n_items
    expected = np.zeros(found.shape)
    for draw in draws:
        items = draw.items.astype(np.float64) + draw.average_item
        design = np.column_stack([items[:, :-1], np.ones(len(items))])
        for user in range(ratings.n_users):
            own = slice(*ratings.matrix.indptr[user : user + 2])
            rated = ratings.columns[own]
            centre = draw.users.mean.copy()
            if draw.effects is not None:
                centre += draw.effects[rated].sum(axis=0, dtype=np.float64) / np.sqrt(len(rated))
            targets = (ratings.values[own] - ratings.mean()) / ratings.values.std() - items[rated, -1]
            posterior = draw.users.precision + draw.noise_precision * design[rated].T @ design[rated]
            right = draw.users.precision @ centre + draw.noise_precision * design[rated].T @ targets
            expected[user] += design @ np.linalg.solve(posterior, right) + items[:, -1]
    expected = ratings.mean() + ratings.values.std() * expected / len(draws)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert (draws[0].effects is not None) == (implicit in ("both", "users"))


def test_a_training_user_is_predicted_as_a_stranger_with_the_same_history(ratings, implicit):
    model = fit(QUICK.model_copy(update={"implicit": implicit}), ratings)
    np.testing.assert_array_equal(model.score(everyone(ratings)), model.score(strangers(ratings)))


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([1e-3, 0.2, 1.0, 20.0, 1e4]),
    st.sampled_from([-7.0, -3.0, 0.0, 4.0]),
    st.sampled_from(["both", "none"]),
)
def test_predictions_follow_the_unit_and_the_zero_of_the_ratings(factor, shift, form):
    """The shift is in units of the old ratings: single precision has room for it."""
    ratings, held = halves(low_rank(50, 30, rank=2, density=0.3, noise=0.2, seed=6))
    config = QUICK.model_copy(update={"implicit": form})
    moved = revalued(ratings, (ratings.values.astype(np.float64) + shift) * factor)
    before = fit(config, replace(ratings, scale=None)).score_pairs(
        everyone(ratings), held.rows(), held.columns
    )
    after = fit(config, moved).score_pairs(everyone(moved), held.rows(), held.columns)
    np.testing.assert_allclose(after / factor - shift, before, atol=1e-4)


def test_users_and_items_without_ratings_change_nothing_and_are_taken_for_average_ones(ratings, implicit):
    config = QUICK.model_copy(update={"implicit": implicit})
    model = fit(config, ratings, seed=4)
    rows, columns = 2 * ratings.rows() + 1, 3 * ratings.columns + 1
    wide = replace(from_cells(rows, columns, ratings.values, (125, 122)), scale=ratings.scale)
    wider = fit(config, wide, seed=4)
    scores = wider.score(everyone(wide))
    np.testing.assert_array_equal(scores[1:120:2, 1:120:3], model.score(everyone(ratings)))
    assert not wider.user_factors[::2].any()
    assert not wider.item_factors[::3].any()
    np.testing.assert_allclose(scores[1, ::3], wider.mean + wider.user_biases[1], rtol=1e-6)
    np.testing.assert_allclose(scores[0], wider.mean + wider.item_biases, rtol=1e-6)


def test_a_prior_is_drawn_from_the_normal_wishart_posterior_of_its_vectors():
    """Salakhutdinov & Mnih 2008, eq. 14, of which the moments are known: E[precision] = ν* W*."""
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(12, 2)) @ np.array([[1.0, 0.4], [0.0, 0.5]]) + [0.5, -1.0]
    drawn = [Normal.drawn(vectors, generator) for _ in range(6000)]
    average = vectors.mean(axis=0)
    scatter = (vectors - average).T @ (vectors - average)
    inverse_scale = np.eye(2) + scatter + 2 * 12 / 14 * np.outer(average, average)
    precision = (2 + 12) * np.linalg.inv(inverse_scale)
    found = np.mean([one.precision for one in drawn], axis=0)
    np.testing.assert_allclose(found, precision, rtol=0.05, atol=0.05 * precision.max())
    means = np.array([one.mean for one in drawn])
    np.testing.assert_allclose(means.mean(axis=0), 12 / 14 * average, atol=0.03)
    covariance = inverse_scale / (14 * (14 - 2 - 1))  # of a multivariate t with ν* - 1 degrees of freedom
    np.testing.assert_allclose(np.cov(means.T), covariance, atol=0.1 * covariance.max())


def test_a_chain_finds_the_noise_of_the_ratings():
    ratings = revalued(low_rank(150, 100, rank=1, density=0.4, noise=0.0, seed=3), np.zeros(6000))
    rng = np.random.default_rng(1)
    taste = rng.normal(size=150)[ratings.rows()] * rng.normal(size=100)[ratings.columns]
    noisy = revalued(ratings, taste + 0.5 * rng.normal(size=6000))
    draws, standard = draws_of(noisy, "none", n=20)
    deviations = [standard.deviation / np.sqrt(draw.noise_precision) for draw in draws[5:]]
    assert np.mean(deviations) == pytest.approx(0.5, rel=0.05)


def test_ratings_of_low_rank_are_learnt(implicit):
    part, held = halves(low_rank(150, 100, rank=2, density=0.3, noise=0.2, seed=5))
    ours = rmse(fit(QUICK.model_copy(update={"implicit": implicit, "sweeps": 60}), part), part, held)
    assert ours < 0.35
    assert ours < 0.6 * rmse(fit(BiasesConfig(), part), part, held)


@pytest.mark.parametrize("form", ["users", "items"])
def test_what_was_rated_tells_what_will_be_liked(form):
    """Two kinds of users, each of which rates its own half of the items more often, and likes it. Few ratings
    each, of much noise, so that values alone tell little."""
    rng = np.random.default_rng(0)
    user_kind, item_kind = np.arange(600) % 2, np.arange(80) % 2
    alike = user_kind[:, None] == item_kind
    seen = rng.random(alike.shape) < np.where(alike, 0.12, 0.03)
    rows, columns = np.argwhere(seen).T
    values = np.where(alike, 1.0, -1.0)[seen] + 1.5 * rng.normal(size=len(rows))
    ratings = from_cells(rows, columns, values, alike.shape)
    if form == "items":
        ratings = ratings.transposed()
    part, held = halves(ratings)
    plain = rmse(fit(QUICK.model_copy(update={"implicit": "none"}), part), part, held)
    assert rmse(fit(QUICK.model_copy(update={"implicit": form}), part), part, held) < plain - 0.03


def test_noise_is_left_alone_better_than_by_biases():
    part, held = halves(permuted(low_rank(100, 80, density=0.2, seed=9)))
    plain = rmse(fit(QUICK.model_copy(update={"implicit": "none"}), part), part, held)
    assert plain < 1.05 * held.values.std()
    assert max(plain, rmse(fit(QUICK, part), part, held)) < 1.01 * rmse(fit(BiasesConfig(), part), part, held)


@given(st.integers(1, 200), st.floats(0.01, 0.99), st.integers(1, 80), st.integers(0, 60))
def test_kept_sweeps_are_evenly_spaced_after_the_burn_in(sweeps, burn_in, samples, n_most):
    kept = kept_sweeps(BayesianMFConfig(sweeps=sweeps, burn_in=burn_in, samples=samples), n_most=n_most)
    used = sweeps - int(burn_in * sweeps)
    assert len(kept) == max(1, min(samples, n_most, used))
    assert kept[0] == sweeps
    assert kept[-1] > int(burn_in * sweeps)
    gaps = -np.diff(kept)
    assert len(gaps) == 0 or 1 <= gaps.min() <= gaps.max() <= gaps.min() + 1


def test_the_memory_of_a_model_is_bounded(ratings, monkeypatch):
    monkeypatch.setattr("recsys_ae.models.bayesian_mf._MOST_BYTES", 5000)
    model = fit(QUICK, ratings)
    kept = model.user_factors.nbytes + model.item_factors.nbytes
    assert kept + model.fold_in.item_biases.nbytes + model.fold_in.effects.nbytes <= 5000
    assert model.user_factors.shape[1] == 2 * QUICK.factors


def test_each_sweep_is_reported_with_its_error(ratings):
    trained = train(QUICK, ratings)
    assert [epoch.number for epoch in trained.epochs] == list(range(1, 41))
    assert trained.best_epoch == 40
    assert trained.epochs[-1].terms["reconstruction"] < 0.3 * ratings.values.var()
    scaled = train(QUICK, revalued(ratings, 20 * ratings.values))
    assert scaled.epochs[-1].total == pytest.approx(400 * trained.epochs[-1].total, rel=1e-3)


@pytest.mark.parametrize("value", [0.0, 3.1, -1e6])
def test_equal_ratings_are_predicted_exactly(value):
    cells = np.argwhere(np.random.default_rng(0).random((30, 20)) < 0.3).T
    ratings = from_cells(*cells, np.full(cells.shape[1], value), (30, 20))
    np.testing.assert_allclose(fit(QUICK, ratings).score(everyone(ratings)), value, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 200), (200, 1), (12, 3000), (3000, 12)], ids="{0[0]}x{0[1]}".format)
def test_odd_shapes_are_no_worse_than_biases(shape):
    """A single user, a single item, a few users or items with a rating or two on the other side."""
    rng = np.random.default_rng(5)
    n = max(shape) * (1 if min(shape) == 1 else 2)
    cells = np.unique(np.arange(n) % max(shape) * min(shape) + rng.integers(0, min(shape), n))
    long, short = np.divmod(cells, min(shape))
    rows, columns = (short, long) if shape[0] < shape[1] else (long, short)
    values = rng.normal(size=shape[0])[rows] + rng.normal(size=shape[1])[columns] + rng.normal(size=len(rows))
    part, held = halves(from_cells(rows, columns, values, shape))
    ours, biases = (rmse(fit(config, part), part, held) for config in (QUICK, BiasesConfig()))
    assert ours < 1.03 * biases


@pytest.fixture
def myfm(monkeypatch):
    """myFM, which asks for its own version in a module that setuptools no longer has."""
    pkg_resources = SimpleNamespace(
        DistributionNotFound=PackageNotFoundError, get_distribution=importlib.metadata.distribution
    )
    monkeypatch.setitem(sys.modules, "pkg_resources", pkg_resources)
    return pytest.importorskip("myfm", reason="compares with myFM")


def factorization_machine(myfm, part: Ratings, held: Ratings, *, implicit: str, factors: int, sweeps: int):
    """What myFM predicts, whose Gibbs sampler draws one weight after the other: features are the user, the
    item, and, where both sides are `implicit`, what the user rated and who rated the item."""
    seen = csr_matrix((np.ones(part.n_observed), (part.rows(), part.columns)), shape=part.matrix.shape)
    sides = [by_root_of_their_number(seen), by_root_of_their_number(seen.T.tocsr())]

    def features(ratings: Ratings) -> tuple[csr_matrix, list]:
        places = (ratings.rows(), ratings.columns)
        alone = [identity(n, format="csr")[place] for n, place in zip(seen.shape, places, strict=True)]
        pairs = zip(places, sides, strict=True) if implicit == "both" else ()
        return hstack(alone, format="csr"), [myfm.RelationBlock(place, side) for place, side in pairs]

    groups = [*seen.shape, *(seen.shape[::-1] if implicit == "both" else ())]
    machine = myfm.MyFMGibbsRegressor(rank=factors, random_seed=0)
    (alone, related), values = features(part), part.values.astype(np.float64)
    machine.fit(alone, values, related, n_iter=sweeps, n_kept_samples=sweeps // 2, group_shapes=groups)
    return machine.predict(*features(held))


def by_root_of_their_number(seen: csr_matrix) -> csr_matrix:
    counts = np.maximum(np.asarray(seen.sum(axis=1)).ravel(), 1)
    return (diags(counts**-0.5) @ seen).tocsr()


def error_of(predicted: np.ndarray, held: Ratings) -> float:
    return float(np.sqrt(np.mean((predicted - held.values) ** 2)))


@pytest.mark.parametrize("implicit", ["none", "both"])
def test_a_factorization_machine_errs_as_much(implicit, myfm):
    """It needs more sweeps, since it draws the weights of a vector one after the other."""
    part, held = halves(low_rank(200, 150, rank=3, density=0.15, noise=0.5, seed=4))
    ours = fit(BayesianMFConfig(factors=4, sweeps=120, implicit=implicit), part)
    theirs = factorization_machine(myfm, part, held, implicit=implicit, factors=4, sweeps=600)
    assert 0.97 < rmse(ours, part, held) / error_of(theirs, held) < 1.01


@pytest.mark.slow
def test_on_movielens_100k_it_beats_biased_mf_and_equals_factorization_machines(myfm):
    """Both forms, the flipped one better than the plain one."""
    split = ra.split(ra.load("ml-100k"), kind={"kind": "random", "test_share": 0.2}, seed=0)
    part, held = split.train, split.holdout

    def ours(kind: str, **settings) -> float:
        fitted = ra.fit({"kind": kind, **settings}, split)
        return ra.evaluate(fitted, split, relevant=4).metrics["rmse"]

    errors = {form: ours("bayesian-mf", factors=10, implicit=form) for form in ("none", "both")}
    assert errors["none"] < ours("biased-mf") - 0.005
    assert errors["both"] < errors["none"] - 0.005
    for form, error in errors.items():
        theirs = factorization_machine(myfm, part, held, implicit=form, factors=10, sweeps=200)
        assert error < error_of(theirs, held) + 0.002
