"""Several trainings, one after the other, as one."""

from __future__ import annotations

import signal

import numpy as np
import pytest
from toys import Scoring

from recsys_ae.training.layerwise import LayerwiseTrainee, Phase
from recsys_ae.training.loop import next_number
from recsys_ae.training.runner import Context, EpochRules, TrainingOptions, run_training
from recsys_ae.types import Epoch

LENGTHS = (3, 2, 6)


class Part:
    """Adds to a shared array, by steps that depend on the number of its epoch and on what it remembers."""

    def __init__(self, shared: np.ndarray, place: int, n_epochs: int) -> None:
        self.shared, self.place, self.n_epochs = shared, place, n_epochs
        self.memory = np.zeros(1)
        self.heard: list[int] = []

    def epochs(self, done):
        assert [epoch.number for epoch in done] == list(range(1, len(done) + 1))
        for number in range(next_number(done), self.n_epochs + 1):
            self.heard.append(number)
            self.memory += 1 + 0.25 * self.memory + self.place
            self.shared[self.place % 2] += self.memory[0] / number
            yield Epoch(number, {"reconstruction": 1.0 / number, "l2": 0.5}, 1.5, 0.0, 1)

    def parameters(self):
        return {"shared": self.shared}

    def progress(self):
        return {"memory": self.memory}

    def restore(self, parameters, progress=None):
        self.shared[:] = parameters["shared"]
        if progress is not None:
            self.memory[:] = progress["memory"]

    def candidate(self):
        return self.shared.tolist()


def make() -> LayerwiseTrainee:
    shared = np.zeros(2)
    names = ("layer 1", "layer 2", "reconstruction")
    parts = [Part(shared, place, n) for place, n in enumerate(LENGTHS)]
    return LayerwiseTrainee([Phase(p, p.n_epochs, name) for p, name in zip(parts, names, strict=True)])


def run(*, score=None, patience=None, every=1, **context):
    judge = None if score is None else Scoring(score)
    options = TrainingOptions(validator=judge, context=Context(**context), key="key")
    return run_training(make(), EpochRules(11, patience, every, pretraining=5), options)


def test_phases_follow_each_other_in_one_numbering_each_under_its_name():
    trainee = make()
    epochs = list(trainee.epochs(()))
    assert [epoch.number for epoch in epochs] == list(range(1, 12))
    names = ["layer 1"] * 3 + ["layer 2"] * 2 + ["reconstruction"] * 6
    assert [list(epoch.terms) for epoch in epochs] == [[name, "l2"] for name in names]
    assert [epoch.terms[name] for epoch, name in zip(epochs, names, strict=True)] == [
        *(1, 1 / 2, 1 / 3), *(1, 1 / 2), *(1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6),
    ]  # fmt: skip
    assert [phase.trainee.heard for phase in trainee.phases] == [[1, 2, 3], [1, 2], [1, 2, 3, 4, 5, 6]]


@pytest.mark.parametrize("stopped_in", range(1, 11))
@pytest.mark.parametrize("score", [None, sum], ids=["last", "best"])
def test_a_training_stopped_in_any_phase_ends_where_a_whole_one_does(tmp_path, stopped_in, score):
    def press_ctrl_c(epoch):
        if epoch.number == stopped_in:
            signal.raise_signal(signal.SIGINT)

    whole = run(score=score)
    stopped = run(score=score, checkpoints=tmp_path, on_epoch=press_ctrl_c)
    assert stopped.epochs[-1].number == stopped_in
    resumed = run(score=score, checkpoints=tmp_path, resume=True)
    assert (resumed.model, resumed.epochs, resumed.best_epoch) == (
        whole.model,
        whole.epochs,
        whole.best_epoch,
    )


def test_what_is_validated_is_the_whole_before_and_after_pretraining():
    told = run(score=sum, every=4)
    assert [epoch.number for epoch in told.epochs if epoch.score is not None] == [0, 9, 11]
    every = run(score=sum)
    assert [epoch.number for epoch in every.epochs if epoch.score is not None] == [0, 6, 7, 8, 9, 10, 11]


def test_patience_begins_after_pretraining():
    """Whichever epoch is the best so far: here that before all training."""
    trained = run(score=lambda value: -sum(value), patience=3)
    assert (trained.best_epoch, trained.epochs[-1].number) == (0, 8)
    assert trained.model == [0.0, 0.0]


def test_a_last_phase_without_epochs_leaves_what_was_before():
    shared = np.zeros(2)
    first, last = Part(shared, 0, 3), Part(shared, 1, 0)
    trainee = LayerwiseTrainee([Phase(first, 3, "layer 1"), Phase(last, 0)])
    options = TrainingOptions(validator=Scoring(sum))
    trained = run_training(trainee, EpochRules(3, 2, pretraining=3), options)
    assert ([epoch.number for epoch in trained.epochs], trained.best_epoch) == ([0, 1, 2, 3], 0)
