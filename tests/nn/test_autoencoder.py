"""The whole network, its objective and its corruptions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from networks import drawn_network
from scipy.sparse import csr_array
from strategies import grid, small_ratings

from recsys_ae.nn.autoencoder import Architecture, Autoencoder
from recsys_ae.nn.corruption import add_noise, keep_clean, mask
from recsys_ae.nn.layers import ACTIVATIONS
from recsys_ae.nn.losses import masked_squared_error
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_generator


def network_of(n_columns: int, widths=(4,), activation="sigmoid", limits=None, decoder=()) -> Autoencoder:
    return drawn_network(Architecture(n_columns, widths, decoder, activation, limits))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("widths", "decoder"), [((3,), ()), ((4, 2, 3), ()), ((4, 2), (3, 5))])
@pytest.mark.parametrize("limits", [None, (-1.0, 6.0)])
def test_output_is_the_formula_of_the_paper(activation, widths, decoder, limits):
    """f(W g(V r + mu) + b) in numpy, with every matrix dense; deeper networks repeat g."""
    functions = {
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "relu": lambda x: np.maximum(x, 0),
        "tanh": np.tanh,
        "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
        "identity": lambda x: x,
    }
    matrix, network = grid().matrix, network_of(grid().n_items, widths, activation, limits, decoder)
    p = {name: tensor.numpy().astype(np.float64) for name, tensor in network.state_dict().items()}
    hidden = functions[activation](matrix.toarray() @ p["encoder.first.weight"] + p["encoder.first.bias"])
    for name in [f"encoder.rest.layers.{layer}" for layer in range(len(widths) - 1)]:
        hidden = functions[activation](hidden @ p[f"{name}.weight"].T + p[f"{name}.bias"])
    code = hidden
    for name in [f"decoder.hidden.layers.{layer}" for layer in range(len(decoder))]:
        hidden = functions[activation](hidden @ p[f"{name}.weight"].T + p[f"{name}.bias"])
    expected = hidden @ p["decoder.last.weight"].T + p["decoder.last.bias"]
    if limits:
        expected = limits[0] + (limits[1] - limits[0]) * functions["sigmoid"](expected)
    with torch.no_grad():
        reconstruction = network(RowBatch.of(matrix))
        np.testing.assert_allclose(reconstruction.code, code, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(reconstruction.hidden, hidden, rtol=1e-4, atol=1e-5)
        assert reconstruction.posterior is None
        np.testing.assert_allclose(reconstruction.dense().numpy(), expected, rtol=1e-4, atol=1e-5)
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        at = reconstruction.at(RowBatch.of(matrix)).numpy()
        np.testing.assert_allclose(at, expected[rows, matrix.indices], rtol=1e-4, atol=1e-5)
        pairs = reconstruction.pairs(torch.tensor([2, 0, 2]), torch.tensor([5, 5, 1])).numpy()
        np.testing.assert_allclose(pairs, expected[[2, 0, 2], [5, 5, 1]], rtol=1e-4, atol=1e-5)
    weight, bias = network.output_layer()
    np.testing.assert_array_equal(weight, network.decoder.last.weight.detach())
    np.testing.assert_array_equal(bias, network.decoder.last.bias.detach())


def test_every_parameter_gets_the_gradient_of_the_dense_masked_loss():
    matrix, network = grid().matrix, network_of(grid().n_items, (4, 3)).double()
    dense, known = torch.from_numpy(matrix.toarray()).double(), torch.zeros(matrix.shape, dtype=torch.bool)
    known[np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), matrix.indices] = True
    hidden = torch.sigmoid(dense @ network.encoder.first.weight + network.encoder.first.bias)
    hidden = torch.sigmoid(network.encoder.rest.layers[0](hidden))
    loss = ((network.decoder.last(hidden) - dense)[known] ** 2).mean()
    expected = torch.autograd.grad(loss, list(network.parameters()))

    batch = RowBatch.of(matrix)
    batch = batch.with_values(batch.values.double())
    term = Objective()(network, batch, step=0, epoch=1, generator=torch_generator(0, "test"))[
        "reconstruction"
    ]
    found = torch.autograd.grad(term.value, list(network.parameters()))
    for mine, dense_one in zip(found, expected, strict=True):
        assert dense_one.abs().max() > 0
        torch.testing.assert_close(mine, dense_one)


@given(small_ratings(min_observed=1))
def test_loss_is_the_double_loop_over_observed_entries(ratings):
    reconstruction = network_of(ratings.n_items)(RowBatch.of(ratings.matrix))
    term = masked_squared_error(reconstruction, RowBatch.of(ratings.matrix))
    outputs = reconstruction.dense().tolist()
    expected = 0.0
    for row in range(ratings.n_users):
        for place in range(ratings.matrix.indptr[row], ratings.matrix.indptr[row + 1]):
            expected += (outputs[row][ratings.columns[place]] - float(ratings.values[place])) ** 2
    assert term.count == ratings.n_observed
    assert float(term.sum.detach()) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("presence", [2.5, None])
def test_presence_is_an_input_of_its_own(presence):
    """Tied to the weights of the values as a constant beside them, or with weights of its own; a hidden entry
    is seen neither way."""
    matrix = grid().matrix
    network = drawn_network(Architecture(grid().n_items, (4,), presence=presence))
    observed = np.zeros(matrix.shape)
    observed[np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)), matrix.indices] = 1.0
    p = {name: tensor.numpy() for name, tensor in network.encoder.state_dict().items()}
    assert ("first.presence_weight" in p) == (presence is None)
    of_presence = p["first.presence_weight"] if presence is None else presence * p["first.weight"]
    raw = matrix.toarray() @ p["first.weight"] + observed @ of_presence + p["first.bias"]
    batch = RowBatch.of(matrix)
    with torch.no_grad():
        np.testing.assert_allclose(network(batch).code, 1 / (1 + np.exp(-raw)), atol=1e-5)
        hidden = mask(batch, torch_generator(0, "test"), probability=0.5)
        left = csr_array((hidden.values.numpy(), matrix.indices, matrix.indptr), shape=matrix.shape)
        kept = csr_array((hidden.presence.numpy(), matrix.indices, matrix.indptr), shape=matrix.shape)
        assert set(np.unique(kept.data)) == {0.0, 2.0}
        raw = left.toarray() @ p["first.weight"] + kept.toarray() @ of_presence + p["first.bias"]
        np.testing.assert_allclose(network(hidden).code, 1 / (1 + np.exp(-raw)), atol=1e-5)


@pytest.mark.parametrize("decoder", [(), (3, 5)])
def test_an_anchored_network_reads_how_a_row_differs_from_an_empty_one(decoder):
    plan = Architecture(grid().n_items, (4, 2), decoder, presence=1.5)
    free, anchored = drawn_network(plan), drawn_network(replace(plan, anchored=True))
    rows, empty = RowBatch.of(grid().matrix), RowBatch.of(csr_array((1, grid().n_items), dtype=np.float32))
    with torch.no_grad():
        expected = free(rows).hidden - free(empty).hidden
        torch.testing.assert_close(anchored(rows).hidden, expected)
        torch.testing.assert_close(anchored(empty).dense()[0], anchored.decoder.last.bias)


def test_a_new_network_says_the_means_and_knows_observed_columns_only():
    """What it draws for them does not depend on how many others there are."""
    observed = np.array([True, False, True, True, False])
    means = np.array([1.0, 2.0, 3.0, 4.0, 2.5])

    def started(n_columns: int, observed=None, means=None) -> Autoencoder:
        plan = Architecture(n_columns, (4, 3), (2,), limits=(0.0, 5.0), presence=None)
        return Autoencoder.build(plan).start(torch_generator(0, "test"), observed=observed, means=means)

    network = started(5, observed, means)
    batch = RowBatch.of(csr_array(np.array([[1.0, 0.0, 2.0, 0.0, 0.0], [0.0, 4.0, 0.0, 0.0, 1.0]])))
    with torch.no_grad():
        np.testing.assert_allclose(network(batch).dense(), np.tile(means, (2, 1)), rtol=1e-5)
    small = started(3)
    for name in ("encoder.first.weight", "encoder.first.presence_weight"):
        weight = network.state_dict()[name].numpy()
        assert not weight[~observed].any()
        assert weight[observed].all()
        np.testing.assert_array_equal(weight[observed], small.state_dict()[name])
    assert network.encoder.rest.layers[0].weight.all()
    np.testing.assert_array_equal(
        network.decoder.hidden.layers[0].weight.detach(), small.decoder.hidden.layers[0].weight.detach()
    )


def long_batch(n: int = 200_000) -> RowBatch:
    values = np.full(n, 3.0, dtype=np.float32)
    return RowBatch.of(csr_array((values, np.arange(n), np.array([0, n])), shape=(1, n)))


def test_masking_hides_the_stated_share_and_keeps_the_expectation():
    values = mask(long_batch(), torch_generator(0, "test"), probability=0.3).values
    assert set(np.unique(values.numpy()).round(4)) == {0.0, np.float32(3 / 0.7).round(4)}
    assert float((values == 0).float().mean()) == pytest.approx(0.3, abs=0.005)
    assert float(values.mean()) == pytest.approx(3.0, abs=0.03)


def test_noise_has_the_stated_deviation():
    noise = add_noise(long_batch(), torch_generator(0, "test"), deviation=0.4).values - 3.0
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.005)
    assert float(noise.std()) == pytest.approx(0.4, abs=0.005)


@pytest.mark.parametrize("corrupt", [keep_clean, lambda b, g: mask(b, g, probability=0.9)])
def test_target_stays_clean_and_the_batch_untouched(corrupt):
    """With weights of zero the output is the bias, whatever the input: the loss must be that of the clean
    values."""
    batch = RowBatch.of(grid().matrix)
    before = batch.values.clone()
    network = network_of(batch.n_columns)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    objective = Objective(corruption=corrupt)
    term = objective(network, batch, step=0, epoch=1, generator=torch_generator(0, "test"))["reconstruction"]
    assert term.sum.item() == pytest.approx((before**2).sum().item())
    assert torch.equal(batch.values, before)


def test_unstretch_is_the_inverse_of_stretch():
    network = network_of(3, limits=(1.0, 5.0)).decoder
    outputs = torch.linspace(1.1, 4.9, 9)
    torch.testing.assert_close(network.stretch(network.unstretch(outputs)), outputs)
    assert torch.isfinite(network.unstretch(torch.tensor([1.0, 5.0]))).all()


def test_codes_are_drawn_from_their_posterior_in_training_and_are_its_mean_otherwise():
    network = drawn_network(Architecture(grid().n_items, (5,), code=3))
    batch = RowBatch.of(grid().matrix)
    told = network.eval()(batch)
    torch.testing.assert_close(told.code, told.posterior.mean)
    network.train()
    generator = torch_generator(2, "test")
    draws = torch.stack([network(batch, generator).code.detach() for _ in range(4000)])
    torch.testing.assert_close(draws.mean(dim=0), told.posterior.mean, atol=0.1, rtol=0)
    torch.testing.assert_close(draws.var(dim=0), told.posterior.log_variance.exp(), atol=0, rtol=0.15)
