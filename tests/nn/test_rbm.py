"""The RBM against its joint distribution, enumerated, and contrastive divergence against the paper's sums."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array, csr_array
from torch.utils._python_dispatch import TorchDispatchMode

from recsys_ae.nn.penalties import L2Penalty
from recsys_ae.nn.rbm import RBM, ContrastiveDivergence, chain
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_generator

N_ITEMS, HIDDEN = 4, 3


def machine(n_levels: int, *, conditional: bool, n_items: int = N_ITEMS, hidden: int = HIDDEN) -> RBM:
    """In float64, no parameter 0."""
    rbm = RBM(n_items, n_levels=n_levels, hidden=hidden, conditional=conditional).double()
    for parameter in rbm.parameters():
        torch.nn.init.normal_(parameter, std=0.7, generator=torch_generator(len(parameter), "test"))
    return rbm


def rated(n_levels: int) -> csr_array:
    """Levels of 5 rows, one of them empty, of items of which one is not rated at all; level 0 is stored."""
    cells = {
        (0, 0): 0,
        (0, 1): 1,
        (1, 1): n_levels - 1,
        (1, 3): 0,
        (3, 0): 1,
        (3, 1): 0,
        (3, 3): 1,
        (4, 3): 1,
    }
    rows, columns = np.array(list(cells)).T
    return csr_array(coo_array((np.array(list(cells.values()), float), (rows, columns)), shape=(5, N_ITEMS)))


def parameters_of(rbm: RBM) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """W (K, n_items, hidden), b (K, n_items), c (hidden,), D (n_items, hidden), which is 0 without one."""
    n_levels, n_items = rbm.n_levels, rbm.n_items
    p = rbm.copied_parameters()
    weight = p["weights"].reshape(n_levels, n_items, -1)
    presence = p.get("presence_weights", np.zeros(weight.shape[1:]))
    return weight, p["visible_bias"].reshape(n_levels, n_items), p["hidden_bias"], presence


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("n_levels", [2, 3])
def test_conditional_probabilities_are_those_of_the_joint_distribution(n_levels, conditional):
    """Of two rated items and three hidden units: p(V, h) ∝ exp(Σ W v h + Σ b v + Σ c h + Σ D r h)."""
    rbm = machine(n_levels, conditional=conditional)
    weight, visible_bias, hidden_bias, presence = parameters_of(rbm)
    items = (0, 2)
    joint = {}
    for levels in product(range(n_levels), repeat=2):
        for hidden in product((0, 1), repeat=HIDDEN):
            minus_energy = np.dot(hidden_bias, hidden)
            for item, level in zip(items, levels, strict=True):
                minus_energy += visible_bias[level, item]
                minus_energy += np.dot(weight[level, item] + presence[item], hidden)
            joint[levels, hidden] = np.exp(minus_energy)
    for levels, hidden in joint:
        batch = RowBatch.of(csr_array(([*levels], items, [0, 2]), shape=(1, N_ITEMS)))
        shown = torch.tensor([[float(level == k) for level in levels] for k in range(n_levels)]).double()
        given = {h: p for (v, h), p in joint.items() if v == levels}
        on = [sum(p for h, p in given.items() if h[j]) / sum(given.values()) for j in range(HIDDEN)]
        np.testing.assert_allclose(rbm.hidden_shares(shown, batch)[0], on)
        given = {v: p for (v, h), p in joint.items() if h == hidden}
        found = rbm.log_visible_shares(torch.tensor([hidden]).double(), batch).exp()
        for place, k in product(range(2), range(n_levels)):
            share = sum(p for v, p in given.items() if v[place] == k) / sum(given.values())
            np.testing.assert_allclose(found[k, place], share)


def slow_contrast(
    rbm: RBM, matrix: csr_array, draws: list[np.ndarray]
) -> tuple[dict[str, np.ndarray], float]:
    """<v h>_T - <v h>_data for each parameter, and the loss of the first step, entry by entry."""
    weight, visible_bias, hidden_bias, presence = parameters_of(rbm)
    found = {name: np.zeros_like(array) for name, array in rbm.copied_parameters().items()}
    loss = 0.0

    def hidden_of(visible):
        total = hidden_bias.copy()
        for item, shares in visible.items():
            total += presence[item] + sum(shares[k] * weight[k, item] for k in range(rbm.n_levels))
        return 1 / (1 + np.exp(-total))

    def add(visible, hidden, sign):
        found["hidden_bias"] += sign * hidden
        for item, shares in visible.items():
            for k in range(rbm.n_levels):
                found["weights"][k * N_ITEMS + item] += sign * shares[k] * hidden
                found["visible_bias"][k * N_ITEMS + item] += sign * shares[k]
            if rbm.presence_weights is not None:
                found["presence_weights"][item] += sign * hidden

    for row in range(matrix.shape[0]):
        places = range(matrix.indptr[row], matrix.indptr[row + 1])
        visible = data = {matrix.indices[p]: np.eye(rbm.n_levels)[int(matrix.data[p])] for p in places}
        hidden = hidden_of(visible)
        add(data, hidden, -1)
        for step, drawn in enumerate(draws):
            state = drawn[row] < hidden
            outputs = {item: visible_bias[:, item] + weight[:, item] @ state for item in data}
            visible = {item: np.exp(each) / np.exp(each).sum() for item, each in outputs.items()}
            if step == 0:
                loss -= sum(np.log(shares @ data[item]) for item, shares in visible.items())
            hidden = hidden_of(visible)
        add(visible, hidden, 1)
    return found, loss


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("n_levels", [2, 4])
def test_the_gradient_is_that_of_contrastive_divergence_written_out(n_levels, steps, conditional):
    rbm, matrix = machine(n_levels, conditional=conditional), rated(n_levels)
    batch = RowBatch.of(matrix)
    generator = torch_generator(7, "test")
    draws = [torch.rand(5, HIDDEN, generator=generator, dtype=torch.float64).numpy() for _ in range(steps)]
    objective = ContrastiveDivergence(lambda epoch: epoch - 2)
    terms = objective(rbm, batch, step=0, epoch=steps + 2, generator=torch_generator(7, "test"))
    objective.backward(rbm, terms)
    expected, loss = slow_contrast(rbm, matrix, draws)
    assert terms.keys() == {"reconstruction"}
    assert terms["reconstruction"].count == 8
    np.testing.assert_allclose(terms["reconstruction"].sum.item(), loss)
    assert {name for name, _ in rbm.named_parameters()} == expected.keys()
    for name, parameter in rbm.named_parameters():
        np.testing.assert_allclose(parameter.grad, expected[name] / 8, atol=1e-12)
        assert parameter.grad.abs().max() > 1e-3


def test_the_penalty_is_a_term_and_pulls_weights_alone():
    rbm, batch = machine(3, conditional=True), RowBatch.of(rated(3))
    gradients = []
    for l2 in (None, L2Penalty(4.0, n_observed=8)):
        rbm.zero_grad()
        objective = ContrastiveDivergence(lambda epoch: 1, l2)
        terms = objective(rbm, batch, step=0, epoch=1, generator=torch_generator(7, "test"))
        objective.backward(rbm, terms)
        gradients.append({name: p.grad.clone() for name, p in rbm.named_parameters()})
    plain, penalised = gradients
    weight, _, _, presence = parameters_of(rbm)
    assert terms["l2"].value.item() == pytest.approx(4 / 8 / 2 * ((weight**2).sum() + (presence**2).sum()))
    for name, parameter in rbm.named_parameters():
        pull = 0.5 * parameter.detach() if parameter.dim() == 2 else torch.zeros_like(parameter)
        torch.testing.assert_close(penalised[name] - plain[name], pull)


@pytest.mark.parametrize("conditional", [False, True])
def test_a_row_without_entries_begins_at_the_shares(conditional):
    """And items that nobody rated stay there, whatever the hidden units say."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(3), size=N_ITEMS).T
    observed = np.array([True, True, False, True])
    rbm = RBM(N_ITEMS, n_levels=3, hidden=50, conditional=conditional)
    rbm.start(torch_generator(0, "test"), shares, observed)
    everything = RowBatch.of(csr_array(np.ones((1, N_ITEMS))))
    nothing = RowBatch.of(csr_array((1, N_ITEMS)))
    hidden = rbm.hidden_shares(torch.zeros(3, 0), nothing)
    np.testing.assert_allclose(rbm.log_visible_shares(hidden, everything).exp(), shares, rtol=1e-5)
    away = rbm.log_visible_shares(torch.ones(1, 50), everything).exp().numpy()
    np.testing.assert_allclose(away[:, 2], shares[:, 2], rtol=1e-5)
    assert np.abs(away - shares)[:, observed].max() > 1e-3
    drawn = rbm.weights.detach().numpy().reshape(3, N_ITEMS, 50)[:, observed]
    assert np.unique(drawn).size == drawn.size
    assert 0.008 < drawn.std() < 0.012


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that any operation makes."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else (made,):
            if isinstance(each, torch.Tensor):
                size = each.values().numel() if each.layout == torch.sparse_csr else each.numel()
                self.numbers = max(self.numbers, size)
        return made


