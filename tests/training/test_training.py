"""The loop, its batches, stopping and checkpoints: no word of recommendation."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import Scoring

from recsys_ae.errors import DivergenceError, StorageError
from recsys_ae.training import checkpoints
from recsys_ae.training.gradient import (
    AutogradStep,
    GradientTrainee,
    constant,
    cosine,
    make_optimizer,
    step_decay,
)
from recsys_ae.training.interrupts import Terminated, deferred_interrupt, terminated
from recsys_ae.training.loop import next_number, shuffled_batches, train_epochs
from recsys_ae.training.runner import Context, EpochRules, TrainingOptions, run_training
from recsys_ae.types import Epoch, Mean


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(1, 8), st.integers(1, 3))
def test_batches_hold_each_row_with_entries_once_and_drop_none(sizes, size, epoch):
    batches = list(shuffled_batches(np.array(sizes, dtype=int), size=size, seed=5, epoch=epoch))
    rows = [row for batch in batches for row in batch]
    assert sorted(rows) == [row for row, n in enumerate(sizes) if n > 0]
    assert all(len(batch) == size for batch in batches[:-1])


def test_batches_differ_between_epochs_and_repeat_with_the_seed():
    def order(seed, epoch):
        return np.concatenate(list(shuffled_batches(np.ones(50), size=8, seed=seed, epoch=epoch))).tolist()

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_epoch_means_are_of_entries_not_of_batches():
    batches = [[1.0, 1.0, 1.0], [5.0]]
    (epoch,) = train_epochs(
        lambda b, step, epoch: {"loss": Mean(sum(b), len(b))}, lambda n: batches, max_epochs=1
    )
    assert epoch.terms == {"loss": 2.0}
    assert epoch.total == 2.0
    assert epoch.n_steps == 2


def test_divergence_says_where_and_what_to_try():
    epochs = train_epochs(
        lambda b, step, epoch: {"loss": Mean(b / epoch, 1)}, lambda n: [1.0, float("nan")], max_epochs=2
    )
    with pytest.raises(DivergenceError, match=r"loss .* epoch 1, step 2: try a learning rate"):
        list(epochs)


def test_the_loop_passes_epoch_and_step_on_and_counts_on_where_it_was_resumed():
    heard = []

    def step(batch, *, step, epoch):
        heard.append((step, epoch))
        return {"loss": Mean(1.0, 1)}

    done = list(train_epochs(step, lambda n: "ab"[:n], max_epochs=2))
    assert heard == [(0, 1), (1, 2), (2, 2)]
    list(train_epochs(step, lambda n: "ab", max_epochs=3, done=done))
    assert heard[3:] == [(3, 3), (4, 3)]


def test_schedules():
    assert [step_decay(e, every=2, factor=0.5) for e in range(1, 6)] == [1, 1, 0.5, 0.5, 0.25]
    assert cosine(1, epochs=11, final_share=0.1) == pytest.approx(1.0)
    assert cosine(6, epochs=11, final_share=0.1) == pytest.approx(0.55)
    assert cosine(11, epochs=11, final_share=0.1) == pytest.approx(0.1)
    assert cosine(1, epochs=1, final_share=0.1) == 1.0


class Counting:
    """The simplest thing that trains: a number that grows by one, and remembers what it was before."""

    def __init__(self) -> None:
        self.value, self.before = np.zeros(1), np.zeros(1)

    def epochs(self, done):
        for number in range(next_number(done), 11):
            self.before[:] = self.value
            self.value += 1 + 0.5 * self.before
            yield Epoch(number, {"loss": 1.0}, 1.0, 0.0, 1)

    def parameters(self):
        return {"value": self.value}

    def progress(self):
        return {"before": self.before}

    def restore(self, parameters, progress=None):
        self.value[:] = parameters["value"]
        if progress is not None:
            self.before[:] = progress["before"]

    def candidate(self):
        return float(self.value[0])


class Still(Counting):
    """One that has no epochs."""

    def epochs(self, done):
        return iter(())


VALUES = [1.0, 2.5, 4.75, 8.125]  # of the first epochs of `Counting`


def run(scores=None, *, higher=True, patience=None, every=1, key="key", **context):
    """Train a `Counting` whose epochs have these scores."""
    options = TrainingOptions(
        validator=None if scores is None else Scoring(lambda value: scores[value], higher),
        context=Context(**context),
        key=key,
    )
    return run_training(Counting(), EpochRules(10, patience, every), options)


def by_epoch(*scores, before=float("-inf")):
    """Value of the candidate after each epoch, and before all of them, -> its score."""
    counting, found = Counting(), {0.0: before}
    for _, score in zip(counting.epochs([]), scores, strict=False):
        found[counting.candidate()] = score
    return found


@pytest.mark.parametrize("higher", [True, False])
def test_the_first_of_the_best_epochs_is_kept(higher):
    sign = 1 if higher else -1
    scores = [sign * score for score in (0.1, 0.5, 0.4, 0.5, 0.3, 0.5, 0.0, 0.0, 0.0, 0.0)]
    trained = run(by_epoch(*scores, before=sign * -9.0), higher=higher)
    assert (trained.best_epoch, trained.model) == (2, VALUES[1])
    assert [epoch.score for epoch in trained.epochs] == [sign * -9.0, *scores]
    assert not trained.interrupted


def test_what_training_makes_no_better_is_kept_as_it_was():
    """As epoch 0, which has neither terms nor steps, and from which patience counts."""
    told = []
    trained = run(by_epoch(0.1, 0.2, 0.3, before=0.4), patience=3, on_epoch=told.append)
    assert (trained.best_epoch, trained.model) == (0, 0.0)
    assert trained.epochs[0] == Epoch(0, {}, None, 0.0, 0, score=0.4)
    assert [epoch.number for epoch in trained.epochs] == [0, 1, 2, 3]
    assert tuple(told) == trained.epochs


def test_no_epochs_at_all_are_epoch_0():
    for options in (TrainingOptions(), TrainingOptions(validator=Scoring(lambda value: 1.0))):
        trained = run_training(Still(), EpochRules(0), options)
        assert (trained.best_epoch, trained.model) == (0, 0.0)


def test_patience_ends_training_so_many_epochs_after_the_best():
    trained = run(by_epoch(0.1, 0.5, 0.4, 0.5, 0.9), patience=2)
    assert [epoch.number for epoch in trained.epochs] == [0, 1, 2, 3, 4]
    assert trained.best_epoch == 2


def test_without_scores_training_never_stops_early_and_keeps_the_last_epoch():
    trained = run(patience=2)
    assert len(trained.epochs) == trained.best_epoch == 10
    assert all(epoch.score is None for epoch in trained.epochs)


def test_an_undefined_score_is_never_the_best():
    trained = run(by_epoch(float("nan"), 0.2, float("nan"), *[0.1] * 7))
    assert (trained.best_epoch, trained.model) == (2, VALUES[1])


def test_validation_happens_at_the_interval_and_after_the_last_epoch():
    trained = run(dict.fromkeys(by_epoch(*range(10)), 1.0), every=4)
    assert [epoch.number for epoch in trained.epochs if epoch.score is not None] == [0, 4, 8, 10]


def press_ctrl_c_in(number, heard=None):
    def hear(epoch):
        if heard is not None:
            heard.append(epoch)
        if epoch.number == number:
            signal.raise_signal(signal.SIGINT)

    return hear


SCORES = (0.1, 0.9, 0.3, 0.2, 0.1, 0.0, 0.95, 0.1, 0.0, 0.0)


@pytest.mark.parametrize("stopped_in", [1, 3, 8])
def test_a_stopped_training_ends_where_a_whole_one_does(tmp_path, stopped_in):
    scores, curve = by_epoch(*SCORES), []
    stopped = run(scores, checkpoints=tmp_path, on_epoch=press_ctrl_c_in(stopped_in))
    assert stopped.interrupted
    assert stopped.epochs[-1].number == stopped_in
    stopped.forget()
    assert [path.name for path in tmp_path.iterdir()] == ["key"]  # what can be continued stays
    resumed, whole = run(scores, checkpoints=tmp_path, resume=True, on_epoch=curve.append), run(scores)
    assert (resumed.model, resumed.best_epoch, resumed.epochs) == (
        whole.model,
        whole.best_epoch,
        whole.epochs,
    )
    assert tuple(curve) == whole.epochs  # told again, so that there is one curve
    resumed.forget()
    assert not tmp_path.exists()  # nothing else was kept there


def test_ctrl_c_in_the_epoch_in_which_patience_ends_is_heard_and_nothing_is_trained_on(tmp_path):
    scores = by_epoch(0.1, 0.5, 0.4, 0.3, 0.9)
    stopped = run(scores, patience=2, checkpoints=tmp_path, on_epoch=press_ctrl_c_in(4))
    assert stopped.interrupted
    resumed = run(scores, patience=2, checkpoints=tmp_path, resume=True)
    assert (resumed.epochs, resumed.best_epoch) == (stopped.epochs, 2)
    assert resumed.model == stopped.model == VALUES[1]


def test_a_state_that_does_not_fit_is_a_sentence(tmp_path):
    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(3))
    options = TrainingOptions(context=Context(checkpoints=tmp_path, resume=True), key="key")
    with pytest.raises(StorageError, match="does not fit this training"):
        run_training(gradient_trainee(), EpochRules(6), options)


@pytest.mark.parametrize("text", ['{"format": 0, "key": "key", "epochs": []}', "[" * 100_000])
def test_a_state_of_another_version_or_none_is_a_sentence(tmp_path, text):
    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(3))
    (tmp_path / "key" / "state.json").write_text(text)
    with pytest.raises(StorageError, match="damaged"):
        run(checkpoints=tmp_path, resume=True)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
def test_a_full_disk_ends_no_training(tmp_path, monkeypatch, caplog):
    """safetensors reports it in an error of its own."""
    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN", 0.0)
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        trained = run(checkpoints=tmp_path / "states")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert len(trained.epochs) == 10
    assert "cannot be resumed" in caplog.text


def test_a_killed_training_continues_from_the_last_timed_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN", 0.0)
    scores = by_epoch(*SCORES)

    def be_killed(epoch):
        if epoch.number == 5:
            raise SystemExit

    with pytest.raises(SystemExit):
        run(scores, checkpoints=tmp_path, on_epoch=be_killed)
    heard = []
    resumed = run(scores, checkpoints=tmp_path, resume=True, on_epoch=heard.append)
    assert (resumed.model, resumed.epochs) == (run(scores).model, run(scores).epochs)
    assert [epoch.number for epoch in heard] == list(range(11))


def test_checkpoints_are_far_apart(tmp_path, caplog):
    run(by_epoch(*SCORES), checkpoints=tmp_path)
    assert list(tmp_path.iterdir()) == []  # ten epochs that took no time
    assert caplog.text == ""


def test_a_state_is_kept_every_half_minute(tmp_path, monkeypatch):
    checkpoint, began, kept = checkpoints.Checkpoint(tmp_path / "key", "key"), time.monotonic(), []

    def state():
        kept.append(seconds)
        return checkpoints.TrainingState({}, {}, {}, ())

    for seconds in (1, 29, 31, 32, 60, 62, 91, 93):
        with monkeypatch.context() as clock:
            clock.setattr(time, "monotonic", lambda now=began + seconds: now)
            checkpoint.save_if_due(state)
    assert kept == [31, 62, 93]
    assert checkpoint.load() is not None


def test_a_training_of_another_key_is_not_continued(tmp_path, caplog):
    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(3))
    assert len(run(checkpoints=tmp_path, resume=True, key="other").epochs) == 10
    assert "training starts anew" in caplog.text
    (tmp_path / "key").rename(tmp_path / "other")
    with pytest.raises(StorageError, match="belongs to another config"):
        run(checkpoints=tmp_path, resume=True, key="other")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("state.safetensors", "half a file"),
        ("state.json", '{"key": "key", "epo'),
        ("state.json", '{"key": "key"}'),
        ("state.json", '{"key": "key", "epochs": [{"number": 1, "of another version": 2}]}'),
        ("state.json", None),
        ("state.safetensors", None),
    ],
)
def test_a_damaged_checkpoint_is_refused(tmp_path, name, content):
    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(3))
    if content is None:
        (tmp_path / "key" / name).unlink()
    else:
        (tmp_path / "key" / name).write_text(content)
    with pytest.raises(StorageError, match="damaged"):
        run(checkpoints=tmp_path, resume=True)


def test_a_folder_that_cannot_be_written_ends_no_training(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    stopped = run(checkpoints=tmp_path / "file", on_epoch=press_ctrl_c_in(3))
    assert stopped.interrupted
    assert stopped.model == VALUES[2]
    assert "training goes on, and cannot be resumed" in caplog.text


def test_a_failing_timed_checkpoint_is_told_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN", 0.0)
    (tmp_path / "file").write_text("in the way")
    assert len(run(checkpoints=tmp_path / "file").epochs) == 10
    assert caplog.text.count("cannot be resumed") == 1


def gradient_trainee() -> GradientTrainee:
    network, objective = torch.nn.Linear(3, 2), torch.nn.Module()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.linspace(0, 1, parameter.numel()).reshape(parameter.shape))
    objective.register_buffer("seen", torch.zeros(2))
    optimizer = make_optimizer("adam", network.parameters(), learning_rate=0.1)

    def terms(batch, *, step, epoch):
        assert network.training
        assert objective.training
        objective.seen += 1
        return {"loss": Mean(network(batch).square().sum(), len(batch))}

    step = AutogradStep(terms, lambda found: found["loss"].value.backward(), optimizer, constant)

    def epochs(*, done):
        return train_epochs(step, lambda n: [torch.ones(2, 3) * n], max_epochs=6, done=done)

    return GradientTrainee(network, objective, optimizer, epochs, lambda: network.weight.detach().clone())


def test_state_of_a_gradient_trainee_is_all_that_its_next_epoch_depends_on():
    whole, first, second = gradient_trainee(), gradient_trainee(), gradient_trainee()
    curve = list(whole.epochs([]))
    assert not whole.network.training
    running, done = first.epochs([]), []
    for _ in range(3):
        done.append(next(running))
        assert not first.network.training  # others may look now
    kept = [
        {name: array.copy() for name, array in part.items()}
        for part in (first.parameters(), first.progress())
    ]
    second.restore(*kept)
    rest = list(second.epochs(done))
    assert [epoch.terms for epoch in done + rest] == [epoch.terms for epoch in curve]
    assert torch.equal(second.candidate(), whole.candidate())
    assert second.objective.seen.tolist() == [6.0, 6.0]
    second.restore(kept[0])
    assert torch.equal(second.candidate(), torch.from_numpy(kept[0]["weight"]))


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_optimisers_follow_the_gradient_alone(name):
    """A parameter without gradient stays where it is: no decay of weights behind the objective's back."""
    weight = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = make_optimizer(name, [weight], learning_rate=0.1)
    for _ in range(3):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
    assert torch.equal(weight.detach(), torch.ones(3, 2))
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert (weight.detach() < 1).all()


