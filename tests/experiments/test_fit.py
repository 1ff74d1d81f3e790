"""A refit is the plain fit that it is said to be, and nothing of a stopped one is lost."""

from __future__ import annotations

import signal
from dataclasses import replace

import numpy as np
import pytest
from synthetic import low_rank

from recsys_ae.experiments.fit import Fit, fit_split
from recsys_ae.models import configs as c
from recsys_ae.models.codec import state_of
from recsys_ae.recommender import Recommender
from recsys_ae.settings.configs import ValidationConfig
from recsys_ae.splitting.configs import AllSplitConfig, RandomSplitConfig
from recsys_ae.splitting.make import make_split, validation_split
from recsys_ae.training.runner import Context, ignore
from recsys_ae.types import Epoch

REFIT = ValidationConfig(share=0.2, refit=True)
SPLIT = make_split(RandomSplitConfig(), low_rank(80, 40, density=0.5, noise=0.5, seed=4), 1)
FAST = {"epochs": 12, "batch_size": 16, "learning_rate": 0.01, "patience": 2}
MODELS = {
    "u-autorec": c.UserAutoRecConfig(hidden=(6,), anchored=False, l2=0.1, training=FAST),
    "cosine": c.UserAutoRecConfig(
        hidden=(6,),
        anchored=False,
        l2=0.1,
        training=FAST | {"schedule": {"kind": "cosine"}, "learning_rate": 0.03},
    ),
    "biased-mf": c.BiasedMFConfig(factors=6, l2=0.05, iterations=9),
}


def fitted(model: c.ModelConfig, split=SPLIT, validation=REFIT, **context) -> Fit:
    running = Context(device="cpu", **context)
    return fit_split(model, split, validation=validation, seed=1, context=running)


def assert_same(first: Recommender, second: Recommender) -> None:
    one, two = state_of(first), state_of(second)
    assert one.arrays.keys() == two.arrays.keys()
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, two.arrays[name], err_msg=name)


@pytest.mark.parametrize("kind", ["u-autorec", "biased-mf"])
def test_refit_is_a_plain_fit_to_the_whole_training_part(kind):
    """As README tells people to do by hand: all ratings, the chosen number of epochs, no validation."""
    found = fitted(MODELS[kind])
    best = found.trained.best_epoch
    assert 0 < best < MODELS[kind].max_epochs  # so that the number of epochs is a choice
    by_hand = fitted(c.with_epochs(MODELS[kind], best), validation=None)
    assert_same(found.model, by_hand.model)
    assert found.is_refitted
    assert found.train is SPLIT.train
    assert len(found.refit.epochs) == best


def test_learning_rates_of_a_refit_are_those_of_the_first_fit():
    """Half a cosine that were squeezed into fewer epochs would be another training."""
    config, best = MODELS["cosine"], 5
    early = fitted(config, validation=ValidationConfig(share=0.2))
    first = replace(early, trained=replace(early.trained, best_epoch=best))
    found = fit_split(config, SPLIT, validation=REFIT, seed=1, context=Context(device="cpu"), first=first)
    rates: list[float] = []

    class Stop(Exception):
        pass

    def stop(epoch: Epoch) -> None:
        rates.append(epoch.total)
        if epoch.number == best:
            raise Stop

    with pytest.raises(Stop):
        fitted(
            config, validation=None, on_epoch=stop
        )  # all 12 epochs of the schedule, of which `best` happen
    assert rates == [epoch.total for epoch in found.refit.epochs]


def test_what_was_there_before_the_refit_is_the_early_stopped_model():
    config = MODELS["u-autorec"]
    found, early = fitted(config), fitted(config, validation=ValidationConfig(share=0.2))
    assert_same(found.trained.model, early.model)
    assert not early.is_refitted
    assert found.score == early.score == min(epoch.score for epoch in early.trained.epochs)
    assert early.train.fingerprint() == validation_split(SPLIT, share=0.2).train.fingerprint()
    changed = [
        not np.array_equal(array, state_of(early.model).arrays[name])
        for name, array in state_of(found.model).arrays.items()
    ]
    assert any(changed)


def test_refit_of_epoch_0_is_the_bias_model_of_all_training_ratings():
    """Where no epoch was better than the biases, they are what is fitted anew."""
    config = c.ItemAutoRecConfig(hidden=(6,), training=FAST | {"learning_rate": 5.0})
    found, biases = fitted(config), fitted(config.debias)
    assert (found.trained.best_epoch, found.refit.epochs, found.is_refitted) == (0, (), True)
    batch = SPLIT.histories().batch(np.arange(SPLIT.train.n_users))
    np.testing.assert_allclose(found.model.score(batch), biases.model.score(batch), atol=1e-5)
    assert np.abs(found.trained.model.score(batch) - biases.model.score(batch)).max() > 0.01


