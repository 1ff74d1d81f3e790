"""What a config says of its model is so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import pytest
import torch
from synthetic import low_rank
from toys import Scoring, fit

from recsys_ae.errors import ConfigError, DivergenceError
from recsys_ae.models import configs as c
from recsys_ae.models.parts import make_schedule
from recsys_ae.recommender import Recommender

MEMBERS = get_args(get_args(c.ModelConfig)[0])


@dataclass
class Judge:
    """A validation that counts how often it is asked."""

    asked: list[Recommender] = field(default_factory=list)

    def __call__(self, candidate: Recommender) -> float:
        self.asked.append(candidate)
        return 0.0


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.model_fields["kind"].default)
def test_what_is_stated_before_fitting_is_so_afterwards(member):
    ratings = low_rank(40, 30, rank=2, density=0.4, noise=0.1, seed=1)
    judge, epochs, config = Judge(), [], member()
    model = fit(config, ratings, validator=Scoring(judge), on_epoch=epochs.append)
    assert isinstance(member.predicts_ratings, bool)
    assert model.predicts_ratings == member.predicts_ratings
    assert model.ranks == member.ranks
    assert bool(judge.asked) == member.trains_in_epochs
    assert bool(epochs) == (config.max_epochs is not None)
    assert not epochs or np.max([epoch.number for epoch in epochs]) <= config.max_epochs


@pytest.mark.parametrize(
    "schedule", [c.ConstantSchedule(), c.CosineSchedule(final_share=0.1), c.StepSchedule()]
)
def test_a_shorter_training_keeps_its_learning_rates(schedule):
    """As those of the first epochs of the longer one; a second cut changes them no more than the first."""
    whole = c.ItemAutoRecConfig(training={"epochs": 30, "schedule": schedule})
    rates = [make_schedule(schedule, epochs=30)(epoch) for epoch in range(1, 31)]
    for cut in (c.with_epochs(whole, 9), c.with_epochs(c.with_epochs(whole, 20), 9)):
        assert (cut.max_epochs, cut.training.epochs) == (9, 9)
        found = make_schedule(cut.training.schedule, epochs=cut.training.epochs)
        assert [found(epoch) for epoch in range(1, 10)] == rates[:9]
    longer = c.with_epochs(whole, 40)
    found = make_schedule(longer.training.schedule, epochs=40)
    if schedule.kind == "cosine":
        assert [found(epoch) for epoch in (30, 31, 40)] == pytest.approx([0.1] * 3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.model_fields["kind"].default)
def test_only_models_that_fit_on_a_gpu_heed_the_device(member):
    ratings = low_rank(20, 15, rank=2, density=0.4, noise=0.1, seed=1)
    if member.fits_on_gpu:
        with pytest.raises(ConfigError, match="torch sees no GPU"):
            fit(member(), ratings, device="cuda")
    else:
        fit(member(), ratings, device="cuda")


@pytest.mark.parametrize("member", [c.ItemAutoRecConfig, c.UserAutoRecConfig])
def test_divergence_in_the_very_last_step_is_noticed(member):
    """The only step there is: its loss, known before the update, is fine."""
    training = c.TrainingConfig(epochs=1, min_steps=1, optimizer="rmsprop", learning_rate=1e38)
    with pytest.raises(DivergenceError, match="not finite: try a learning rate"):
        fit(member(training=training), low_rank(20, 15, rank=2, density=0.4, noise=0.1, seed=1))