def test_first_interrupt_waits_and_the_second_does_not():
    before = signal.getsignal(signal.SIGINT)
    with deferred_interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_two_trainings_of_the_same_share_no_state(tmp_path, caplog):
    """The second goes on without one, and what the first keeps is the first's alone."""
    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(3))
    kept = (tmp_path / "key" / "state.json").read_bytes()
    with checkpoints.Checkpoint(tmp_path / "key", "key").owned():
        second = run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(4))
        second.forget()
        assert "this very training is under way in another process; this one keeps no state" in caplog.text
        assert (second.interrupted, second.resumable, second.model) == (True, False, VALUES[3])
        with pytest.raises(StorageError, match="under way in another process; wait until it ends"):
            run(checkpoints=tmp_path, resume=True)
    assert (tmp_path / "key" / "state.json").read_bytes() == kept
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert len(run(checkpoints=tmp_path, resume=True).epochs) == 10


def test_a_state_that_another_training_goes_on_from_is_not_deleted(tmp_path):
    done = run(checkpoints=tmp_path, keep_state=True)
    with checkpoints.Checkpoint(tmp_path / "key", "key").owned():
        done.forget()
        assert (tmp_path / "key").exists()
    done.forget()
    assert not tmp_path.exists()


def test_a_flipped_bit_in_a_state_is_found(tmp_path):
    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(3))
    for name in ("state.json", "state.safetensors"):
        path = tmp_path / "key" / name
        whole = path.read_bytes()
        for place in range(0, 8 * len(whole), 7):
            damaged = bytearray(whole)
            damaged[place // 8] ^= 1 << place % 8
            path.write_bytes(damaged)
            with pytest.raises(StorageError, match="damaged"):
                run(checkpoints=tmp_path, resume=True)
        path.write_bytes(whole)
    assert len(run(checkpoints=tmp_path, resume=True).epochs) == 10


def test_a_state_whose_writer_was_killed_between_two_renames_is_resumed_from(tmp_path):
    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(3))
    (tmp_path / "key").rename(tmp_path / ".key.0a1b2c3d.old")
    told = []
    assert len(run(checkpoints=tmp_path, resume=True, on_epoch=told.append).epochs) == 10
    assert not told[0].seconds
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_state_that_cannot_be_put_back_ends_no_training(tmp_path, monkeypatch):
    rename = Path.rename

    def fail(self, target):
        if self.suffix == ".old":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return rename(self, target)

    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(3))
    (tmp_path / "key").rename(tmp_path / ".key.0a1b2c3d.old")
    monkeypatch.setattr(Path, "rename", fail)
    assert len(run(checkpoints=tmp_path).epochs) == 10


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_fails_in_a_checkpoint_ends_no_training(tmp_path, caplog, monkeypatch, code):
    def fail(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN", 0.0)
    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(3))
    monkeypatch.setattr(os, "fsync", fail)
    assert len(run(checkpoints=tmp_path).epochs) == 10
    assert f"({os.strerror(code)})" in caplog.text
    assert caplog.text.count("training goes on, and cannot be resumed") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert checkpoints.Checkpoint(tmp_path / "key", "key").load() is not None  # the older state is whole


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_others_send_ends_training_with_its_state_kept(tmp_path, number, caplog):
    def send(epoch):
        if epoch.number == 3:
            signal.raise_signal(number)

    with pytest.raises(Terminated, match=number.name), terminated() as heard:
        run(checkpoints=tmp_path, on_epoch=send)
    assert heard.number == number
    last = caplog.messages[-1]
    assert last == f"{tmp_path / 'key'} keeps the training; the same command with --resume continues it"
    assert signal.getsignal(number) is signal.SIG_DFL
    state = checkpoints.Checkpoint(tmp_path / "key", "key").load()
    assert [epoch.number for epoch in state.epochs] == [1, 2, 3]
    assert run(checkpoints=tmp_path, resume=True).model == run().model


