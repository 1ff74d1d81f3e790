"""Networks that take each step on all rows: the one function of all parameters, and what minimises it."""

from __future__ import annotations

import signal
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import drawn_network
from pydantic import ValidationError
from scipy.sparse import csr_array
from strategies import grid
from synthetic import low_rank
from toys import Scoring, everyone, fit
from toys import train as train_model

from recsys_ae.data.ratings import Ratings
from recsys_ae.models import configs as c
from recsys_ae.models import trainee
from recsys_ae.models.biases import Biases
from recsys_ae.models.codec import state_of
from recsys_ae.models.parts import make_architecture, make_multinomial_architecture, make_objective
from recsys_ae.models.trainee import row_blocks, whole_objective
from recsys_ae.nn.autoencoder import Architecture
from recsys_ae.nn.objective import Objective
from recsys_ae.rng import numpy_generator
from recsys_ae.training.fullbatch import lbfgs_epochs
from recsys_ae.training.gradient import make_optimizer

KINDS = [c.ItemAutoRecConfig, c.UserAutoRecConfig]
LBFGS = c.TrainingConfig(optimizer="l-bfgs-b", iterations_per_epoch=5, epochs=8, patience=None)
OBJECTIVES: dict[str, c.AutoencoderConfig] = {
    "plain": c.UserAutoRecConfig(hidden=(5,), corruption=None, l2=3.0),
    "free": c.UserAutoRecConfig(hidden=(5, 3), presence="free", anchored=False, l2=3.0),
    "scaled": c.UserAutoRecConfig(
        hidden=(5,), output="scaled", debias=None, corruption=c.GaussianNoiseConfig()
    ),
    "emphasised": c.UserAutoRecConfig(
        hidden=(5,), corruption=c.SaltAndPepperConfig(probability=0.3), emphasis=c.EmphasisConfig()
    ),
    "sparse": c.UserAutoRecConfig(
        hidden=(5,), corruption=c.MaskingConfig(), penalty={"kind": "kl-sparse", "beta": 5.0}, training=LBFGS
    ),
    "mult-dae": c.MultDAEConfig(hidden=(5, 4), l2=2.0),
}


def rows_of(name: str) -> Ratings:
    config = OBJECTIVES[name]
    if isinstance(config, c.MultDAEConfig):
        return grid()
    return Biases.of_mean(grid()).removed_from(grid())


def whole_of(name: str):
    """The function of such a network in float64, no parameter of which is 0, over rows with zeros."""
    config, rows = OBJECTIVES[name], rows_of(name)
    make = make_multinomial_architecture if isinstance(config, c.MultDAEConfig) else make_architecture
    network = drawn_network(make(config, rows)).double().train()
    return whole_objective(network, make_objective(config, rows), rows.matrix, seed=3)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_gradient_of_the_one_function_is_that_of_finite_differences(name, monkeypatch):
    """Over blocks of a few rows each, all terms included; corruption stays the same within an epoch."""
    monkeypatch.setattr(trainee, "_ENTRIES_AT_ONCE", 25)
    whole = whole_of(name)
    point = whole.parameters()
    value, gradient = whole.value_and_gradient(point, step=0, epoch=2)
    assert len(list(whole.blocks(2))) > 2
    assert value == sum(term.value for term in whole.terms.values())
    for place in numpy_generator(0, "places").integers(0, len(point), 25):
        values = []
        for change in (1e-5, -1e-5):
            moved = point.copy()
            moved[place] += change
            values.append(whole.value_and_gradient(moved, step=0, epoch=2)[0])
        assert gradient[place] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", ["plain", "free", "sparse", "mult-dae"])
def test_blocks_of_rows_change_nothing_but_the_memory(name, monkeypatch):
    """Without noise, whose draws follow the blocks."""
    monkeypatch.setitem(OBJECTIVES, name, OBJECTIVES[name].model_copy(update={"corruption": None}))
    whole = whole_of(name)
    point = whole.parameters()
    at_once = whole.value_and_gradient(point, step=0, epoch=1)
    assert whole.terms["reconstruction"].count == grid().n_observed
    monkeypatch.setattr(trainee, "_ROWS_AT_ONCE", 3)
    whole = whole_of(name)
    in_blocks = whole.value_and_gradient(point, step=0, epoch=1)
    assert whole.terms["reconstruction"].count == grid().n_observed
    assert whole.terms["l2"].count == len(list(whole.blocks(1))) > 1
    assert in_blocks[0] == pytest.approx(at_once[0], rel=1e-12)
    np.testing.assert_allclose(in_blocks[1], at_once[1], rtol=1e-9, atol=1e-15)


