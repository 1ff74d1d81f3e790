"""Pairs of layers, each an autoencoder of its own, in the network that they are layers of."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from networks import drawn_network
from scipy.sparse import csr_array
from strategies import grid

from recsys_ae.nn.autoencoder import Architecture
from recsys_ae.nn.corruption import add_noise, keep_clean, mask
from recsys_ae.nn.pairs import CodeObjective, InnerPair, OuterPair, corrupted_codes, deviation, layer_pairs
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_generator

N = grid().n_items
BATCH = RowBatch.of(grid().matrix)


def plan(**changes) -> Architecture:
    return Architecture(N, (6, 5, 3), (5, 6), "sigmoid", presence=1.5, **changes)


def codes_by_hand(network, depth: int) -> np.ndarray:
    """(b, width) what the first `depth` layers make of the rows."""
    p = {name: tensor.double().numpy() for name, tensor in network.encoder.state_dict().items()}
    matrix = grid().matrix
    read = matrix.toarray().astype(np.float64)
    read[np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), matrix.indices] += 1.5
    h = 1 / (1 + np.exp(-(read @ p["first.weight"] + p["first.bias"])))
    for layer in range(depth - 1):
        h = 1 / (1 + np.exp(-(h @ p[f"rest.layers.{layer}.weight"].T + p[f"rest.layers.{layer}.bias"])))
    return h


def test_rows_that_are_all_observed_are_those_of_a_matrix_that_stores_every_cell():
    values = np.arange(12, dtype=np.float32).reshape(4, 3) - 5  # a 0 among them
    every = csr_array((values.ravel(), np.tile(np.arange(3), 4), np.arange(0, 13, 3)), shape=(4, 3))
    found, expected = RowBatch.of_dense(torch.from_numpy(values)), RowBatch.of(every)
    for name in ("starts", "columns", "values", "column_starts", "rows", "order"):
        mine, known = getattr(found, name), getattr(expected, name)
        assert mine.dtype == known.dtype
        assert torch.equal(mine, known)
    assert (found.n_rows, found.n_columns) == (4, 3)


@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_the_outer_pair_is_the_network_of_one_hidden_layer(anchored, tied):
    network = drawn_network(plan(anchored=anchored, tied=tied))
    shallow = drawn_network(Architecture(N, (6,), presence=1.5, anchored=anchored))
    weight, bias = map(torch.from_numpy, network.output_layer())
    own = {
        "encoder.first.weight": network.encoder.first.weight,
        "encoder.first.bias": network.encoder.first.bias,
    }
    shallow.load_state_dict(own | {"decoder.last.weight": weight, "decoder.last.bias": bias})
    outer = layer_pairs(network)[0]
    with torch.no_grad():
        found, expected = outer(BATCH), shallow(BATCH)
    for name in ("code", "hidden"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))
    torch.testing.assert_close(found.at(BATCH), expected.at(BATCH))
    torch.testing.assert_close(found.dense(), expected.dense())


@pytest.mark.parametrize("number", [2, 3])
def test_an_inner_pair_undoes_what_its_layer_makes_of_the_layers_below(number):
    network = drawn_network(plan())
    pair = layer_pairs(network)[number - 1]
    p = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    inward, outward = f"encoder.rest.layers.{number - 2}", f"decoder.hidden.layers.{3 - number}"
    codes = codes_by_hand(network, number - 1)
    hidden = 1 / (1 + np.exp(-(codes @ p[f"{inward}.weight"].T + p[f"{inward}.bias"])))
    expected = 1 / (1 + np.exp(-(hidden @ p[f"{outward}.weight"].T + p[f"{outward}.bias"])))
    with torch.no_grad():
        np.testing.assert_allclose(pair.inputs(BATCH), codes, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(pair(pair.inputs(BATCH)), expected, rtol=1e-4, atol=1e-5)
        term = CodeObjective(keep_clean)(pair, BATCH, step=0, epoch=1, generator=torch_generator(0, "test"))
    total = 0.0
    for row, code in zip(expected, codes, strict=True):
        for mine, clean in zip(row, code, strict=True):
            total += (mine - clean) ** 2
    assert set(term) == {"reconstruction"}
    assert float(term["reconstruction"].sum) == pytest.approx(total / codes.var(), rel=1e-4)
    assert term["reconstruction"].count == codes.size


@pytest.mark.parametrize("tied", [False, True])
def test_pairs_share_out_the_parameters_and_each_learns_alone(tied):
    network = drawn_network(plan(tied=tied))
    pairs = layer_pairs(network)
    assert [type(pair) for pair in pairs] == [OuterPair, InnerPair, InnerPair]
    owned = [parameter for pair in pairs for parameter in pair.parameters()]
    assert sorted(map(id, owned)) == sorted(map(id, network.parameters()))
    objective = CodeObjective(partial(mask, probability=0.5))
    for pair in pairs[1:]:
        network.zero_grad(set_to_none=True)
        terms = objective(pair, BATCH, step=0, epoch=1, generator=torch_generator(0, "test"))
        objective.backward(pair, terms)
        moved = {id(parameter) for parameter in network.parameters() if parameter.grad is not None}
        assert moved == {id(parameter) for parameter in pair.parameters()}
        assert all(parameter.grad.abs().max() > 0 for parameter in pair.parameters())


def test_codes_are_corrupted_in_units_of_their_own_deviation():
    codes = 7 + 0.01 * torch.randn(300, 200, generator=torch_generator(0, "test"))
    unit = deviation(codes)
    noisy = corrupted_codes(codes, unit, partial(add_noise, deviation=0.4), torch_generator(1, "test"))
    assert float((noisy - codes).std()) == pytest.approx(0.004, rel=0.02)
    masked = corrupted_codes(codes, unit, partial(mask, probability=0.3), torch_generator(1, "test"))
    hidden = masked == 0
    assert float(hidden.float().mean()) == pytest.approx(0.3, abs=0.01)
    torch.testing.assert_close(masked[~hidden], codes[~hidden] / 0.7)
    alike = torch.full((3, 2), 0.5)
    assert deviation(alike) == 1.0


def test_the_layers_below_read_the_rows_as_they_are():
    """What is compared with is clean, and what is corrupted is the pair's own input."""
    network = drawn_network(plan())
    pair = layer_pairs(network)[1]
    corruption = partial(mask, probability=0.5)
    term = CodeObjective(corruption)(pair, BATCH, step=0, epoch=1, generator=torch_generator(3, "test"))
    codes = torch.from_numpy(codes_by_hand(network, 1)).float()
    draws = torch.rand(codes.numel(), generator=torch_generator(3, "test")).view_as(codes)
    with torch.no_grad():
        outputs = pair(codes * (draws >= 0.5) / 0.5)
    expected = ((outputs - codes) ** 2).sum() / codes.var(correction=0)
    torch.testing.assert_close(term["reconstruction"].sum.detach(), expected, rtol=1e-4, atol=1e-5)