def test_nothing_is_as_large_as_rows_times_columns():
    """400 rows and 3,000 columns with 800 entries: no tensor is larger than that of the weights."""
    rng = np.random.default_rng(0)
    columns = rng.integers(0, 3000, 800)
    matrix = csr_array(
        (rng.integers(0, 2, 800).astype(float), columns, np.arange(0, 801, 2)), shape=(400, 3000)
    )
    matrix.sum_duplicates()
    rbm, objective = RBM(3000, n_levels=2, hidden=2, conditional=True), ContrastiveDivergence(lambda epoch: 2)
    batch = RowBatch.of(matrix)
    with Largest() as largest:
        terms = objective(rbm, batch, step=0, epoch=1, generator=torch_generator(0, "test"))
        objective.backward(rbm, terms)
    assert 0 < largest.numbers <= 3000 * 2 * 2


def test_the_chain_draws_from_its_generator_alone():
    rbm, batch = machine(3, conditional=False), RowBatch.of(rated(3))
    before = torch.random.get_rng_state()
    first, again, other = (chain(rbm, batch, 2, torch_generator(seed, "test"))[1] for seed in (1, 1, 2))
    assert torch.equal(first.visible, again.visible)
    assert torch.equal(first.hidden, again.hidden)
    assert not torch.equal(first.visible, other.visible)
    assert torch.equal(torch.random.get_rng_state(), before)
