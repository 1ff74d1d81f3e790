"""The top-k bottleneck, and what is measured of codes, against plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import drawn_network
from scipy.sparse import csr_array
from strategies import grid

from recsys_ae.nn.autoencoder import Architecture, Reconstruction
from recsys_ae.nn.bottleneck import TopK
from recsys_ae.nn.layers import ACTIVATIONS
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.rows import RowBatch
from recsys_ae.nn.sparsity import Sparsity
from recsys_ae.rng import torch_generator

PLAN = Architecture(grid().n_items, (7,), presence=1.5)
BATCH = RowBatch.of(grid().matrix)
EMPTY = RowBatch.of(csr_array((1, grid().n_items), dtype=np.float32))


def farthest(encodings: np.ndarray, rest: np.ndarray, k: int) -> np.ndarray:
    """The codes in a plain loop: of each row the k units farthest from their rest, all others at rest."""
    codes = np.tile(rest, (len(encodings), 1))
    for row, encoding in enumerate(encodings):
        order = sorted(range(len(encoding)), key=lambda unit: -abs(encoding[unit] - rest[unit]))
        codes[row, order[:k]] = encoding[order[:k]]
    return codes


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("anchored", [False, True])
def test_the_k_units_pass_that_are_farthest_from_their_rest(activation, anchored):
    plan = replace(PLAN, activation=activation, anchored=anchored)
    plain, sparse = drawn_network(plan), drawn_network(replace(plan, top_k=2))
    with torch.no_grad():
        rest = plain.encoder.of_empty_row()[0].numpy() if anchored else np.zeros(7, dtype=np.float32)
        expected = farthest(plain.encoder(BATCH).numpy(), rest, 2)
        np.testing.assert_array_equal(sparse(BATCH).code, expected)
        np.testing.assert_allclose(sparse(BATCH).hidden, expected - rest, atol=1e-7)
        if anchored:
            torch.testing.assert_close(sparse(EMPTY).dense()[0], sparse.decoder.last.bias)


@pytest.mark.parametrize("anchored", [False, True])
def test_with_all_units_it_is_no_bottleneck(anchored):
    plan = replace(PLAN, anchored=anchored)
    with torch.no_grad():
        whole = drawn_network(replace(plan, top_k=7))(BATCH).dense()
        torch.testing.assert_close(whole, drawn_network(plan)(BATCH).dense(), rtol=0, atol=0)


def test_the_gradient_flows_through_the_units_that_pass_and_the_rest_of_the_others():
    generator = torch_generator(0, "test")
    encoding = torch.randn(3, 6, dtype=torch.float64, generator=generator).requires_grad_()
    rest = torch.randn(1, 6, dtype=torch.float64, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(lambda e, r: TopK(2)(e, None, r)[0], [encoding, rest])
    code, _ = TopK(2)(encoding, None)
    (gradient,) = torch.autograd.grad(code.sum(), encoding)
    np.testing.assert_array_equal(gradient, code.detach().abs().gt(0).double())
    assert (gradient.sum(dim=1) == 2).all()


def measured(plan: Architecture, batches: list[RowBatch]) -> dict[str, float]:
    network, sparsity = drawn_network(plan), Sparsity()
    for batch in batches:
        sparsity.add(network, network(batch))
    return sparsity.taken()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_measures_are_those_of_a_plain_loop_over_rows_and_units(activation):
    plan = replace(PLAN, activation=activation)
    batches = [RowBatch.of(grid().matrix[rows]) for rows in (slice(0, 5), slice(5, 6), slice(6, 12))]
    with torch.no_grad():
        code = drawn_network(plan)(BATCH).code.double().numpy()
    limit = 0.5 if activation == "sigmoid" else 0.0
    active = np.array([[a > limit for a in row] for row in code])
    assert active.any()
    assert not active.all()
    found = measured(plan, batches)
    states = (1 + code) / 2 if activation == "tanh" else code
    assert found["mean_activation"] == pytest.approx(states.mean(), rel=1e-6)
    assert found["active_share"] == pytest.approx(active.mean())
    assert found["dead_share"] == pytest.approx(np.mean([not any(unit) for unit in active.T]))


def test_dead_units_are_those_active_in_no_row():
    network = drawn_network(PLAN)
    code = torch.full((4, 7), 0.2)
    code[1, 2], code[3, 5], code[0, 5] = 0.9, 0.6, 0.7
    sparsity = Sparsity()
    for part in (code[:2], code[2:]):
        sparsity.add(network, Reconstruction(part, None, part, network.decoder))
    found = sparsity.taken()
    assert found["dead_share"] == pytest.approx(5 / 7)
    assert found["active_share"] == pytest.approx(3 / 28)
    assert sparsity.taken() == {}  # each epoch begins anew


@pytest.mark.parametrize("anchored", [False, True])
def test_behind_a_top_k_bottleneck_the_units_that_pass_are_active(anchored):
    found = measured(replace(PLAN, activation="tanh", anchored=anchored, top_k=3), [BATCH])
    empty = np.mean(np.diff(grid().matrix.indptr) == 0)
    with_rest = 3 / 7 * (1 - empty) if anchored else 3 / 7  # an empty row is at rest where that is an anchor
    assert found["active_share"] == pytest.approx(with_rest)


def test_only_what_training_sees_is_measured_and_no_code_that_is_drawn():
    objective, network = Objective(), drawn_network(PLAN)
    arguments = {"step": 0, "epoch": 1, "generator": torch_generator(0, "test")}
    objective.eval()(network, BATCH, **arguments)
    assert objective.sparsity.taken() == {}
    objective.train()(network, BATCH, **arguments)
    assert set(objective.sparsity.taken()) == {"mean_activation", "active_share", "dead_share"}
    objective(drawn_network(replace(PLAN, code=3)), BATCH, **arguments)
    assert objective.sparsity.taken() == {}
