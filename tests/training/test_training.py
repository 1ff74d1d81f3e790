"""The loop, its batches, stopping and checkpoints: no word of recommendation."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys_ae.errors import DivergenceError, StorageError
from recsys_ae.nn.schedules import constant, cosine, step_decay
from recsys_ae.training.batching import shuffled_batches
from recsys_ae.training.checkpoints import Checkpoint
from recsys_ae.training.interrupts import deferred_interrupt
from recsys_ae.training.loop import train_epochs
from recsys_ae.training.optimizers import make_optimizer
from recsys_ae.training.steps import AutogradStep
from recsys_ae.training.stopping import EarlyStopping
from recsys_ae.types import Mean


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
    (epoch,) = train_epochs(lambda b, n: {"loss": Mean(sum(b), len(b))}, lambda n: batches, max_epochs=1)
    assert epoch.terms == {"loss": 2.0}
    assert epoch.total == 2.0
    assert epoch.n_steps == 2


def test_divergence_says_where_and_what_to_try():
    epochs = train_epochs(lambda b, n: {"loss": Mean(b / n, 1)}, lambda n: [1.0, float("nan")], max_epochs=2)
    with pytest.raises(DivergenceError, match=r"loss .* epoch 1, step 2: try a learning rate"):
        list(epochs)


def test_stopping_keeps_the_best_parameters():
    module, stopping = torch.nn.Linear(1, 1), EarlyStopping(patience=2)
    for epoch, (weight, score) in enumerate([(1.0, 0.1), (2.0, 0.5), (3.0, 0.4), (4.0, 0.5)], start=1):
        torch.nn.init.constant_(module.weight, weight)
        stopping.observe(epoch, score, module)
        assert stopping.finished(epoch) == (epoch == 4)
    stopping.restore(module)
    assert (stopping.best_epoch, stopping.best_score) == (2, 0.5)
    assert module.weight.item() == 2.0


def test_without_scores_training_never_stops_early():
    assert not EarlyStopping(patience=2).finished(100)
    assert not EarlyStopping(patience=None, best_epoch=1, best_score=1.0).finished(100)


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_weight_decay_is_the_gradient_of_the_penalty_and_spares_biases(name):
    """One step on loss + weight_decay / 2 · Σ w², the penalty written out, gives the same parameters."""

    def stepped(weight_decay: float, penalty: float) -> list[np.ndarray]:
        torch.manual_seed(0)
        module, x = torch.nn.Linear(3, 2), torch.arange(6.0).reshape(2, 3)
        optimizer = make_optimizer(name, module, learning_rate=0.01, weight_decay=weight_decay)

        def objective(batch):
            return {"loss": Mean(module(batch).square().sum() + penalty * module.weight.square().sum(), 1)}

        step = AutogradStep(objective, optimizer, constant)
        for _ in range(3):
            step(x, 1)
        return [p.detach().numpy() for p in module.parameters()]

    for decayed, written in zip(stepped(0.6, 0.0), stepped(0.0, 0.3), strict=True):
        np.testing.assert_allclose(decayed, written, rtol=1e-5)


def test_schedules():
    assert [step_decay(e, every=2, factor=0.5) for e in range(1, 6)] == [1, 1, 0.5, 0.5, 0.25]
    assert cosine(1, epochs=11, final_share=0.1) == pytest.approx(1.0)
    assert cosine(6, epochs=11, final_share=0.1) == pytest.approx(0.55)
    assert cosine(11, epochs=11, final_share=0.1) == pytest.approx(0.1)
    assert cosine(1, epochs=1, final_share=0.1) == 1.0


def trained(folder, key="a", epochs=3):
    torch.manual_seed(0)
    module = torch.nn.Linear(3, 2)
    optimizer = make_optimizer("adam", module, learning_rate=0.1, weight_decay=0.02)
    stopping, checkpoint = EarlyStopping(patience=5), Checkpoint(folder, key)
    step = AutogradStep(lambda b: {"loss": Mean(module(b).square().sum(), len(b))}, optimizer, constant)
    done = list(train_epochs(step, lambda n: [torch.ones(2, 3) * n], max_epochs=epochs))
    stopping.observe(epochs, 1.5, module)
    return module, optimizer, stopping, checkpoint, done


def test_checkpoint_brings_everything_back(tmp_path):
    module, optimizer, stopping, checkpoint, done = trained(tmp_path / "state")
    checkpoint.save(module, optimizer, stopping, done)
    other, other_optimizer, other_stopping, other_checkpoint, _ = trained(tmp_path / "state", epochs=1)
    assert other_checkpoint.load(other, other_optimizer, other_stopping) == done
    assert torch.equal(other.weight, module.weight)
    assert (other_stopping.best_epoch, other_stopping.best_score) == (3, 1.5)
    assert torch.equal(other_stopping.best_parameters["bias"], module.bias)
    for mine, theirs in zip(
        optimizer.state_dict()["state"].values(), other_optimizer.state_dict()["state"].values(), strict=True
    ):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_checkpoint_of_another_training_or_damaged_is_refused(tmp_path):
    module, optimizer, stopping, checkpoint, done = trained(tmp_path / "state")
    assert checkpoint.load(module, optimizer, stopping) == []
    checkpoint.save(module, optimizer, stopping, done)
    with pytest.raises(StorageError, match="belongs to another config"):
        Checkpoint(tmp_path / "state", "b").load(module, optimizer, stopping)
    (tmp_path / "state" / "state.safetensors").write_bytes(b"half a file")
    with pytest.raises(StorageError, match="damaged"):
        checkpoint.load(module, optimizer, stopping)


def test_nothing_is_written_without_a_folder():
    module, optimizer, stopping, checkpoint, done = trained(None)
    checkpoint.save(module, optimizer, stopping, done)
    assert checkpoint.load(module, optimizer, stopping) == []


def test_first_interrupt_waits_and_the_second_does_not():
    before = signal.getsignal(signal.SIGINT)
    with deferred_interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
