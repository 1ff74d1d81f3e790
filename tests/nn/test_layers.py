"""The layers on observed entries against the plain dense computation with a mask."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy.sparse import csr_array
from strategies import small_ratings

from recsys_ae.nn import layers
from recsys_ae.nn.layers import DenseLayers, SampledLinear, SparseLinear, _SampledProduct, _SparseProduct
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_generator


def entries(matrix: csr_array) -> list[tuple[int, int, float]]:
    """(row, column, value) of every stored cell, row by row."""
    return [
        (row, int(matrix.indices[place]), float(matrix.data[place]))
        for row in range(matrix.shape[0])
        for place in range(matrix.indptr[row], matrix.indptr[row + 1])
    ]


def double_batch(matrix: csr_array) -> RowBatch:
    batch = RowBatch.of(matrix)
    return batch.with_values(batch.values.double())


def dense_of(matrix: csr_array) -> torch.Tensor:
    """(rows, columns) float64, 0 where nothing is observed."""
    dense = torch.zeros(matrix.shape, dtype=torch.float64)
    for row, column, value in entries(matrix):
        dense[row, column] = value
    return dense


@given(small_ratings())
def test_batch_keeps_every_observed_entry_by_row_and_by_column(ratings):
    batch = RowBatch.of(ratings.matrix)
    stored = entries(ratings.matrix)
    rows = np.repeat(np.arange(batch.n_rows), np.diff(batch.starts.numpy()))
    assert list(zip(rows, batch.columns.tolist(), batch.values.tolist(), strict=True)) == stored
    columns = np.repeat(np.arange(batch.n_columns), np.diff(batch.column_starts.numpy()))
    by_column = zip(batch.rows.tolist(), columns, batch.values[batch.order].tolist(), strict=True)
    assert list(by_column) == sorted(stored, key=lambda entry: (entry[1], entry[0]))


@given(small_ratings())
def test_first_layer_is_the_dense_product(ratings):
    layer = SparseLinear(ratings.n_items, 3).double()
    torch.nn.init.normal_(layer.weight, generator=torch_generator(0, "test"))
    expected = dense_of(ratings.matrix) @ layer.weight + layer.bias
    torch.testing.assert_close(layer(double_batch(ratings.matrix)), expected)


@given(small_ratings())
def test_last_layer_is_the_dense_product_where_observed(ratings):
    layer = SampledLinear(3, ratings.n_items).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=torch_generator(1, "test"))
    hidden = torch.randn(ratings.n_users, 3, dtype=torch.float64, generator=torch_generator(2, "test"))
    dense = hidden @ layer.weight.T + layer.bias
    expected = [dense[row, column] for row, column, _ in entries(ratings.matrix)]
    found = layer.at(hidden, double_batch(ratings.matrix))
    torch.testing.assert_close(found, torch.stack(expected) if expected else found)
    torch.testing.assert_close(layer(hidden), dense)
    rows = torch.tensor([row for row, _, _ in entries(ratings.matrix)][::-1], dtype=torch.int64)
    columns = torch.tensor([column for _, column, _ in entries(ratings.matrix)][::-1], dtype=torch.int64)
    torch.testing.assert_close(layer.pairs(hidden, rows, columns), found.flip(0))


@given(small_ratings(min_observed=1))
def test_gradients_are_those_of_finite_differences(ratings):
    batch = double_batch(ratings.matrix)
    generator = torch_generator(0, "test")
    weights = [torch.randn(ratings.n_items, 2, dtype=torch.float64, generator=generator) for _ in range(2)]
    bias = torch.randn(ratings.n_items, dtype=torch.float64, generator=generator)

    def both(weight_in, weight_out, bias_out):
        hidden = torch.sigmoid(_SparseProduct.apply(weight_in, batch.values, batch))
        return _SampledProduct.apply(hidden, weight_out, bias_out, batch)

    assert torch.autograd.gradcheck(both, [tensor.requires_grad_() for tensor in (*weights, bias)])


@pytest.mark.parametrize("rows_at_once", [1, 2, 100])
@given(small_ratings(min_observed=1))
def test_multinomial_loss_and_gradient_are_those_of_a_log_softmax(rows_at_once, ratings):
    """Rows without entries and stored zeros included, whatever the blocks."""
    batch = double_batch(ratings.matrix)
    generator = torch_generator(3, "test")
    sizes = [(ratings.n_users, 3), (ratings.n_items, 3), (ratings.n_items,)]
    given = [torch.randn(size, dtype=torch.float64, generator=generator).requires_grad_() for size in sizes]
    shares = torch.log_softmax(given[0] @ given[1].T + given[2], dim=1)
    expected = -sum(shares[row, column] for row, column, _ in entries(ratings.matrix))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "_CELLS_AT_ONCE", rows_at_once * ratings.n_items)
        found = layers._MultinomialLoss.apply(*given, batch)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(
        *(torch.autograd.grad(3 * loss, given) for loss in (found, expected)), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_initial_weights_are_xavier_and_seeded():
    def layer_of(seed: int) -> torch.nn.Linear:
        layers = DenseLayers((300, 200), "relu")
        layers.start(torch_generator(seed, "test"))
        return layers.layers[0]

    layer = layer_of(3)
    bound = np.sqrt(6 / 500)
    assert layer.weight.shape == (200, 300)
    assert layer.weight.abs().max() <= bound
    assert abs(layer.weight.std() - bound / np.sqrt(3)) < 1e-3
    assert torch.equal(layer.weight, layer_of(3).weight)
    assert not torch.equal(layer.weight, layer_of(4).weight)


def test_nobody_is_told_that_sparse_tensors_are_in_beta():
    """torch warns once a process; what we use of them is tested here."""
    code = """
import numpy as np
from scipy.sparse import csr_array
from recsys_ae.nn.rows import RowBatch
batch = RowBatch.of(csr_array(np.eye(2, dtype=np.float32)))
batch.sparse(batch.values)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