def test_cost_is_that_of_both_fits():
    found = fitted(MODELS["u-autorec"])
    first = sum(epoch.seconds for epoch in found.trained.epochs)
    second = sum(epoch.seconds for epoch in found.refit.epochs)
    assert found.seconds > first + second
    early = replace(found, refit=None)
    assert found.trial({}).score == early.trial({}).score == found.score


def test_model_without_epochs_has_nothing_to_refit():
    found = fitted(c.BiasesConfig())
    assert (found.refit, found.metric, found.score) == (None, None, None)
    assert found.train is SPLIT.train


def test_one_command_makes_the_model_for_production():
    """Nothing held out but validation ratings, which the refit has back."""
    split = make_split(AllSplitConfig(), SPLIT.train, 0)
    found = fitted(MODELS["biased-mf"], split)
    assert found.train.n_observed == SPLIT.train.n_observed
    assert found.score is not None


@pytest.mark.parametrize(
    ("patience", "expected"),
    [(2, False), (None, True)],
)
def test_the_last_allowed_epoch_is_told_from_the_end_of_patience(patience, expected):
    training = FAST | {"patience": patience}
    found = fitted(c.UserAutoRecConfig(hidden=(6,), anchored=False, l2=0.1, training=training))
    assert found.at_last_epoch == expected
    assert (found.epochs_run == 12) == expected
    assert not fitted(c.UserAutoRecConfig(hidden=(6,), training=training), validation=None).at_last_epoch


@pytest.mark.parametrize("epochs", [0, 1])
def test_as_few_epochs_as_there_are_can_be_asked_for(epochs):
    for config in MODELS.values():
        found = fitted(c.with_epochs(config, epochs), validation=None)
        assert len(found.trained.epochs) == epochs
        assert all(np.isfinite(array).all() for array in state_of(found.model).arrays.values())


class Watch:
    """Counts epochs, over both fits, and presses Ctrl-C in the one asked for."""

    def __init__(self, stop_at: int | None = None):
        self.stop_at, self.numbers = stop_at, []

    def __call__(self, epoch: Epoch) -> None:
        self.numbers.append(epoch.number)
        if len(self.numbers) == self.stop_at:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("where", ["first", "refit", "last"])
def test_stopped_training_goes_on_to_the_same_result(kind, where, tmp_path, caplog):
    """Where the refit is stopped, the model that chose the epoch is what there is."""
    config = MODELS[kind]
    whole, states = fitted(config), tmp_path / "states"
    n_first, n_second = len(whole.trained.epochs), len(whole.refit.epochs)
    stop_at = {"first": 2, "refit": n_first + 1, "last": n_first + n_second}[where]
    stopped = fitted(config, checkpoints=states, on_epoch=Watch(stop_at))
    assert (stopped.interrupted, stopped.resumable, stopped.is_refitted) == (True, True, False)
    assert stopped.train.n_observed < SPLIT.train.n_observed
    if where != "first":
        assert_same(stopped.model, whole.trained.model)
    stopped.forget()  # keeps what is not done

    watch = Watch()
    resumed = fitted(config, checkpoints=states, resume=True, on_epoch=watch)
    assert "training starts anew" not in caplog.text
    assert not resumed.interrupted
    assert_same(resumed.model, whole.model)
    assert_same(resumed.trained.model, whole.trained.model)
    assert resumed.score == whole.score
    assert watch.numbers == [epoch.number for epoch in (*whole.trained.epochs, *whole.refit.epochs)]
    resumed.forget()
    assert not states.exists()


def test_resumed_first_fit_costs_no_time_again(tmp_path):
    """Its epochs are told from the state that it left, with the times of then."""
    config = MODELS["u-autorec"]
    n_first = len(fitted(config).trained.epochs)
    seconds: list[float] = []
    stopped = fitted(config, checkpoints=tmp_path / "states", on_epoch=Watch(n_first + 1))
    fitted(config, checkpoints=tmp_path / "states", resume=True,
           on_epoch=lambda epoch: seconds.append(epoch.seconds))  # fmt: skip
    assert seconds[:n_first] == [epoch.seconds for epoch in stopped.trained.epochs]


def test_state_at_the_end_is_kept_for_a_refit_alone(tmp_path):
    for validation, expected in ((ValidationConfig(), 0), (None, 0), (REFIT, 1)):
        states = tmp_path / str(expected)
        fitted(MODELS["biased-mf"], validation=validation, checkpoints=states, on_epoch=ignore)
        assert len(list(states.iterdir()) if states.exists() else []) == expected


def test_stopped_first_fit_is_not_refitted():
    stopped = fitted(MODELS["u-autorec"], on_epoch=Watch(2))
    assert stopped.refit is None
    assert stopped.interrupted
    assert not stopped.resumable  # no folder was given
