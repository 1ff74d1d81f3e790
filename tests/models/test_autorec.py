"""User- and item-based AutoRec as recommenders."""

from __future__ import annotations

import signal
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.sparse import csr_array
from strategies import grid

from recsys_ae.data.batches import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError, DivergenceError
from recsys_ae.models import configs as c
from recsys_ae.models.context import FitContext
from recsys_ae.models.fit import fit
from recsys_ae.rng import numpy_generator
from recsys_ae.types import Epoch

KINDS = [c.ItemAutoRecConfig, c.UserAutoRecConfig]


def low_rank(seed: int = 0) -> tuple[Ratings, np.ndarray]:
    """120 × 80 ratings of rank 3 with biases and a little noise, 40 % observed; and all true ratings."""
    rng = numpy_generator(seed, "low-rank")
    truth = 3 + rng.normal(0, 0.4, (120, 1)) + rng.normal(0, 0.4, (1, 80))
    truth += rng.normal(0, 0.7, (120, 3)) @ rng.normal(0, 0.7, (3, 80))
    known = rng.random(truth.shape) < 0.4
    rows, columns = np.where(known)
    values = (truth[rows, columns] + rng.normal(0, 0.1, len(rows))).astype(np.float32)
    matrix = csr_array((values, columns, np.r_[0, np.cumsum(known.sum(axis=1))]), shape=truth.shape)
    return Ratings(matrix, IdMap(np.arange(120)), IdMap(np.arange(80))), np.where(known, np.nan, truth)


def everyone(ratings: Ratings) -> UserBatch:
    return UserBatch(np.arange(ratings.n_users), ratings.matrix)


def error(recommender, ratings: Ratings, truth: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean((recommender.score(everyone(ratings)) - truth) ** 2)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("debias", [None, c.BiasesConfig(item_damping=1, user_damping=1)])
def test_learns_what_biases_cannot(kind, debias):
    ratings, truth = low_rank()
    training = c.TrainingConfig(epochs=150, batch_size=20, learning_rate=3e-3)
    config = kind(hidden=(32,), activation="tanh", debias=debias, l2=2e-3, training=training,
                  corruption=c.MaskingConfig(probability=0.2))  # fmt: skip
    baseline = error(fit(c.BiasesConfig(item_damping=1, user_damping=1), ratings), ratings, truth)
    assert error(fit(config, ratings), ratings, truth) < 0.85 * baseline


def test_linear_autoencoder_on_all_cells_reaches_the_truncated_svd_and_not_beyond():
    """Without penalty and corruption, on fully observed rows, the best linear autoencoder is PCA."""
    rng = numpy_generator(0, "svd")
    values = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 20)) + 0.3 * rng.normal(size=(60, 20))
    matrix = csr_array(values.astype(np.float32))
    ratings = Ratings(matrix, IdMap(np.arange(60)), IdMap(np.arange(20)), scale=(-100.0, 100.0))
    training = c.TrainingConfig(epochs=1500, batch_size=60, learning_rate=5e-3)
    config = c.UserAutoRecConfig(hidden=(3,), activation="identity", debias=None, l2=0.0, corruption=None,
                                 training=training)  # fmt: skip
    left = fit(config, ratings).score(everyone(ratings)) - values
    left_by_svd = np.sum(np.linalg.svd(values - values.mean(axis=0), compute_uv=False)[3:] ** 2)
    assert left_by_svd * 0.999 <= np.sum(left**2) <= left_by_svd * 1.02


