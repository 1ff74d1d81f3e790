"""AutoRec with more layers, tied weights, and layers that are trained one by one."""

from __future__ import annotations

import json
import logging
import signal

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.sparse import csr_array
from strategies import grid
from synthetic import low_rank
from toys import Scoring, fit, train

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError
from recsys_ae.models import configs as c
from recsys_ae.models.autorec import start_network
from recsys_ae.models.biases import Biases
from recsys_ae.models.codec import state_of
from recsys_ae.nn.corruption import mask
from recsys_ae.nn.layers import dropped
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import derived_seed, torch_seed
from recsys_ae.settings.load import default_experiment
from recsys_ae.training.loop import shuffled_batches

KINDS = [c.ItemAutoRecConfig, c.UserAutoRecConfig]
FEW = c.TrainingConfig(epochs=3, batch_size=32, learning_rate=5e-3, patience=None)


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    return low_rank(120, 100, rank=2, density=0.3, noise=0.1, seed=1)


def scores_of(model, ratings: Ratings) -> np.ndarray:
    """(n_users, n_items) of all users, as training knows them."""
    return model.score(UserBatch(np.arange(ratings.n_users), ratings.matrix))


def rows_of(config: c.AutoRecConfig, ratings: Ratings) -> tuple[Biases, Ratings]:
    """What the network reads, a row for each user or item."""
    biases = Biases.of_mean(ratings) if config.debias is None else Biases.solve(ratings, config.debias)
    rows = biases.removed_from(ratings)
    return biases, rows.transposed() if isinstance(config, c.ItemAutoRecConfig) else rows


def stacked(kind, *, hidden=(16, 8, 4), epochs=2, **changes) -> c.AutoRecConfig:
    """A mirrored network whose layers are pretrained for `epochs` epochs each, and which trains for 3."""
    settings = {"decoder": "mirror", "pretraining": c.PretrainingConfig(epochs=epochs), "l2": 1.0,
                "corruption": c.MaskingConfig(probability=0.2), "training": FEW}  # fmt: skip
    return kind(**{"hidden": hidden, **settings, **changes})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("decoder", "widths"), [([], ()), ("mirror", (12,)), ([12], (12,)), ([5, 9], (5, 9))]
)
def test_the_decoder_is_as_the_setting_says(kind, decoder, widths, ratings):
    config = kind(hidden=[12, 7], decoder=decoder)
    rows = rows_of(config, ratings)[1]
    plan = start_network(config, rows, seed=0).architecture
    assert (plan.encoder, plan.decoder) == ((12, 7), widths)
    assert config.mirrored == (widths == (12,))


def test_layers_of_the_decoder_are_as_narrow_as_the_ratings_ask_for():
    matrix = csr_array(
        (np.arange(400.0, dtype=np.float32), np.arange(400), np.arange(0, 401, 40)), shape=(10, 400)
    )
    thin = Ratings(matrix, IdMap(np.arange(10)), IdMap(np.arange(400)))
    config = c.UserAutoRecConfig(hidden=(150, 60), decoder=(30, 500), training=c.TrainingConfig(epochs=1))
    plan = fit(config, thin).network.architecture
    assert (plan.encoder, plan.decoder) == ((100, 60), (30, 100))
    mirrored = fit(config.model_copy(update={"decoder": "mirror", "tied": True}), thin).network.architecture
    assert (mirrored.encoder, mirrored.decoder) == ((100, 60), (100,))


@pytest.mark.parametrize("kind", KINDS)
def test_pretrained_layers_begin_at_a_lower_loss_than_random_ones(kind, ratings):
    """Three layers, the same seed; the first epoch of the whole network, before and during its steps."""
    training = FEW.model_copy(update={"learning_rate": 1e-2})
    config = stacked(kind, epochs=12, training=training)
    alone = train(config.model_copy(update={"pretraining": None, "corruption": None}), ratings).epochs
    after = train(config, ratings).epochs[36:]
    assert [epoch.number for epoch in after] == [37, 38, 39]
    assert after[0].terms["reconstruction"] < 0.9 * alone[0].terms["reconstruction"]
    assert after[2].terms["reconstruction"] < 0.9 * alone[2].terms["reconstruction"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [False, True])
