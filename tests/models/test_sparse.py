"""AutoRec with sparse codes: what its settings promise, from config to curve."""

from __future__ import annotations

import logging
import signal

import numpy as np
import pytest
import torch
from networks import drawn_network
from pydantic import ValidationError
from strategies import grid
from synthetic import low_rank
from toys import Scoring, train

from recsys_ae.data.ratings import Ratings
from recsys_ae.metrics import RMSE
from recsys_ae.models import configs as c
from recsys_ae.models import trainee
from recsys_ae.models.parts import make_architecture, make_objective
from recsys_ae.models.penalty_configs import L1Config, SparseKLConfig
from recsys_ae.nn.autoencoder import Architecture, Reconstruction
from recsys_ae.nn.penalties import PENALTIES, Sizes
from recsys_ae.results.folder import curve_point
from recsys_ae.types import Epoch

KINDS = [c.ItemAutoRecConfig, c.UserAutoRecConfig]
TRAINING = c.TrainingConfig(epochs=20, batch_size=32, min_steps=2, learning_rate=2e-2, patience=None)


def ratings() -> Ratings:
    return low_rank(60, 50, rank=2, density=0.3, noise=0.3, seed=4)


def curve(config: c.AutoRecConfig, **options) -> list[Epoch]:
    return list(train(config, ratings(), **options).epochs)


@pytest.mark.parametrize("over", ["batch", "running", "data"])
@pytest.mark.parametrize(("kind", "activation"), [(KINDS[0], "sigmoid"), (KINDS[1], "tanh")])
def test_with_a_large_beta_the_mean_activation_is_the_wanted_one(kind, activation, over):
    """Of the codes that training saw; those of a tanh counted from -1."""
    penalty = {"kind": "kl-sparse", "rho": 0.15, "beta": 20.0, "over": over, "decay": 0.5}
    wide = {"hidden": (12,), "activation": activation, "l2": 0.2, "corruption": None}
    training = TRAINING.model_copy(update={"learning_rate": 5e-3, "epochs": 100})
    first, *_, last = curve(kind(**wide, penalty=penalty, training=training))
    assert first.measures["mean_activation"] > 0.3
    assert last.measures["mean_activation"] == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize(
    ("optimizer", "over"),
    [
        ("l-bfgs-b", "data"),
        pytest.param("rprop", "batch", marks=pytest.mark.slow),
        pytest.param("l-bfgs-b", "batch", marks=pytest.mark.slow),
        pytest.param("rprop", "data", marks=pytest.mark.slow),
    ],
)
def test_so_it_is_where_steps_take_all_rows_whatever_their_blocks(optimizer, over, monkeypatch):
    penalty = SparseKLConfig(rho=0.15, beta=20.0, over=over)
    training = c.TrainingConfig(optimizer=optimizer, learning_rate=5e-3, epochs=5, patience=None)
    config = c.UserAutoRecConfig(hidden=(12,), l2=0.2, corruption=None, training=training)
    assert curve(config)[-1].measures["mean_activation"] > 0.3
    whole = curve(config.model_copy(update={"penalty": penalty}))
    monkeypatch.setattr(trainee, "_ROWS_AT_ONCE", 2)
    in_blocks = curve(config.model_copy(update={"penalty": penalty}))
    for held in (whole[-1], in_blocks[-1]):
        assert held.measures["mean_activation"] == pytest.approx(0.15, abs=0.02)
    assert in_blocks[1].terms["kl-sparse"] == pytest.approx(whole[1].terms["kl-sparse"], rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_l1_makes_activations_smaller(kind, activation):
    config = kind(hidden=(12,), activation=activation, l2=0.2, corruption=None, training=TRAINING)
    light = curve(config.model_copy(update={"penalty": L1Config(weight=0.02)}))[-1].measures
    heavy = curve(config.model_copy(update={"penalty": L1Config(weight=2.0)}))[-1].measures
    assert heavy["mean_activation"] < 0.5 * light["mean_activation"]


@pytest.mark.parametrize("kind", KINDS)
def test_k_units_of_each_row_are_active_behind_a_top_k_bottleneck(kind):
    for epoch in curve(kind(hidden=(12,), bottleneck=c.TopKConfig(k=3), corruption=None, training=TRAINING)):
        assert epoch.measures["active_share"] == pytest.approx(3 / 12)


def test_layers_that_are_cut_have_a_code_and_a_k_that_fit():
    """The last layer gets 100 weights for each of few ratings of many columns, and so few units."""
    few = low_rank(40, 60, rank=1, density=0.02, seed=1)
    sparse = c.UserAutoRecConfig(hidden=(900,), bottleneck=c.TopKConfig(k=800))
    plan = make_architecture(sparse, few)
    assert plan.top_k == plan.encoder[-1] < 800
    penalised = c.UserAutoRecConfig(hidden=(900,), penalty={"kind": "kl-sparse"})
    assert make_objective(penalised, few).penalties["kl-sparse"].mean.shape == plan.encoder[-1:]


def test_one_weight_means_the_same_for_more_rows_and_more_units():
    """Rows twice, and units twice: the penalties of the same activations stay as they are."""
    plan = Architecture(grid().n_items, (4,))
    network, code = drawn_network(plan), torch.rand(6, 4)
    for name, settings in {
        "kl-sparse": {"rho": 0.1, "beta": 2.0, "over": "batch", "decay": 0.9},
        "l1": {"weight": 2.0},
    }.items():
        found = []
        for more in (code, code.repeat(2, 1), code.repeat(1, 2)):
            penalty = PENALTIES[name](**settings, sizes=Sizes(more.shape[1], 30, 6, 5))
            term = penalty(network, Reconstruction(more, None, more, network.decoder), step=0, epoch=1)
            found.append(float(term.value))
        np.testing.assert_allclose(found, found[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"activation": "relu", "penalty": {"kind": "kl-sparse"}}, "penalty 'kl-sparse' .*activation 'relu'"),
        ({"activation": "elu", "penalty": {"kind": "kl-sparse"}}, "penalty 'kl-sparse' .*activation 'elu'"),
        ({"activation": "identity", "penalty": {"kind": "kl-sparse"}}, "activation: sigmoid or tanh"),
        ({"hidden": (50, 20), "bottleneck": {"kind": "top-k", "k": 21}}, "21 units pass, .*hidden has 20"),
        ({"bottleneck": {"kind": "top-k", "k": 5}, "penalty": {"kind": "l1"}}, "bottleneck and penalty"),
        (
            {"penalty": {"kind": "kl-sparse", "over": "running"}, "training": {"optimizer": "rprop"}},
            "over 'running' .*optimizer 'rprop' .*set penalty.over: batch",
        ),
        ({"penalty": {"kind": "kl-sparse", "rho": 1.0}}, "less than 1"),
        ({"penalty": {"kind": "l1", "weight": -1.0}}, "greater than or equal to 0"),
    ],
)
def test_settings_that_clash_are_refused_in_a_sentence(settings, sentence):
    for kind in KINDS:
        with pytest.raises(ValidationError, match=sentence):
            kind(**settings)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_bounded_activations_are_not_refused(activation):
    c.ItemAutoRecConfig(activation=activation, penalty={"kind": "kl-sparse"}, hidden=(50, 20))
    c.ItemAutoRecConfig(hidden=(50, 20), bottleneck={"kind": "top-k", "k": 20})


