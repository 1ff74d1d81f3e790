"""The contractive penalty against explicit Jacobians."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import drawn_network
from pydantic import ValidationError
from scipy.sparse import csr_array
from strategies import grid

from recsys_ae.models.configs import ItemAutoRecConfig, UserAutoRecConfig
from recsys_ae.nn.autoencoder import Architecture, Autoencoder
from recsys_ae.nn.layers import ACTIVATIONS
from recsys_ae.nn.penalties import ContractivePenalty, Sizes
from recsys_ae.nn.rows import RowBatch

MATRIX: csr_array = grid().matrix
SIZES = Sizes(code=5, entries=48, rows=12, columns=8)
SHARE = 0.7 * (48 / 12) / 8 / 5  # weight, entries per row, over columns and units


def network_of(activation: str, presence: float | None, *, anchored: bool = False) -> Autoencoder:
    plan = Architecture(MATRIX.shape[1], (5,), activation=activation, presence=presence, anchored=anchored)
    return drawn_network(plan).double()


def squared_jacobians(network: Autoencoder, activation: str) -> float:
    """Sum over rows of the squared Jacobian of the code by the values of all columns, from dense rows."""
    weights = dict(network.encoder.first.named_parameters())
    presence = network.encoder.first.presence
    seen = torch.zeros(MATRIX.shape, dtype=torch.float64)
    seen[np.repeat(np.arange(MATRIX.shape[0]), np.diff(MATRIX.indptr)), MATRIX.indices] = 1.0
    of_presence = weights["presence_weight"] if presence is None else presence * weights["weight"]

    def code(values: torch.Tensor, row: int) -> torch.Tensor:
        raw = values @ weights["weight"] + seen[row] @ of_presence + weights["bias"]
        return ACTIVATIONS[activation](raw)

    dense = torch.from_numpy(MATRIX.toarray()).double()
    jacobians = [
        torch.autograd.functional.jacobian(lambda values, row=row: code(values, row), dense[row])
        for row in range(len(dense))
    ]
    assert jacobians[0].shape == (5, MATRIX.shape[1])
    return float(sum(jacobian.square().sum() for jacobian in jacobians))


def told(network: Autoencoder):
    batch = RowBatch.of(MATRIX)
    reconstruction = network(batch.with_values(batch.values.double()))
    return ContractivePenalty(0.7, SIZES)(network, reconstruction, step=0, epoch=1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("presence", [1.5, None])
def test_it_is_the_explicit_jacobian_of_every_row(activation, presence):
    network = network_of(activation, presence)
    term = told(network)
    assert term.count == MATRIX.shape[0]
    expected = SHARE * squared_jacobians(network, activation)
    assert float(term.sum.detach()) == pytest.approx(expected, rel=1e-10)
    anchored = told(network_of(activation, presence, anchored=True))
    assert float(anchored.sum.detach()) == float(term.sum.detach())


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "elu", "identity"])
def test_its_gradient_is_that_of_finite_differences(activation):
    network = network_of(activation, 1.5)
    first = network.encoder.first
    found = torch.autograd.grad(told(network).value, [first.weight, first.bias], materialize_grads=True)
    for parameter, gradient in zip((first.weight, first.bias), found, strict=True):
        flat = parameter.data.view(-1)
        for place in np.random.default_rng(0).integers(0, len(flat), 8):
            kept, values = flat[place].item(), []
            for change in (1e-5, -1e-5):
                flat[place] = kept + change
                values.append(float(told(network).value.detach()))
            flat[place] = kept
            expected = (values[0] - values[1]) / 2e-5
            assert gradient.reshape(-1)[place].item() == pytest.approx(expected, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("kind", [ItemAutoRecConfig, UserAutoRecConfig])
def test_it_is_refused_beyond_one_hidden_layer(kind):
    kind(hidden=(50,), activation="relu", penalty={"kind": "contractive"})
    with pytest.raises(ValidationError, match=r"penalty 'contractive' .*hidden has 2; give hidden one width"):
        kind(hidden=(50, 20), penalty={"kind": "contractive"})