def test_noise_stays_within_an_epoch_and_changes_with_it():
    whole = whole_of("emphasised")
    point = whole.parameters()

    def value(epoch):
        return whole.value_and_gradient(point, step=0, epoch=epoch)[0]

    assert value(1) == value(1)
    assert value(1) != value(2)


def test_each_block_has_noise_of_its_own_whatever_is_drawn_for_the_others(monkeypatch):
    monkeypatch.setattr(trainee, "_ROWS_AT_ONCE", 3)
    whole = whole_of("emphasised")
    noise = whole.objective.keywords["generator"]
    drawn = [torch.rand(5, generator=noise).tolist() for _ in whole.blocks(2)]
    again = [torch.rand(9 + at, generator=noise)[:5].tolist() for at, _ in enumerate(whole.blocks(2))]
    assert drawn == again
    assert len({tuple(draws) for draws in drawn}) == len(drawn) > 2


@given(st.lists(st.integers(0, 9), max_size=40))
def test_row_blocks_hold_each_row_with_entries_once_in_order_and_are_bounded(sizes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainee, "_ENTRIES_AT_ONCE", 7)
        patch.setattr(trainee, "_ROWS_AT_ONCE", 3)
        blocks = list(row_blocks(np.array(sizes, dtype=np.int64)))
    assert [row for block in blocks for row in block] == [row for row, n in enumerate(sizes) if n]
    for block in blocks:
        assert len(block) == 1 or sum(sizes[row] for row in block) <= 7
        assert 1 <= len(block) <= 3
    for block, following in pairwise(blocks):
        grown = [*block, following[0]]
        assert len(grown) > 3 or sum(sizes[row] for row in grown) > 7


def test_linear_autoencoder_by_lbfgs_is_the_truncated_svd():
    """On fully observed centred rows, without penalty and corruption, the best linear autoencoder is PCA, and
    L-BFGS knows where to end."""
    rng = numpy_generator(0, "svd")
    values = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 20)) + 0.3 * rng.normal(size=(60, 20))
    values -= values.mean(axis=0)
    network = drawn_network(Architecture(20, (3,), activation="identity")).double()
    whole = whole_objective(network, Objective(), csr_array(values), seed=0)
    epochs = list(lbfgs_epochs(whole, iterations=60, max_epochs=40))
    values = values.astype(np.float32).astype(np.float64)  # as rows are read
    left_by_svd = np.mean(values**2) - np.sum(np.linalg.svd(values, compute_uv=False)[:3] ** 2) / values.size
    assert epochs[-1].total == pytest.approx(left_by_svd, rel=1e-6)
    assert len(epochs) < 40
    assert epochs[-1].n_steps == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("optimizer", ["l-bfgs-b", "rprop", "adamw"])
def test_every_optimiser_goes_down_the_same_objective(kind, optimizer):
    """To at most what Adam reaches in many steps, for a network with one hidden layer, penalties included;
    AdamW without decay is Adam."""
    ratings = low_rank(60, 40, rank=2, density=0.4, noise=0.1, seed=1)
    adam = c.TrainingConfig(epochs=60, batch_size=100, min_steps=1, learning_rate=1e-2, patience=None)
    config = kind(hidden=(8,), l2=20.0, corruption=None, training=adam)
    reached = train_model(config, ratings).epochs
    changed = {"optimizer": optimizer, "weight_decay": 0.0, "epochs": 60 if optimizer == "adamw" else 10}
    training = adam.model_copy(update=changed)
    found = train_model(config.model_copy(update={"training": training}), ratings).epochs
    assert set(found[0].terms) == {"reconstruction", "l2"}
    if optimizer == "adamw":
        assert found[-1].total == pytest.approx(reached[-1].total, rel=1e-4)
    else:
        assert found[-1].total < reached[-1].total + 1e-3 < found[0].total + reached[0].total


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_batch_optimiser_reads_no_batch_size(kind):
    ratings = low_rank(30, 20, rank=2, density=0.4, noise=0.1, seed=1)
    for optimizer in ("l-bfgs-b", "rprop"):
        scores = [
            fit(kind(hidden=(4,), training=training), ratings).score(everyone(ratings))
            for training in (
                LBFGS.model_copy(update={"optimizer": optimizer, "batch_size": size, "epochs": 2})
                for size in (1, 512)
            )
        ]
        np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("optimizer", ["l-bfgs-b", "rprop", "adamw"])
