"""Penalties on codes, against closed forms, finite differences and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from networks import drawn_network
from strategies import grid

from recsys_ae.nn.autoencoder import Architecture, Autoencoder, Reconstruction
from recsys_ae.nn.layers import ACTIVATIONS
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.penalties import L1Penalty, Sizes, SparseKL
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_generator

RHO, BETA, UNITS = 0.1, 0.7, 5
SIZES = Sizes(code=UNITS, entries=48, rows=12, columns=8)
STATES = {"sigmoid": lambda a: a, "tanh": lambda a: (1 + a) / 2}


def double_batch() -> RowBatch:
    batch = RowBatch.of(grid().matrix)
    return batch.with_values(batch.values.double())


def network_of(activation: str = "sigmoid", **plan) -> Autoencoder:
    return drawn_network(Architecture(grid().n_items, (UNITS,), activation=activation, **plan)).double()


def sparse_kl(over: str = "batch", *, decay: float = 0.8, rho: float = RHO) -> SparseKL:
    return SparseKL(rho, BETA, over, decay, sizes=SIZES).double()


def divergence(rho: float, mean: float) -> float:
    return rho * math.log(rho / mean) + (1 - rho) * math.log((1 - rho) / (1 - mean))


def slope(rho: float, mean: np.ndarray) -> np.ndarray:
    """The closed form of the derivative of β KL(ρ‖ρ̂) by ρ̂."""
    return BETA * (-rho / mean + (1 - rho) / (1 - mean))


def told(penalty, network: Autoencoder, reconstruction: Reconstruction):
    return penalty(network, reconstruction, step=3, epoch=1)


def with_code(network: Autoencoder, code: torch.Tensor) -> Reconstruction:
    return Reconstruction(code, None, code, network.decoder)


@pytest.mark.parametrize("activation", STATES)
def test_kl_is_the_plain_loop_over_units_and_its_slope_the_closed_form(activation):
    network = network_of(activation)
    code = network(double_batch()).code.detach().requires_grad_()
    term = told(sparse_kl(), network, with_code(network, code))
    states = STATES[activation](code.detach().numpy())
    expected = [divergence(RHO, float(np.mean(states[:, unit]))) for unit in range(UNITS)]
    assert float(term.value.detach()) == pytest.approx(BETA * sum(expected) / UNITS, rel=1e-12)
    (found,) = torch.autograd.grad(term.value, code)
    of_state = 1.0 if activation == "sigmoid" else 0.5
    closed = slope(RHO, states.mean(axis=0)) * of_state / len(code) / UNITS
    np.testing.assert_allclose(found, np.tile(closed, (len(code), 1)), rtol=1e-10)


@pytest.mark.parametrize("activation", STATES)
def test_the_gradient_of_kl_is_that_of_finite_differences(activation):
    network = network_of(activation)
    start = network(double_batch()).code.detach().requires_grad_()

    def value(code):
        return told(sparse_kl(), network, with_code(network, code)).value

    assert torch.autograd.gradcheck(value, [start])


def test_batches_count_by_their_rows():
    network = network_of()
    code = network(double_batch()).code
    term = told(sparse_kl(), network, with_code(network, code))
    assert term.count == len(code)


def test_a_running_mean_is_the_formula_learns_in_training_alone_and_pulls_at_full_strength():
    network, penalty = network_of(), sparse_kl("running", decay=0.8)
    codes = [
        torch.rand(6, UNITS, dtype=torch.float64, generator=torch_generator(n, "test")) for n in range(3)
    ]
    mean = np.full(UNITS, RHO)
    for code in codes:
        mean = 0.8 * mean + 0.2 * code.numpy().mean(axis=0)
        code.requires_grad_()
        term = told(penalty, network, with_code(network, code))
        np.testing.assert_allclose(penalty.mean, mean, rtol=1e-7)
        expected = BETA * np.mean([divergence(RHO, m) for m in mean])
        assert float(term.value.detach()) == pytest.approx(expected, rel=1e-7)
        (found,) = torch.autograd.grad(term.value, code)
        np.testing.assert_allclose(found[0], slope(RHO, mean) / 6 / UNITS, rtol=1e-7)
    penalty.eval()
    told(penalty, network, with_code(network, codes[0]))
    np.testing.assert_allclose(penalty.mean, mean, rtol=1e-7)
    assert "mean" in penalty.state_dict()  # it travels to checkpoints


def test_a_mean_over_the_data_is_that_of_all_clean_rows_whatever_their_batches():
    """The slope is taken there, and the gradient flows through the mean of the batch."""
    network, matrix = network_of("tanh"), grid().matrix
    rows = np.flatnonzero(np.diff(matrix.indptr) > 0)
    parts = [matrix[rows[:3]], matrix[rows[3:4]], matrix[rows[4:]]]
    penalty = sparse_kl("data")
    objective = Objective(penalties={"kl-sparse": penalty})
    objective.begin_epoch(network, lambda: (RowBatch.of(part) for part in parts))
    whole = network(RowBatch.of(matrix[rows])).code.detach().numpy()
    mean = (1 + whole.mean(axis=0)) / 2
    np.testing.assert_allclose(penalty.mean, mean, rtol=1e-6)
    code = torch.tensor(whole[:3], requires_grad=True)
    term = told(penalty, network, with_code(network, code))
    assert float(term.value.detach()) == pytest.approx(BETA * np.mean([divergence(RHO, m) for m in mean]))
    (found,) = torch.autograd.grad(term.value, code)
    np.testing.assert_allclose(found[0], slope(RHO, mean) / 2 / 3 / UNITS, rtol=1e-6)


@pytest.mark.parametrize("over", ["batch", "running"])
def test_means_that_are_not_over_the_data_ask_for_no_rows(over):
    def nothing():
        raise AssertionError("the rows were asked for")
        yield

    Objective(penalties={"kl-sparse": sparse_kl(over)}).begin_epoch(network_of(), nothing)


@pytest.mark.parametrize("active", [0.0, 1.0])
def test_the_divergence_of_a_unit_that_is_dead_goes_on_as_a_line(active):
    """So that value and gradient stay one function there, too."""
    network = network_of()

    def cost(shift: float) -> tuple[float, float]:
        code = torch.full((4, UNITS), abs(active - shift), dtype=torch.float64, requires_grad=True)
        term = told(sparse_kl(), network, with_code(network, code))
        (gradient,) = torch.autograd.grad(term.value, code, retain_graph=True)
        return float(term.value.detach()), float(gradient.sum())

    (near, slope), (far, other) = cost(4e-7), cost(1e-7)
    assert slope == pytest.approx(other)
    assert (far - near) == pytest.approx(slope * (3e-7 if active else -3e-7), rel=1e-6)


@pytest.mark.parametrize("over", ["batch", "running", "data"])
@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_units_that_never_or_always_are_active_cost_a_finite_sum(over, extreme):
    network, penalty = network_of().float(), sparse_kl(over, decay=1e-9).float()
    penalty.mean = torch.full((UNITS,), extreme)
    code = torch.full((4, UNITS), extreme, requires_grad=True)
    term = told(penalty, network, with_code(network, code))
    (found,) = torch.autograd.grad(term.value, code)
    assert torch.isfinite(term.value)
    assert torch.isfinite(found).all()
    assert (found > 0).all() if extreme else (found < 0).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_l1_is_the_plain_loop_and_its_gradient_the_sign(activation):
    network = network_of(activation)
    code = network(double_batch()).code.detach().requires_grad_()
    term = told(L1Penalty(BETA, SIZES), network, with_code(network, code))
    expected = sum(abs(a) for row in code.tolist() for a in row) / code.numel()
    assert float(term.value.detach()) == pytest.approx(BETA * expected, rel=1e-12)
    (found,) = torch.autograd.grad(term.value, code)
    np.testing.assert_allclose(found, BETA * code.detach().sign() / code.numel(), rtol=1e-12)


@pytest.mark.parametrize("make", [sparse_kl, lambda: L1Penalty(BETA, SIZES)])
def test_penalties_are_of_the_code_before_anchoring_and_reach_the_first_layer(make):
    values = []
    for anchored in (False, True):
        network = network_of(anchored=anchored)
        term = told(make(), network, network(double_batch()))
        values.append(float(term.value.detach()))
        gradient = torch.autograd.grad(term.value, network.encoder.first.weight)[0]
        assert gradient.abs().sum() > 0
    assert values[0] == values[1]
