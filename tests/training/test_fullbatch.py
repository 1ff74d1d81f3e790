"""Training on all rows in each step, on least squares, whose answer is known."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from recsys_ae.errors import DivergenceError
from recsys_ae.rng import numpy_generator
from recsys_ae.training.fullbatch import WholeObjective, full_batch_epochs, lbfgs_epochs
from recsys_ae.training.gradient import make_optimizer
from recsys_ae.types import Mean

RNG = numpy_generator(0, "least squares")
DESIGN, TARGET = RNG.normal(size=(30, 6)), RNG.normal(size=(30, 1))
RIDGE = 0.3


class Ridge:
    """Mean squared error over rows plus a ridge that knows its gradient itself, in blocks of unequal size."""

    def __init__(self, *, blocks=(4, 17), scale: float = 1.0) -> None:
        self.weight = torch.nn.Linear(6, 1, bias=False, dtype=torch.float64)
        with torch.no_grad():
            self.weight.weight.zero_()
        self.scale, self.bounds, self.heard = scale, blocks, []
        self.whole = WholeObjective(
            self.weight, self.terms, self.backward, self.add_ridge, self.blocks, self.look
        )

    def blocks(self, epoch):
        parts = np.split(np.arange(30), self.bounds)
        return [(torch.from_numpy(DESIGN[part]), torch.from_numpy(TARGET[part])) for part in parts]

    def look(self, blocks):
        assert sum(len(target) for _, target in blocks()) == 30
        self.looked_at = self.weight.weight.detach().clone()

    def terms(self, block, *, step, epoch):
        self.heard.append((step, epoch))
        if torch.is_grad_enabled():
            assert torch.equal(self.looked_at, self.weight.weight), "told of a block before a look at all"
        errors = self.scale * (self.weight(block[0]) - block[1]).square().sum()
        ridge = self.scale * RIDGE * self.weight.weight.detach().square().sum()
        return {"loss": Mean(errors, len(block[1])), "ridge": Mean(ridge, 1)}

    def backward(self, terms):
        terms["loss"].value.backward()

    def add_ridge(self):
        self.weight.weight.grad += 2 * self.scale * RIDGE * self.weight.weight.detach()


def value(weight: np.ndarray) -> float:
    return float(np.mean((DESIGN @ weight - TARGET[:, 0]) ** 2) + RIDGE * weight @ weight)


def solution() -> np.ndarray:
    return np.linalg.solve(DESIGN.T @ DESIGN / 30 + RIDGE * np.eye(6), DESIGN.T @ TARGET[:, 0] / 30)


@pytest.mark.parametrize("bounds", [(4, 17), (), (1, 2, 3)])
def test_value_and_gradient_are_those_of_all_rows_whatever_the_blocks(bounds):
    """Sums are divided once, so that small blocks count no more than their rows; the ridge counts once."""
    point = numpy_generator(1, "point").normal(size=6)
    found, gradient = Ridge(blocks=bounds).whole.value_and_gradient(point, step=0, epoch=1)
    assert found == pytest.approx(value(point), rel=1e-12)
    errors = DESIGN @ point - TARGET[:, 0]
    np.testing.assert_allclose(gradient, 2 * DESIGN.T @ errors / 30 + 2 * RIDGE * point, rtol=1e-10)
    assert gradient.dtype == np.float64


@pytest.mark.parametrize("validate_every", [1, 4, 5, 7])
def test_lbfgs_reaches_the_solution_and_ends_with_a_validated_epoch_that_gains_nothing(validate_every):
    ridge = Ridge()
    epochs = list(lbfgs_epochs(ridge.whole, iterations=3, max_epochs=90, validate_every=validate_every))
    np.testing.assert_allclose(ridge.whole.parameters(), solution(), atol=1e-4)
    assert epochs[-1].number < 30
    assert epochs[-1].number % validate_every == 0
    idle = [epoch.number for epoch in epochs if epoch.n_steps == 0]
    assert idle == list(range(idle[0], epochs[-1].number + 1))
    assert len(idle) <= validate_every
    assert all(epoch.total == epochs[-1].total for epoch in epochs[idle[0] - 2 :])


def test_an_epoch_has_the_terms_of_the_point_where_it_ends_and_passes_steps_on():
    ridge = Ridge()
    for epoch in lbfgs_epochs(ridge.whole, iterations=2, max_epochs=3):
        weight = ridge.whole.parameters()
        assert epoch.total == pytest.approx(value(weight), rel=1e-12)
        assert epoch.terms["ridge"] == pytest.approx(RIDGE * weight @ weight, rel=1e-12)
        assert epoch.n_steps == 2
    assert sorted(set(ridge.heard)) == [(0, 1), (2, 2), (4, 3)]


def test_more_epochs_go_further_down_and_a_long_one_further_than_two_short_ones():
    def total(iterations, epochs):
        return list(lbfgs_epochs(Ridge().whole, iterations=iterations, max_epochs=epochs))[-1].total

    assert total(4, 1) < total(2, 2) < total(2, 1) < value(np.zeros(6))


def test_lbfgs_goes_on_from_the_parameters_alone():
    whole = Ridge()
    curve = list(lbfgs_epochs(whole.whole, iterations=2, max_epochs=50))
    again = Ridge()
    begun = lbfgs_epochs(again.whole, iterations=2, max_epochs=50)
    done = [next(begun), next(begun)]
    resumed = Ridge()
    resumed.whole.put(again.whole.parameters())
    rest = list(lbfgs_epochs(resumed.whole, iterations=2, max_epochs=50, done=done))
    assert [epoch.terms for epoch in done + rest] == [epoch.terms for epoch in curve]
    np.testing.assert_array_equal(resumed.whole.parameters(), whole.whole.parameters())
    assert list(lbfgs_epochs(resumed.whole, iterations=2, max_epochs=50, done=done + rest)) == []


def test_small_values_are_minimised_too():
    """No threshold has a unit of the gradient: the mean over many entries has a small one everywhere."""
    ridge = Ridge(scale=1e-6)
    assert np.abs(ridge.whole.value_and_gradient(np.zeros(6), step=0, epoch=1)[1]).max() < 1e-6
    list(lbfgs_epochs(ridge.whole, iterations=40, max_epochs=1))
    np.testing.assert_allclose(ridge.whole.parameters(), solution(), atol=1e-2)


@pytest.mark.parametrize("right", [0, 1, 4])
def test_where_a_line_search_fails_the_best_point_is_kept(right):
    """After so many `right` gradients all others point up, and so no point further down is found."""
    ridge, asked = Ridge(blocks=()), []

    def add_ridge():
        Ridge.add_ridge(ridge)
        asked.append(None)
        if len(asked) > right:
            ridge.weight.weight.grad *= -1

    ridge.whole.known = add_ridge
    (epoch,) = lbfgs_epochs(ridge.whole, iterations=30, max_epochs=1)
    assert (epoch.n_steps == 0) == (right == 0)
    assert epoch.n_steps < 30
    assert epoch.total == value(ridge.whole.parameters()) <= value(np.zeros(6))


def test_a_value_that_is_not_finite_is_a_sentence():
    with pytest.raises(DivergenceError, match="in epoch 1: try a larger l2"):
        list(lbfgs_epochs(Ridge(scale=float("inf")).whole, iterations=2, max_epochs=2))


def test_rprop_is_the_rule_of_the_signs():
    """Riedmiller and Braun 1993, written out: a step grows by 1.2 while its sign stays, halves when the sign
    changes, and then waits once."""
    ridge = Ridge()
    optimizer = make_optimizer("rprop", ridge.weight.parameters(), learning_rate=0.01)
    epochs = list(full_batch_epochs(ridge.whole, optimizer, iterations=5, max_epochs=4))
    weight, before, length, values = np.zeros(6), np.zeros(6), np.full(6, 0.01), []
    for _ in range(20):
        values.append(value(weight))
        gradient = 2 * DESIGN.T @ (DESIGN @ weight - TARGET[:, 0]) / 30 + 2 * RIDGE * weight
        agree = np.sign(gradient * before)
        length = np.clip(length * np.select([agree > 0, agree < 0], [1.2, 0.5], 1.0), 1e-6, 50)
        before = np.where(agree < 0, 0.0, gradient)
        weight = weight - np.sign(before) * length
    np.testing.assert_allclose(ridge.whole.parameters(), weight, rtol=1e-9)
    expected = np.mean(np.reshape(values, (4, 5)), axis=1)
    np.testing.assert_allclose([epoch.total for epoch in epochs], expected, rtol=1e-9)
    assert [epoch.n_steps for epoch in epochs] == [5] * 4


def test_rprop_goes_on_where_it_was():
    whole, first, second = Ridge(), Ridge(), Ridge()
    optimizers = [
        make_optimizer("rprop", r.weight.parameters(), learning_rate=0.01) for r in (whole, first, second)
    ]
    run = partial(full_batch_epochs, iterations=3, max_epochs=6)
    curve = list(run(whole.whole, optimizers[0]))
    begun = run(first.whole, optimizers[1])
    done = [next(begun), next(begun)]
    second.whole.put(first.whole.parameters())
    optimizers[2].load_state_dict(optimizers[1].state_dict())
    rest = list(run(second.whole, optimizers[2], done=done))
    assert [epoch.terms for epoch in done + rest] == [epoch.terms for epoch in curve]