@pytest.mark.parametrize("kind", KINDS)
def test_best_epoch_is_restored(kind):
    ratings, truth = low_rank()
    scores = []

    def validate(recommender):
        scores.append(-error(recommender, ratings, truth))
        return scores[-1]

    config = kind(hidden=(32,), l2=0.0, corruption=None, debias=None,
                  training=c.TrainingConfig(epochs=40, learning_rate=0.03, patience=5))  # fmt: skip
    epochs = []
    best = fit(config, ratings, FitContext(validate=validate, on_epoch=epochs.append))
    assert -error(best, ratings, truth) == pytest.approx(max(scores), rel=1e-6)
    assert [epoch.score for epoch in epochs] == scores
    assert len(epochs) == min(40, int(np.argmax(scores)) + 1 + 5)


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_training_equals_uninterrupted(kind, tmp_path):
    ratings, truth = low_rank()
    config = kind(hidden=(16,), training=c.TrainingConfig(epochs=9, batch_size=16, patience=None,
                                                          schedule=c.CosineSchedule()))  # fmt: skip

    def context(on_epoch=lambda epoch: None, **options):
        return FitContext(validate=lambda r: -error(r, ratings, truth), on_epoch=on_epoch, **options)

    before: list[Epoch] = []

    def press_ctrl_c(epoch):
        before.append(epoch)
        if epoch.number == 4:
            signal.raise_signal(signal.SIGINT)

    told: list[int] = []
    early = fit(config, ratings, replace(context(press_ctrl_c), checkpoint=tmp_path / "state",
                                         on_interrupt=told.append))  # fmt: skip
    assert told == [4]
    assert np.isfinite(early.score(everyone(ratings))).all()
    curve: list[Epoch] = []
    resumed = fit(config, ratings, replace(context(curve.append), checkpoint=tmp_path / "state",
                                           resume=True))  # fmt: skip
    assert [epoch.number for epoch in curve] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert curve[:4] == before  # told again, seconds and all, not trained again
    whole = fit(config, ratings, context())
    for name, array in whole.state().arrays.items():
        np.testing.assert_array_equal(resumed.state().arrays[name], array)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("debias", [None, c.BiasesConfig(item_damping=5, user_damping=5)])
def test_users_and_items_without_ratings_fall_back(kind, debias):
    """A user without training ratings is the average user, an item without any has no taste of its own."""
    ratings = grid()
    known = (ratings.rows() != 3) & (ratings.columns != 5)
    train = ratings.keep(known)
    recommender = fit(kind(hidden=(6,), debias=debias, training=c.TrainingConfig(epochs=20)), train)
    scores = recommender.score(everyone(train))
    assert np.isfinite(scores).all()
    assert abs(scores[3].mean() - train.mean()) < 0.5
    if kind is c.UserAutoRecConfig and debias is None:
        np.testing.assert_allclose(scores[:, 5], train.mean(), rtol=1e-6)


def test_unseen_user_is_folded_in_close_to_a_user_with_the_same_history():
    ratings, truth = low_rank()
    config = c.ItemAutoRecConfig(hidden=(32,), l2=2e-3, fold_in_l2=1.0,
                                 training=c.TrainingConfig(epochs=100, batch_size=20))  # fmt: skip
    recommender = fit(config, ratings)
    unseen = recommender.score(UserBatch(np.full(120, -1), ratings.matrix))
    average = np.nanmean((np.nanmean(truth, axis=0) - truth) ** 2)
    assert np.nanmean((unseen - truth) ** 2) < 0.7 * average


def test_divergence_is_told():
    config = c.ItemAutoRecConfig(activation="identity", debias=None,
                                 training=c.TrainingConfig(optimizer="sgd", learning_rate=1e6))  # fmt: skip
    with pytest.raises(DivergenceError, match="try a learning rate ten times smaller"):
        fit(config, low_rank()[0])


def test_scaled_output_and_debias_clash():
    with pytest.raises(ValidationError, match="set debias: null"):
        c.ItemAutoRecConfig(output="scaled")


@pytest.mark.parametrize("name", ["gpu", "cuda"])
def test_device_that_is_not_there(name):
    import torch

    if name == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(ConfigError, match="use"):
        fit(c.ItemAutoRecConfig(), grid(), FitContext(device=name))