def epochs_kept(folder):
    return len(checkpoints.Checkpoint(folder / "key", "key").load().epochs)


def test_a_state_is_never_replaced_by_one_of_fewer_epochs(tmp_path, caplog, monkeypatch):
    """Whether training is stopped or killed, and by whom."""
    monkeypatch.setattr(checkpoints, "_SECONDS_BETWEEN", 0.0)

    def be_killed(epoch):
        if epoch.number == 4:
            raise SystemExit

    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(7))
    assert "epochs of this very training" not in caplog.text
    with pytest.raises(SystemExit):
        run(checkpoints=tmp_path, on_epoch=be_killed)
    assert caplog.text.count("keeps 7 epochs of this very training, which begins anew; the same command") == 1
    stopped = run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(3))
    assert (len(stopped.epochs), stopped.resumable, epochs_kept(tmp_path)) == (3, True, 7)
    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(8))
    assert epochs_kept(tmp_path) == 8
    told = []
    resumed = run(checkpoints=tmp_path, resume=True, on_epoch=told.append)
    assert [epoch.number for epoch in told] == list(range(1, 11))
    assert resumed.model == run().model
    run(checkpoints=tmp_path).forget()
    assert not tmp_path.exists()


def test_a_damaged_state_stands_in_nobodys_way(tmp_path, caplog):
    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(7))
    (tmp_path / "key" / "state.safetensors").write_text("half a file")
    run(checkpoints=tmp_path, on_epoch=press_ctrl_c_in(3))
    assert epochs_kept(tmp_path) == 3
    assert "very training" not in caplog.text


def test_signals_that_are_ignored_stay_so(monkeypatch):
    """As nohup leaves them."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminated() as heard, deferred_interrupt() as interrupt:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupt.requested
            assert heard.number is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_second_signal_of_others_ends_at_once():
    with terminated(), deferred_interrupt() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.requested
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)


def test_ctrl_c_is_not_lost_where_the_training_ends_by_an_error_of_its_own():
    """Such as one by which whoever is told of the epochs ends it."""

    def fail(number: int | None) -> None:
        with deferred_interrupt():
            if number is not None:
                signal.raise_signal(number)
            raise ValueError("its own")

    with pytest.raises(KeyboardInterrupt):
        fail(signal.SIGINT)
    with pytest.raises(ValueError, match="its own"):
        fail(None)
