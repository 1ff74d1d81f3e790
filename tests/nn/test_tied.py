"""Decoders that have the encoder's weights, read the other way, and hidden units that are dropped."""

from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import drawn_network
from strategies import grid

from recsys_ae.nn.autoencoder import Architecture, Autoencoder
from recsys_ae.nn.layers import dropped
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_generator

N = grid().n_items
PLAN = Architecture(N, (5, 4, 3), (4, 5), "tanh", presence=1.5, anchored=True, tied=True)
BATCH = RowBatch.of(grid().matrix)


def output_by_hand(network: Autoencoder) -> np.ndarray:
    """W₁ (h - h₀) + b in numpy, where h is made of the row and h₀ of an empty one, inwards by Wᵢ and outwards
    by the transpose of the same, and W₁ is the matrix that the first layer has."""
    p = {name: tensor.double().numpy() for name, tensor in network.state_dict().items()}
    matrix = grid().matrix
    observed = np.zeros(matrix.shape)
    observed[np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), matrix.indices] = 1.0

    inward = [f"encoder.rest.layers.{layer}" for layer in (0, 1)]
    outward = [f"decoder.hidden.layers.{layer}" for layer in (0, 1)]

    def hidden(read: np.ndarray) -> np.ndarray:
        h = np.tanh(read @ p["encoder.first.weight"] + p["encoder.first.bias"])
        for layer in inward:
            h = np.tanh(h @ p[f"{layer}.weight"].T + p[f"{layer}.bias"])
        for layer, undone in zip(outward, reversed(inward), strict=True):
            h = np.tanh(h @ p[f"{undone}.weight"] + p[f"{layer}.bias"])
        return h

    read = hidden(matrix.toarray() + 1.5 * observed) - hidden(np.zeros((1, N)))
    return read @ p["encoder.first.weight"].T + p["decoder.last.bias"]


def test_a_tied_decoder_is_the_transpose_of_the_encoder():
    network = drawn_network(PLAN)
    with torch.no_grad():
        np.testing.assert_allclose(network(BATCH).dense(), output_by_hand(network), rtol=1e-4, atol=1e-5)
        rows = torch.repeat_interleave(torch.arange(BATCH.n_rows), BATCH.starts.diff())
        at = output_by_hand(network)[rows, BATCH.columns]
        np.testing.assert_allclose(network(BATCH).at(BATCH), at, rtol=1e-4, atol=1e-5)
    weight, bias = network.output_layer()
    np.testing.assert_array_equal(weight, network.encoder.first.weight.detach())
    np.testing.assert_array_equal(bias, network.decoder.last.bias.detach())


def test_tied_weights_halve_the_matrices_in_memory_and_on_disk():
    tied = drawn_network(PLAN)
    free = drawn_network(replace(PLAN, tied=None))

    def cells(shapes) -> int:
        return sum(int(np.prod(shape)) for shape in shapes if len(shape) == 2)

    assert 2 * cells(p.shape for p in tied.parameters()) == cells(p.shape for p in free.parameters())
    stored, of_free = tied.copied_parameters(), free.copied_parameters()
    assert 2 * cells(a.shape for a in stored.values()) == cells(a.shape for a in of_free.values())
    biases = [{k: a.shape for k, a in each.items() if a.ndim == 1} for each in (stored, of_free)]
    assert biases[0] == biases[1]


@pytest.mark.parametrize(
    "moved",
    [
        lambda network: network.to(torch.float64),
        lambda network: network.to("meta").to_empty(device="cpu"),
        deepcopy,
        lambda network: network.frozen_copy(),
        lambda network: pickle.loads(pickle.dumps(network)),
        lambda network: Autoencoder.from_parameters(PLAN, network.copied_parameters()),
    ],
    ids=["double", "device", "deepcopy", "frozen", "pickle", "stored"],
)
def test_tied_weights_stay_tied_wherever_a_network_goes(moved):
    """And those of a copy are its own."""
    network = drawn_network(PLAN)
    before = output_by_hand(network)
    copy = moved(network)
    with torch.no_grad():
        for number, parameter in enumerate(copy.parameters()):
            generator = torch_generator(number, "test")
            parameter.copy_(torch.empty(parameter.shape).normal_(std=0.5, generator=generator))
        batch = BATCH.with_values(BATCH.values.to(next(copy.parameters()).dtype))
        np.testing.assert_allclose(copy(batch).dense(), output_by_hand(copy), rtol=1e-4, atol=1e-5)
    assert copy.decoder.last.matrix is copy.encoder.first.weight
    if copy is not network:
        np.testing.assert_array_equal(output_by_hand(network), before)