def test_the_curve_shows_the_phases_and_each_layer_learns(kind, tied, ratings):
    epochs = train(stacked(kind, epochs=5, tied=tied), ratings).epochs
    names = ["pretraining layer 1"] * 5 + ["pretraining layer 2"] * 5 + ["pretraining layer 3"] * 5
    for epoch, name in zip(epochs, [*names, *["reconstruction"] * 3], strict=True):
        assert set(epoch.terms) == {name} | ({"l2"} if name.endswith(("1", "reconstruction")) else set())
        assert epoch.total == pytest.approx(sum(epoch.terms.values()))
    for name in sorted(set(names)):
        curve = [epoch.terms[name] for epoch in epochs if name in epoch.terms]
        assert curve[-1] < 0.95 * curve[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [False, True])
def test_pretraining_is_the_plain_loop_over_layers_and_then_over_the_whole(kind, tied, ratings):
    """Inputs are masked while layers are pretrained and not later, hidden units dropped later and not while;
    each phase has streams of its own; losses are over dense rows here, gradients torch's."""
    config = stacked(kind, hidden=(9, 5), tied=tied, hidden_dropout=0.3, anchored=False, debias=None, l2=40.0,
                     corruption=c.MaskingConfig(probability=0.4))  # fmt: skip
    biases, rows = rows_of(config, ratings)
    network, noise, read = start_network(config, rows, seed=3), torch.Generator(), rows.matrix
    first, last = network.encoder.first, network.decoder.last
    inward, outward = network.encoder.rest.layers[0], network.decoder.hidden.layers[0]
    sizes = np.diff(read.indptr)
    size = min(32, -(-int((sizes > 0).sum()) // 8))

    def decay(*layers) -> torch.Tensor:
        weights = {id(p): p for layer in layers for p in layer.parameters() if p.dim() == 2}
        return 40.0 / 2 / rows.n_observed * sum(weight.square().sum() for weight in weights.values())

    def outer_loss(chosen) -> torch.Tensor:
        code = torch.sigmoid(first(mask(RowBatch.of(read[chosen]), noise, probability=0.4)))
        return masked(code @ last.matrix.T + last.bias, chosen) + decay(first, last)

    def inner_loss(chosen) -> torch.Tensor:
        codes = torch.sigmoid(first(RowBatch.of(read[chosen]))).detach()
        kept = torch.rand(codes.numel(), generator=noise).view_as(codes) >= 0.4
        outputs = torch.sigmoid(outward(torch.sigmoid(inward(codes * kept / 0.6))))
        return (outputs - codes).square().mean() / codes.var(correction=0)

    def whole_loss(chosen) -> torch.Tensor:
        hidden = torch.sigmoid(first(RowBatch.of(read[chosen])))
        for layer in (inward, outward):
            hidden = torch.sigmoid(layer(dropped(hidden, probability=0.3, generator=noise)))
        hidden = dropped(hidden, probability=0.3, generator=noise)
        return masked(hidden @ last.matrix.T + last.bias, chosen) + decay(network)

    def masked(outputs: torch.Tensor, chosen) -> torch.Tensor:
        observed = torch.zeros(outputs.shape, dtype=torch.bool)
        observed[np.repeat(np.arange(len(chosen)), sizes[chosen]), read[chosen].indices] = True
        return (outputs - torch.from_numpy(read[chosen].toarray()))[observed].square().mean()

    of_layers = [derived_seed(3, "pretraining", number) for number in (1, 2)]
    for seed, n_epochs, parts, loss in (
        (of_layers[0], 2, (first, last), outer_loss),
        (of_layers[1], 2, (inward, outward), inner_loss),
        (3, 3, (network,), whole_loss),
    ):
        optimizer = torch.optim.Adam([p for part in parts for p in part.parameters()], lr=5e-3)
        for epoch in range(1, n_epochs + 1):
            noise.manual_seed(torch_seed(seed, "corruption", epoch))
            for chosen in shuffled_batches(sizes, size=size, seed=seed, epoch=epoch):
                optimizer.zero_grad()
                loss(chosen).backward()
                optimizer.step()
    with torch.no_grad():
        expected = biases.mean + biases.deviation * network(RowBatch.of(read)).dense().numpy()
    expected = expected.T if kind is c.ItemAutoRecConfig else expected
    scores = scores_of(fit(config, ratings, seed=3), ratings)
    np.testing.assert_allclose(scores, expected, atol=1e-3)
    assert np.abs(scores_of(fit(config, ratings, seed=4), ratings) - expected).max() > 0.02


@pytest.mark.parametrize("tied", [False, True])
def test_a_tied_network_has_half_of_the_weights_in_memory_and_in_storage(tied, ratings):
    config = c.UserAutoRecConfig(hidden=(16, 8), decoder="mirror", tied=tied, training=FEW)
    stored = state_of(fit(config, ratings)).arrays
    cells = sum(
        array.size for name, array in stored.items() if name.startswith("network/") and array.ndim == 2
    )
    assert cells == (1 if tied else 2) * (100 * 16 + 16 * 8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tied_network_begins_near_the_bias_model(kind, ratings):
    config = kind(hidden=(16,), tied=True, training=c.TrainingConfig(epochs=0))
    untrained, biases = fit(config, ratings), fit(config.debias, ratings)
    far = np.abs(scores_of(untrained, ratings) - scores_of(biases, ratings))
    assert 0 < far.max() < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_tied_networks_learn(kind, ratings):
    training = c.TrainingConfig(epochs=30, batch_size=32, learning_rate=1e-2)
    for hidden in ((12,), (24, 12)):
        config = kind(hidden=hidden, decoder="mirror", tied=True, l2=1.0, corruption=None, training=training)
        found = [epoch.terms["reconstruction"] for epoch in train(config, ratings).epochs]
        assert found[-1] < 0.6 * found[0]


@pytest.mark.parametrize("stopped_in", [1, 3, 4, 6, 7])
@pytest.mark.parametrize("validated", [False, True])
def test_a_training_stopped_in_any_phase_ends_at_the_same_model(stopped_in, validated, ratings, tmp_path):
    def press_ctrl_c(epoch):
        if epoch.number == stopped_in:
            signal.raise_signal(signal.SIGINT)

    config = stacked(c.UserAutoRecConfig, tied=validated, hidden_dropout=0.2)
    judge = Scoring(lambda model: float(scores_of(model, ratings).std())) if validated else None
    whole = train(config, ratings, seed=2, validator=judge)
    stopped = train(config, ratings, seed=2, validator=judge, checkpoints=tmp_path, on_epoch=press_ctrl_c)
    assert stopped.interrupted
    assert np.isfinite(scores_of(stopped.model, ratings)).all()
    resumed = train(config, ratings, seed=2, validator=judge, checkpoints=tmp_path, resume=True)
    assert resumed.best_epoch == whole.best_epoch
    assert [epoch.terms for epoch in resumed.epochs] == [epoch.terms for epoch in whole.epochs]
    np.testing.assert_array_equal(scores_of(resumed.model, ratings), scores_of(whole.model, ratings))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("schedule", [c.ConstantSchedule(), c.CosineSchedule(final_share=0.1)])
def test_a_refit_repeats_the_training_up_to_the_epoch_that_was_kept(kind, schedule, ratings):
    """Epochs of layers are epochs like any other: 6 of them come first."""
    training = FEW.model_copy(update={"schedule": schedule})
    config = stacked(kind, training=training)
    assert config.max_epochs == 9
    candidates = []

    def keep(model) -> float:
        candidates.append(scores_of(model, ratings))
        return 0.0

    numbers = [
        epoch.number
        for epoch in train(config, ratings, validator=Scoring(keep)).epochs
        if epoch.score is not None
    ]
    assert numbers == [0, 7, 8, 9]
    for number, scores in zip(numbers, candidates, strict=True):
        cut = c.with_epochs(config, number)
        assert cut.max_epochs == number
        np.testing.assert_array_equal(scores_of(fit(cut, ratings), ratings), scores)
    short = c.with_epochs(config, 1)
    assert (short.pretraining.epochs, short.training.epochs) == (1, 0)
    assert train(short, ratings).epochs[-1].number == short.max_epochs == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"hidden": (9, 4), "tied": True}, ("tied", "decoder", "hidden")),
        ({"hidden": (9, 4), "tied": True, "decoder": (8,)}, ("tied", "decoder", "hidden")),
        ({"hidden": (9, 4), "pretraining": {}}, ("pretraining", "decoder", "hidden")),
        ({"hidden": (9, 4), "pretraining": {}, "decoder": (9, 4)}, ("pretraining", "decoder", "hidden")),
        ({"hidden": (9,), "pretraining": {}}, ("pretraining", "hidden")),
    ],
)
def test_what_does_not_go_together_is_refused(kind, settings, names):
    with pytest.raises(ValidationError) as refused:
        kind(**settings)
    (error,) = refused.value.errors()
    assert all(name in error["msg"] for name in names)
    assert "; set" in error["msg"] or "; give" in error["msg"]


