"""Data of odd shapes: every model of ratings ends, and predicts about as well as the biases."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_ae.data.ratings import Ratings
from recsys_ae.evaluation.evaluator import evaluate, predict_holdout
from recsys_ae.experiments.fit import fit_split
from recsys_ae.models import configs as c
from recsys_ae.settings.configs import ValidationConfig
from recsys_ae.splitting.configs import RandomSplitConfig
from recsys_ae.splitting.make import make_split

MODELS: dict[str, c.ModelConfig] = {
    "i-autorec": c.ItemAutoRecConfig(hidden=(50,)),
    "u-autorec": c.UserAutoRecConfig(hidden=(50,)),
    "u-autorec-free": c.UserAutoRecConfig(hidden=(50,), presence="free"),
    "biased-mf": c.BiasedMFConfig(),
    "bayesian-mf": c.BayesianMFConfig(),
    "bayesian-mf-plain": c.BayesianMFConfig(implicit="none"),
    "pca": c.PCAConfig(),
}


def cells(n_users: int, n_items: int, n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Users and items of `n` different cells."""
    chosen = np.random.default_rng(seed).permutation(n_users * n_items)[:n]
    return chosen // n_items, chosen % n_items


def ratings_of(shape: str) -> Ratings:
    rng = np.random.default_rng(1)
    match shape:
        case "one user":
            users, items = cells(1, 300, 300)
            values = rng.integers(1, 6, 300)
        case "one item":
            users, items = cells(300, 1, 300)
            values = rng.integers(1, 6, 300)
        case "all equal":
            users, items = cells(50, 40, 800)
            values = np.full(800, 4.3)
        case "two values around zero":
            users, items = cells(60, 10, 400)
            values = rng.choice([-1, 1], 400) * (1 + items % 2)
        case "one rating each":
            users, items = np.arange(400), rng.permutation(400)
            values = rng.integers(0, 11, 400)
        case "items with one rating":
            users, items = np.arange(3000) * 7919 % 120, np.arange(3000)
            values = rng.normal(size=120)[users] + rng.normal(size=3000)
        case "users with one rating":
            users, items = np.arange(3000), np.arange(3000) * 7919 % 120
            values = rng.normal(size=120)[items] + rng.normal(size=3000)
        case "many users of few items":
            users, items = cells(4000, 12, 9000)
            tastes = rng.normal(size=(4000, 2)) @ rng.normal(size=(2, 12))
            values = 50 + 20 * tastes[users, items] + 10 * rng.normal(size=9000)
        case _:
            raise AssertionError(shape)
    return Ratings.from_triples(users, items, np.asarray(values, dtype=np.float32))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "shape",
    [
        "one user",
        "one item",
        "all equal",
        "two values around zero",
        "one rating each",
        "items with one rating",
        "users with one rating",
        "many users of few items",
    ],
)
def test_odd_shapes_are_predicted_about_as_well_as_by_the_biases(name, shape):
    split = make_split(RandomSplitConfig(), ratings_of(shape), seed=0)

    def rmse(model: c.ModelConfig) -> float:
        fitted = fit_split(model, split, validation=ValidationConfig(refit=True), seed=0)
        return evaluate(fitted.model, split).metrics["rmse"]

    biases = rmse(c.BiasesConfig())
    few = shape == "two values around zero"  # 40 ratings to test on
    assert rmse(MODELS[name]) <= (1.06 if few else 1.01) * biases + 1e-6


def large_ratings_of(shape: str) -> Ratings:
    rng = np.random.default_rng(1)
    if shape == "100 items of 70,000 users":
        users, items = cells(70_000, 100, 700_000)
        tastes = np.einsum("er,er->e", rng.normal(size=(70_000, 2))[users], rng.normal(size=(100, 2))[items])
        values = 3 + 0.7 * tastes + 0.6 * rng.normal(size=len(users))
    else:  # half a million items with one rating
        users, items = rng.integers(0, 5_000, 500_000), np.arange(500_000)
        values = rng.normal(size=5_000)[users] + rng.normal(size=500_000)
    return Ratings.from_triples(users, items, values.astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [c.ItemAutoRecConfig(), c.UserAutoRecConfig(), c.BiasedMFConfig()],
    ids=lambda config: config.kind,
)
@pytest.mark.parametrize("shape", ["100 items of 70,000 users", "half a million items with one rating"])
def test_large_odd_shapes_are_fitted_by_the_defaults(config, shape):
    split = make_split(RandomSplitConfig(), large_ratings_of(shape), seed=0)

    def rmse(model: c.ModelConfig) -> float:
        fitted = fit_split(model, split, validation=ValidationConfig(), seed=0)
        found = predict_holdout(fitted.model, split)
        return float(np.sqrt(np.mean((found.predicted - found.actual) ** 2)))

    assert rmse(config) <= 1.005 * rmse(c.BiasesConfig())