def test_measures_are_told_for_each_epoch_under_their_names():
    epochs = curve(c.UserAutoRecConfig(hidden=(8,), training=TRAINING), validator=Scoring(lambda model: 1.0))
    assert epochs[0].measures == {}
    for epoch in epochs[1:]:
        assert set(epoch.measures) == {"mean_activation", "active_share", "dead_share"}
        assert epoch.total == pytest.approx(sum(epoch.terms.values()))
        point = curve_point(epoch, RMSE)
        assert point["measures/active_share"] == epoch.measures["active_share"]


@pytest.mark.parametrize(
    "settings",
    [
        {"penalty": {"kind": "kl-sparse", "over": "running", "decay": 0.95}},
        {"penalty": {"kind": "kl-sparse", "over": "data"}},
        {"bottleneck": {"kind": "top-k", "k": 3}},
    ],
    ids=str,
)
def test_a_stopped_training_ends_where_a_whole_one_does(settings, tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    config = c.ItemAutoRecConfig(hidden=(8,), l2=0.2, training=TRAINING, **settings)

    def stop(epoch: Epoch) -> None:
        if epoch.number == 7:
            signal.raise_signal(signal.SIGINT)

    whole = train(config, ratings())
    assert train(config, ratings(), checkpoints=tmp_path, on_epoch=stop).interrupted
    resumed = train(config, ratings(), checkpoints=tmp_path, resume=True)
    np.testing.assert_array_equal(resumed.model.item_factors, whole.model.item_factors)
    assert [e.terms for e in resumed.epochs] == [e.terms for e in whole.epochs]
    assert [e.measures for e in resumed.epochs] == [e.measures for e in whole.epochs]