@pytest.mark.parametrize(
    "decoder", ["miror", 3, [0], [3, "a"], None, [True], [2.0], [c.MOST_WIDTH + 1], [1] * 21, {"a": 1}]
)
def test_what_is_no_decoder_is_one_sentence(decoder):
    with pytest.raises(ConfigError, match="decoder must be mirror or a list of at most 20 widths") as refused:
        default_experiment("good.csv", "i-autorec", [f"decoder={json.dumps(decoder)}"])
    assert "mistakes" not in str(refused.value)


def test_a_decoder_written_out_may_be_a_mirror():
    for settings in (
        {"hidden": (9, 4, 3), "decoder": (4, 9)},
        {"hidden": (9,)},
        {"hidden": (9,), "decoder": "mirror"},
    ):
        assert c.UserAutoRecConfig(tied=True, **settings).mirrored


def copied(ratings: Ratings, caplog, **settings) -> bool:
    """Whether training warns that the network can copy its rows."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        fit(c.UserAutoRecConfig(training=c.TrainingConfig(epochs=0), **settings), ratings)
    said = [record.getMessage() for record in caplog.records if "overcomplete" in record.getMessage()]
    assert len(said) <= 1
    return bool(said)


def test_an_overcomplete_code_that_nothing_keeps_from_copying_is_named(caplog):
    """Counted are columns with ratings, and the narrowest layer; hidden inputs cannot be copied."""
    made = grid().keep(grid().columns % 4 > 0)
    known = len(np.unique(made.columns))
    assert known < made.n_items  # some columns have none
    assert copied(made, caplog, hidden=(known,), corruption=None)
    assert copied(made, caplog, hidden=(known,), corruption=None, l2=0.0)
    assert str(known) in caplog.text
    assert copied(made, caplog, hidden=(known,), corruption=c.MaskingConfig(probability=0.0))
    assert not copied(made, caplog, hidden=(known - 1,), corruption=None)
    assert not copied(made, caplog, hidden=(known,))
    assert copied(made, caplog, hidden=(known, known), decoder=(known,), corruption=None)
    assert not copied(made, caplog, hidden=(known, 2), decoder=(known,), corruption=None)
    assert not copied(made, caplog, hidden=(2, known), corruption=None)
    stacked = {"hidden": (known, known), "decoder": "mirror", "pretraining": c.PretrainingConfig(epochs=1)}
    assert copied(made, caplog, **stacked)  # what follows pretraining reads whole inputs
    assert not copied(made, caplog, hidden=(known,), corruption=None, penalty={"kind": "l1"})
