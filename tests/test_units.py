"""Results do not depend on the unit or the zero of the ratings, nor on ids that training knows nothing of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from test_contract import CONFIGS, make_ratings, strangers
from toys import everyone, fit

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.models.configs import ModelConfig

MAPS = {"x0.001": (1e-3, 0.0), "x20-80": (20.0, -80.0)}  # of the second 4 becomes 0, and less is negative


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    """60 × 40 ratings from 1 to 5, of which about a third are known."""
    rng = np.random.default_rng(3)
    rows, columns = np.argwhere(rng.random((60, 40)) < 0.35).T
    tastes = 3 + rng.normal(size=(60, 2)) @ rng.normal(size=(2, 40)) + rng.normal(size=(60, 40)) / 2
    made = make_ratings(rows, columns, np.clip(np.round(tastes[rows, columns]), 1, 5), (60, 40))
    return made.with_scale((1.0, 5.0))


def mapped(ratings: Ratings, factor: float, shift: float) -> Ratings:
    """The same ratings in other units, scale and all."""
    values = (factor * ratings.values.astype(np.float64) + shift).astype(np.float32)
    matrix = csr_array((values, ratings.columns, ratings.matrix.indptr), shape=ratings.matrix.shape)
    limits = ratings.scale and tuple(factor * limit + shift for limit in ratings.scale)
    return replace(ratings, matrix=matrix, scale=limits)


def in_units(config: ModelConfig, factor: float, shift: float) -> ModelConfig:
    """The config with what it says in rating units said in others: what counts as liked, and nothing else."""
    liked = getattr(config, "positive", None)
    return config if liked is None else config.model_copy(update={"positive": factor * liked + shift})


def scores_of(config: ModelConfig, ratings: Ratings) -> list[np.ndarray]:
    """Of all users as training knows them, and folded in where the model can."""
    model = fit(config, ratings, seed=2)
    batches = [everyone(ratings)] + ([strangers(ratings)] if model.folds_in else [])
    return [model.score(batch).astype(np.float64) for batch in batches]


@pytest.fixture(scope="module", params=CONFIGS)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def plain_scores(name, ratings) -> list[np.ndarray]:
    return scores_of(CONFIGS[name], ratings)


@pytest.mark.parametrize("unit", MAPS)
def test_scores_follow_every_affine_map_of_the_ratings(name, unit, ratings, plain_scores):
    """To rounding, with the same settings. Scores that are no ratings stay as they are."""
    factor, shift = MAPS[unit]
    found = scores_of(in_units(CONFIGS[name], factor, shift), mapped(ratings, factor, shift))
    rates = CONFIGS[name].predicts_ratings
    for ours, plain in zip(found, plain_scores, strict=True):
        back = (ours - shift) / factor if rates else ours
        np.testing.assert_allclose(back, plain, atol=2e-3 if rates else 1e-5)


def test_users_and_items_without_ratings_change_nothing(name, ratings, plain_scores):
    """Such as those of the test part alone: ids in the maps, and nothing else of them."""
    rows, columns = ratings.rows() * 2 + 1, ratings.columns.astype(np.int64) + 5 * (ratings.columns > 11)
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=125))])
    matrix = csr_array((ratings.values, columns, starts), shape=(125, 47))
    wider = Ratings(matrix, IdMap(np.arange(125)), IdMap(np.arange(47)), scale=ratings.scale)
    users, items = np.arange(60) * 2 + 1, np.arange(40) + 5 * (np.arange(40) > 11)
    for ours, plain in zip(scores_of(CONFIGS[name], wider), plain_scores, strict=True):
        np.testing.assert_allclose(ours[np.ix_(users, items)], plain, rtol=1e-4, atol=1e-4)