def test_a_decoder_that_is_no_mirror_cannot_be_tied():
    for plan in (replace(PLAN, decoder=(4,)), replace(PLAN, decoder=(5, 4)), replace(PLAN, code=2)):
        with pytest.raises(ValueError, match="no mirror"):
            Autoencoder.build(plan)


@pytest.mark.parametrize("encoder", [(5,), (6, 3)])
def test_a_tied_network_begins_near_the_means_and_can_leave_them(encoder):
    """Not at them, where no gradient would lead away; columns without ratings keep to theirs."""
    observed = np.arange(N) % 3 > 0
    means = np.linspace(-1, 1, N)
    plan = Architecture(N, encoder, encoder[-2::-1], "sigmoid", presence=4.0, anchored=True, tied=True)
    network = Autoencoder.build(plan).start(torch_generator(0, "test"), means=means, observed=observed)
    outputs = network(BATCH).dense().detach().numpy() - means
    assert 0 < np.abs(outputs[:, observed]).max() < 0.1
    np.testing.assert_allclose(outputs[:, ~observed], 0, atol=1e-6)
    (network(BATCH).at(BATCH) - BATCH.values).square().mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_dropping_zeroes_the_stated_share_and_keeps_the_expectation():
    hidden = dropped(torch.full((500, 400), 3.0), probability=0.3, generator=torch_generator(0, "test"))
    assert set(np.unique(hidden.numpy()).round(4)) == {0.0, np.float32(3 / 0.7).round(4)}
    assert float((hidden == 0).float().mean()) == pytest.approx(0.3, abs=0.005)


@pytest.mark.parametrize("anchored", [False, True])
def test_every_layer_but_the_first_reads_what_dropping_leaves(anchored):
    """An empty row keeps its units, and the output layer reads none of a dropped one."""
    network = drawn_network(replace(PLAN, anchored=anchored, tied=None))
    g = torch_generator(4, "test")
    layers = [*network.encoder.rest.layers, *network.decoder.hidden.layers]
    hidden = torch.tanh(network.encoder.first(BATCH))
    for layer in layers:
        hidden = torch.tanh(layer(dropped(hidden, probability=0.4, generator=g)))
    if anchored:
        hidden = hidden - network.decoder(network.encoder.of_empty_row())
    expected = network.decoder.last(dropped(hidden, probability=0.4, generator=g))
    found = network(BATCH, torch_generator(4, "test"), dropout=0.4)
    torch.testing.assert_close(found.dense(), expected)
    objective = Objective(hidden_dropout=0.4)
    term = objective(network, BATCH, step=0, epoch=1, generator=torch_generator(4, "test"))["reconstruction"]
    rows = torch.repeat_interleave(torch.arange(BATCH.n_rows), BATCH.starts.diff())
    errors = expected[rows, BATCH.columns.long()] - BATCH.values
    torch.testing.assert_close(term.sum, errors.square().sum())


def test_the_layer_of_drawn_codes_reads_what_dropping_leaves_too():
    plan = replace(PLAN, decoder=(), anchored=False, tied=None, code=2)
    network = drawn_network(plan).eval()  # the code is its mean
    g = torch_generator(4, "test")
    hidden = torch.tanh(network.encoder.first(BATCH))
    for layer in network.encoder.rest.layers:
        hidden = torch.tanh(layer(dropped(hidden, probability=0.4, generator=g)))
    mean, _ = network.bottleneck.posterior(dropped(hidden, probability=0.4, generator=g)).chunk(2, dim=1)
    found = network(BATCH, torch_generator(4, "test"), dropout=0.4)
    torch.testing.assert_close(found.code, mean)
    torch.testing.assert_close(found.hidden, dropped(mean, probability=0.4, generator=g))