def test_resumed_training_equals_uninterrupted(kind, optimizer, tmp_path):
    ratings = low_rank(30, 20, rank=2, density=0.4, noise=0.1, seed=1)
    training = LBFGS.model_copy(update={"optimizer": optimizer})
    config = kind(hidden=(6,), training=training)
    validator = Scoring(lambda model: float(np.square(model.score(everyone(ratings))).mean()))

    def press_ctrl_c(epoch):
        if epoch.number == 3:
            signal.raise_signal(signal.SIGINT)

    stopped = train_model(config, ratings, validator=validator, on_epoch=press_ctrl_c, checkpoints=tmp_path)
    assert stopped.interrupted
    resumed = train_model(config, ratings, validator=validator, checkpoints=tmp_path, resume=True)
    whole = train_model(config, ratings, validator=validator)
    assert [epoch.terms for epoch in resumed.epochs] == [epoch.terms for epoch in whole.epochs]
    for name, array in state_of(whole.model).arrays.items():
        np.testing.assert_array_equal(state_of(resumed.model).arrays[name], array)
        assert array.dtype == np.float32


def test_candidates_stay_as_they_were_while_training_goes_on():
    ratings, kept = low_rank(30, 20, rank=2, density=0.4, noise=0.1, seed=1), []

    def validate(candidate):
        kept.append((candidate, candidate.score(everyone(ratings))))
        return 0.0

    fit(c.UserAutoRecConfig(hidden=(4,), training=LBFGS), ratings, validator=Scoring(validate))
    for candidate, scores in kept:
        np.testing.assert_array_equal(candidate.score(everyone(ratings)), scores)
    assert (kept[1][1] != kept[-1][1]).any()


def test_an_epoch_of_lbfgs_says_what_the_parameters_make_of_the_objective():
    whole = whole_of("plain")
    for epoch in lbfgs_epochs(whole, iterations=4, max_epochs=3):
        value, _ = whole.value_and_gradient(whole.parameters(), step=0, epoch=epoch.number)
        assert epoch.total == value


def test_decay_of_adamw_is_beside_the_objective_and_spares_biases():
    """With gradients of 0 a weight loses learning rate times decay of itself in each step; a bias nothing."""
    weight, bias = torch.nn.Parameter(torch.ones(3, 2)), torch.nn.Parameter(torch.ones(3))
    optimizer = make_optimizer("adamw", [weight, bias], learning_rate=0.1, weight_decay=0.5)
    for _ in range(2):
        weight.grad, bias.grad = torch.zeros_like(weight), torch.zeros_like(bias)
        optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.full((3, 2), 0.95**2))
    assert torch.equal(bias.detach(), torch.ones(3))


@pytest.mark.parametrize("kind", KINDS)
def test_weight_decay_is_heard(kind):
    ratings = low_rank(30, 20, rank=2, density=0.4, noise=0.1, seed=1)

    def scores(**training):
        settings = {"optimizer": "adamw", "epochs": 5, "learning_rate": 1e-2, **training}
        return fit(kind(hidden=(4,), l2=0.0, training=settings), ratings).score(everyone(ratings))

    np.testing.assert_array_equal(scores(), scores(weight_decay=0.01))
    assert np.abs(scores(weight_decay=50.0) - scores(weight_decay=0.0)).max() > 1e-2


@pytest.mark.parametrize(
    ("training", "sentence"),
    [
        ({"weight_decay": 0.1}, "'weight_decay' .* optimizer 'adam'; set optimizer: adamw"),
        (
            {"optimizer": "l-bfgs-b", "schedule": c.CosineSchedule()},
            "optimizer 'l-bfgs-b' .* schedule 'cosine'",
        ),
        ({"optimizer": "rprop", "schedule": c.StepSchedule()}, "optimizer 'rprop' .* schedule 'step'"),
        ({"optimizer": "rprop", "refeed": 1}, "optimizer 'rprop' .* 'refeed' .* set refeed: 0"),
        ({"optimizer": "l-bfgs-b", "refeed": 1}, "optimizer 'l-bfgs-b' .* 'refeed' .* set refeed: 0"),
    ],
)
def test_settings_of_training_that_clash_are_refused(training, sentence):
    with pytest.raises(ValidationError, match=sentence):
        c.TrainingConfig(**training)


@pytest.mark.parametrize("optimizer", ["l-bfgs-b", "rprop"])
def test_drawn_codes_and_full_batches_clash(optimizer):
    with pytest.raises(ValidationError, match=f"optimizer '{optimizer}' .* codes that are drawn"):
        c.MultVAEConfig(training={"optimizer": optimizer})
    c.MultDAEConfig(training={"optimizer": optimizer})
