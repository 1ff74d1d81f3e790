"""Mult-DAE and Mult-VAE against a dense network written out, and against what is known of the likes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from strategies import grid
from synthetic import checkerboard, power_law
from toys import everyone, fit, train

from recsys_ae.errors import DataError
from recsys_ae.models.configs import MultDAEConfig, MultVAEConfig, PopularityConfig, TrainingConfig

TRAINING = TrainingConfig(epochs=60, batch_size=16, learning_rate=1e-2, patience=None)
CONFIGS = {
    "mult-dae": MultDAEConfig(hidden=(12, 6), l2=0.1, training=TRAINING),
    "mult-vae": MultVAEConfig(hidden=(12,), code=6, anneal_epochs=20, training=TRAINING),
}


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


def untrained(config):
    return config.model_copy(update={"training": TRAINING.model_copy(update={"epochs": 0})})


def test_training_starts_from_popularity(config):
    ratings = power_law(60, 30, density=0.1)
    scores = fit(untrained(config), ratings).score(everyone(ratings))
    counts = fit(PopularityConfig(), ratings).score(everyone(ratings))
    rated = counts[0] > 0
    shares = np.exp(scores[:, rated])
    np.testing.assert_allclose(shares, counts[:, rated] / ratings.n_observed, rtol=1e-4)
    assert (scores[:, ~rated] < scores[:, rated].min()).all()


def test_scores_are_those_of_the_network_written_out(config):
    """Ones over the root of their number, tanh in every hidden layer, the mean code."""
    ratings = grid()
    model = fit(config, ratings)
    parameters = model.network.copied_parameters()
    seen = np.zeros(ratings.matrix.shape)
    seen[ratings.rows(), ratings.columns] = 1
    x = seen / np.sqrt(seen.sum(axis=1, keepdims=True))
    x = np.tanh(x @ parameters["encoder.first.weight"] + parameters["encoder.first.bias"])
    if config.kind == "mult-dae":
        x = np.tanh(
            x @ parameters["encoder.rest.layers.0.weight"].T + parameters["encoder.rest.layers.0.bias"]
        )
    else:
        x = x @ parameters["bottleneck.posterior.weight"][:6].T + parameters["bottleneck.posterior.bias"][:6]
    x = np.tanh(
        x @ parameters["decoder.hidden.layers.0.weight"].T + parameters["decoder.hidden.layers.0.bias"]
    )
    expected = x @ parameters["decoder.last.weight"].T + parameters["decoder.last.bias"]
    np.testing.assert_allclose(model.score(everyone(ratings)), expected, rtol=1e-4, atol=1e-4)


def test_users_are_given_first_what_their_neighbours_like(config):
    ratings = checkerboard(30)
    scores = fit(config, ratings).score(everyone(ratings))
    scores[ratings.rows(), ratings.columns] = -np.inf
    np.testing.assert_array_equal(scores.argmax(axis=1) % 2, np.arange(30) % 2)


def test_training_lowers_the_loss_and_shows_its_terms(config):
    trained = train(config, power_law(60, 30, density=0.2))
    first, last = trained.epochs[0], trained.epochs[-1]
    assert set(last.terms) == {"reconstruction", "l2" if config.kind == "mult-dae" else "kl"}
    assert last.terms["reconstruction"] < first.terms["reconstruction"]
    assert last.total == pytest.approx(sum(last.terms.values()))


def test_a_strong_divergence_leaves_the_codes_nothing_to_say():
    """What is left is popularity: every user's code is that of the standard normal."""
    ratings = checkerboard(30)
    config = CONFIGS["mult-vae"].model_copy(update={"beta": 1e3, "anneal_epochs": 0})
    scores = fit(config, ratings).score(everyone(ratings))
    assert np.ptp(scores, axis=0).max() < 0.1


def test_values_decide_what_is_liked_and_nothing_else(config):
    """Ratings below `positive` are as if they were not there; the others may have any value."""
    ratings = power_law(40, 25, density=0.2)
    kept = ratings.keep(ratings.values >= 3)
    changed = replace(kept, matrix=csr_array((kept.values * 7, kept.matrix.indices, kept.matrix.indptr),
                                             shape=kept.matrix.shape), scale=None)  # fmt: skip
    some = config.model_copy(update={"positive": 3.0})
    expected = fit(some, ratings).score(everyone(ratings))
    np.testing.assert_array_equal(fit(config, changed).score(everyone(kept)), expected)


def test_nothing_liked_is_a_sentence(config):
    none = config.model_copy(update={"positive": 9.0})
    with pytest.raises(
        DataError, match=f"no rating is at or above 9.0; lower `positive` of model '{config.kind}'"
    ):
        fit(none, grid())


def test_the_global_generator_is_left_alone(config):
    before = torch.random.get_rng_state()
    fit(config, grid())
    assert torch.equal(torch.random.get_rng_state(), before)
