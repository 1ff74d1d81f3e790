"""Training on reconstructions: against rows that are written out, cell by cell."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from networks import drawn_network
from pydantic import ValidationError
from strategies import grid, small_ratings
from synthetic import low_rank
from toys import train

from recsys_ae.data.ratings import select_rows
from recsys_ae.models import configs as c
from recsys_ae.models.autorec import start_network
from recsys_ae.models.biases import Biases
from recsys_ae.models.parts import make_objective
from recsys_ae.nn import refeeding
from recsys_ae.nn.autoencoder import Architecture, Autoencoder
from recsys_ae.nn.corruption import mask
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_generator

PLANS = {
    "plain": Architecture(grid().n_items, (4,), presence=0.0),
    "tied": Architecture(grid().n_items, (4, 3), presence=2.5, anchored=True),
    "free": Architecture(grid().n_items, (4,), (3,), "tanh", presence=None, limits=(-1.0, 6.0)),
}


def clean_batch() -> RowBatch:
    batch = RowBatch.of(grid().matrix)
    return batch.with_values(batch.values.double())


def observed() -> torch.Tensor:
    """(b, n_columns) float64, 1 where an entry is stored."""
    cells = torch.zeros(grid().matrix.shape, dtype=torch.float64)
    cells[grid().rows(), grid().columns.astype(np.int64)] = 1.0
    return cells


def written_out(network: Autoencoder, values: torch.Tensor) -> torch.Tensor:
    """f of rows with a value in every cell, of which the stored entries alone are present."""
    first, present = network.encoder.first, observed()
    of_presence = first.presence_weight if first.presence is None else first.presence * first.weight
    squash = network.encoder.activation

    def hidden(raw: torch.Tensor) -> torch.Tensor:
        for layer in network.encoder.rest.layers:
            raw = (
                squash(layer(squash(raw))) if layer is network.encoder.rest.layers[0] else squash(layer(raw))
            )
        code = raw if len(network.encoder.rest.layers) else squash(raw)
        for layer in network.decoder.hidden.layers:
            code = squash(layer(code))
        return code

    read = hidden(values @ first.weight + present @ of_presence + first.bias)
    if network.architecture.anchored:
        read = read - hidden(first.bias[None])
    outputs = read @ network.decoder.last.weight.T + network.decoder.last.bias
    return network.decoder.stretch(outputs)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("cells", [1, 40, 10**6])
def test_gradient_is_that_of_the_dense_computation(name, times, cells, monkeypatch):
    """Whatever the blocks; the target is a constant, and columns that nobody knows are no part of it."""
    monkeypatch.setattr(refeeding, "_CELLS_AT_ONCE", cells)
    network = drawn_network(PLANS[name]).double()
    known = torch.arange(grid().n_items) != 4
    sparse = torch.zeros(grid().matrix.shape, dtype=torch.float64)
    sparse[grid().rows(), grid().columns.astype(np.int64)] = clean_batch().values
    with torch.no_grad():
        target = sparse
        for _ in range(times):
            target = written_out(network, target) * known
    errors = (written_out(network, target) - target)[:, known]
    expected = torch.autograd.grad(errors.square().mean(), list(network.parameters()), allow_unused=True)
    term = refeeding.add_gradient(network, clean_batch(), known, times=times)
    assert float(term.value) == pytest.approx(float(errors.detach().square().mean()), rel=1e-9)
    assert term.count == errors.numel()
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
        assert gradient.abs().max() > 0


@given(small_ratings())
def test_a_part_of_a_batch_is_the_batch_of_those_rows(ratings):
    batch = mask(RowBatch.of(ratings.matrix), torch_generator(0, "test"), probability=0.5)
    first, end = ratings.n_users // 3, ratings.n_users
    found, alone = batch.part(first, end), RowBatch.of(select_rows(ratings.matrix, np.arange(first, end)))
    for name in ("starts", "columns", "column_starts", "rows", "order"):
        assert torch.equal(getattr(found, name), getattr(alone, name)), name
        assert getattr(found, name).dtype == getattr(alone, name).dtype
    inside = slice(int(batch.starts[first]), int(batch.starts[end]))
    for name in ("values", "presence", "corrupted"):
        assert torch.equal(getattr(found, name), getattr(batch, name)[inside])


def restlessness(network: Autoencoder, rows: RowBatch) -> float:
    """The mean of (f(f(x)) - f(x))² over all cells."""
    known = torch.ones(rows.n_columns, dtype=torch.bool)
    learning = deepcopy(network).requires_grad_(True)
    return float(refeeding.add_gradient(learning, rows, known, times=1).value)


@pytest.mark.parametrize("times", [1, 2])
def test_a_network_trained_so_leaves_its_own_reconstructions_alone(times):
    """The term is one of the curve, each of whose steps is followed by so many more."""
    ratings = low_rank(60, 40, rank=2, density=0.4, noise=0.1, seed=1)
    training = c.TrainingConfig(epochs=20, learning_rate=1e-2, patience=None)
    config = c.UserAutoRecConfig(hidden=(8,), l2=1.0, corruption=None, training=training)
    plain = train(config, ratings)
    update = {"training": training.model_copy(update={"refeed": times})}
    refed = train(config.model_copy(update=update), ratings)
    assert set(plain.epochs[0].terms) == {"reconstruction", "l2"}
    assert set(refed.epochs[0].terms) == {"reconstruction", "l2", "refeed"}
    assert refed.epochs[0].n_steps == plain.epochs[0].n_steps
    assert refed.epochs[-1].terms["reconstruction"] < 0.9 * refed.epochs[0].terms["reconstruction"]
    rows = RowBatch.of(plain.model.biases.removed_from(ratings).matrix)
    assert restlessness(refed.model.network, rows) < 0.6 * restlessness(plain.model.network, rows)


@pytest.mark.parametrize("kind", [c.ItemAutoRecConfig, c.UserAutoRecConfig])
def test_training_is_a_step_on_the_rows_and_a_step_on_what_it_then_makes_of_them(kind):
    """Written out for one batch of all rows: the second step has a gradient of its own, without penalty."""
    ratings = low_rank(30, 20, rank=2, density=0.4, noise=0.1, seed=1)
    training = c.TrainingConfig(epochs=12, min_steps=1, learning_rate=0.05, refeed=2)
    config = kind(hidden=(4,), l2=30.0, corruption=None, debias=None, training=training)
    rows = Biases.of_mean(ratings).removed_from(ratings)
    rows = rows.transposed() if kind is c.ItemAutoRecConfig else rows
    network, batch = start_network(config, rows, seed=3), RowBatch.of(rows.matrix)
    objective = make_objective(config, rows)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    sums = []
    for epoch in range(1, 13):
        optimizer.zero_grad()
        terms = objective(network, batch, step=epoch - 1, epoch=epoch, generator=torch_generator(0, "test"))
        objective.backward(network, terms)
        optimizer.step()
        refed = []
        for again in (0, 1):
            with torch.no_grad():
                target = network(batch).dense()
                target = network.reread(target, batch).dense() if again else target
            loss = (network.reread(target, batch).dense() - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            refed.append(float(loss.detach()))
        sums.append([float(terms["reconstruction"].value.detach()), float(np.mean(refed))])
    found = train(config, ratings, seed=3).epochs
    told = [[epoch.terms["reconstruction"], epoch.terms["refeed"]] for epoch in found]
    np.testing.assert_allclose(told, sums, rtol=1e-3, atol=1e-6)
    assert sums[-1][1] > 1e-5


@pytest.mark.parametrize("kind", [c.MultDAEConfig, c.MultVAEConfig])
def test_likes_are_not_fed_back(kind):
    with pytest.raises(ValidationError, match=r"training.refeed.* set training.refeed: 0"):
        kind(training=c.TrainingConfig(refeed=1))
