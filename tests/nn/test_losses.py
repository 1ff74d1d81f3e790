"""The losses that count what is not observed, against a double loop over all cells."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from networks import drawn_network
from scipy.sparse import csr_array
from strategies import grid, small_ratings
from torch.profiler import ProfilerActivity, profile

from recsys_ae.nn.autoencoder import Architecture, Autoencoder, Reconstruction
from recsys_ae.nn.corruption import mask, of_unit_rows
from recsys_ae.nn.losses import SampledCrossEntropy, weighted_squared_error
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import numpy_generator, torch_generator


def network_of(n_columns: int) -> Autoencoder:
    """With two hidden layers, in float64."""
    return drawn_network(Architecture(n_columns, (4, 3), activation="tanh")).double()


def weighted_batch(matrix: csr_array) -> RowBatch:
    """The observed entries with weights that all differ, 0.5 to 3, in float64."""
    batch = RowBatch.of(matrix)
    return batch.with_values(torch.linspace(0.5, 3.0, len(batch.values), dtype=torch.float64))


def observed(batch: RowBatch) -> dict[tuple[int, int], float]:
    """(row, column) -> value of each observed cell."""
    cells = zip(batch.row_numbers().tolist(), batch.columns.tolist(), strict=True)
    return dict(zip(cells, batch.values.tolist(), strict=True))


def gradients(network: Autoencoder, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters()), allow_unused=True, retain_graph=True))


@given(small_ratings(min_observed=1))
def test_weighted_loss_and_gradient_are_those_of_all_cells_one_by_one(ratings):
    """Rows without entries, columns without entries and stored zeros included."""
    batch = weighted_batch(ratings.matrix)
    network, weights = network_of(ratings.n_items), observed(batch)
    reconstruction = network(batch)
    outputs = reconstruction.dense()
    expected = torch.zeros((), dtype=torch.float64)
    for row in range(ratings.n_users):
        for column in range(ratings.n_items):
            weight, target = weights.get((row, column), 1.0), float((row, column) in weights)
            expected = expected + weight * (outputs[row, column] - target) ** 2
    found = weighted_squared_error(reconstruction, batch)
    assert found.count == ratings.n_observed
    torch.testing.assert_close(found.sum, expected)
    for ours, theirs in zip(gradients(network, found.sum), gradients(network, expected), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_weighted_loss_keeps_its_digits_where_outputs_almost_cancel():
    """Large codes and weights whose products the biases take off again, in float32."""
    generator = torch_generator(4, "test")
    batch = RowBatch.of(grid(40, 201).matrix)
    network = drawn_network(Architecture(201, (8,))).decoder
    hidden = 3 + 1e-2 * torch.randn(40, 8, generator=generator)
    with torch.no_grad():
        network.last.bias.copy_(-3 * network.last.weight.sum(dim=1))
    found = weighted_squared_error(Reconstruction(hidden, None, hidden, network), batch)
    exact = network.double()
    expected = weighted_squared_error(
        Reconstruction(hidden.double(), None, hidden.double(), exact),
        batch.with_values(batch.values.double()),
    )
    assert float(found.sum.detach()) == pytest.approx(float(expected.sum.detach()), rel=1e-4)


def test_draws_are_unobserved_cells_once_each_with_the_weights_of_their_chances():
    """Over many draws each column comes as often as its chance says; never one whose chance is 0."""
    matrix = grid(12, 9).matrix
    batch = RowBatch.of(matrix)
    chances = torch.arange(9)
    loss = SampledCrossEntropy(chances, negatives=4)
    totals: Counter[tuple[int, int]] = Counter()
    n_times = 400
    for time in range(n_times):
        drawn = loss.draw(batch, torch_generator(time, "test"))
        cells = observed(drawn)
        assert len(cells) == len(drawn.values)
        assert not cells.keys() & observed(batch).keys()
        totals.update(cells)
        columns = np.repeat(np.arange(9), np.diff(drawn.column_starts.numpy())).tolist()
        by_column = zip(columns, drawn.rows.tolist(), drawn.values[drawn.order].tolist(), strict=True)
        assert list(by_column) == sorted((column, row, value) for (row, column), value in cells.items())
    sizes = np.diff(matrix.indptr)
    for row in range(12):
        for column in range(9):
            free = column > 0 and (row, column) not in observed(batch)
            expected = 4 * sizes[row] / 8 if free else 0.0
            assert totals[row, column] / n_times == pytest.approx(expected, rel=0.35)


@pytest.mark.parametrize("power", [0.0, 0.7])
def test_sampled_loss_is_in_expectation_that_of_all_unobserved_cells(power):
    batch = weighted_batch(grid(12, 9).matrix)
    network = network_of(9)
    reconstruction = network(batch)
    outputs, sizes = reconstruction.dense().detach().numpy(), batch.starts.diff().tolist()
    expected = 0.0
    for row in range(12):
        for column in range(9):
            if (row, column) in observed(batch):
                expected += math.log1p(math.exp(-outputs[row, column]))
            else:
                expected += 5 * sizes[row] / 9 * math.log1p(math.exp(outputs[row, column]))
    loss = SampledCrossEntropy((torch.arange(9) + 1.0) ** power, negatives=5)
    found = [loss(reconstruction, batch, torch_generator(n, "test")) for n in range(200)]
    assert found[0].count == len(batch.values)
    sums = np.array([float(each.sum.detach()) for each in found])
    assert abs(sums.mean() - expected) < 4 * sums.std() / np.sqrt(len(sums))
    assert 4 * sums.std() / np.sqrt(len(sums)) < 0.03 * expected


def test_the_same_generator_draws_the_same():
    batch = RowBatch.of(grid().matrix)
    loss = SampledCrossEntropy(torch.ones(15), negatives=3)
    first, again, other = (loss.draw(batch, torch_generator(seed, "test")) for seed in (1, 1, 2))
    assert observed(first) == observed(again)
    assert observed(first) != observed(other)


def test_a_row_in_which_all_is_observed_has_nothing_to_be_compared_with():
    batch = RowBatch.of(csr_array(np.ones((2, 3), dtype=np.float32)))
    loss = SampledCrossEntropy(torch.ones(3), negatives=4)
    network = drawn_network(Architecture(3, (2,)))
    reconstruction = network(batch)
    assert len(loss.draw(batch, torch_generator(0, "test")).values) == 0
    expected = torch.nn.functional.softplus(-reconstruction.dense()).sum()
    torch.testing.assert_close(loss(reconstruction, batch, torch_generator(0, "test")).sum, expected)


@pytest.mark.parametrize("loss", ["weighted", "sampled"])
def test_nothing_is_densified(loss):
    """What a step allocates grows with the observed entries, and is less than one block of all cells."""
    n_rows, n_columns = 600, 2000
    network = drawn_network(Architecture(n_columns, (4,)))

    def allocated(density: float) -> int:
        """Bytes, over all tensors that forward and backward make beside those of an empty batch's size."""
        rng = numpy_generator(0, "test")
        cells = np.sort(rng.choice(n_rows * n_columns, round(density * n_rows * n_columns), replace=False))
        starts = np.searchsorted(cells, np.arange(n_rows + 1) * n_columns)
        batch = RowBatch.of(
            csr_array((np.ones(len(cells)), cells % n_columns, starts), shape=(n_rows, n_columns))
        )
        function = weighted_squared_error
        if loss == "sampled":
            function = SampledCrossEntropy(torch.ones(n_columns), negatives=2)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            function(network(batch), batch, torch_generator(0, "test")).sum.backward()
        return sum(max(event.self_device_memory_usage, 0) or max(event.self_cpu_memory_usage, 0)
                   for event in profiler.events())  # fmt: skip

    sparse, denser = allocated(0.002), allocated(0.02)
    assert denser > 3 * sparse
    assert sparse < 4 * n_rows * n_columns


@given(small_ratings(min_observed=1))
def test_unit_rows_are_read_whatever_the_values(ratings):
    batch = weighted_batch(ratings.matrix)
    read = of_unit_rows(batch, torch_generator(0, "test"), corruption=lambda rows, generator: rows)
    sizes = Counter(batch.row_numbers().tolist())
    assert observed(read) == {cell: pytest.approx(1 / math.sqrt(sizes[cell[0]])) for cell in observed(batch)}
    hidden = of_unit_rows(
        batch,
        torch_generator(0, "test"),
        corruption=lambda rows, generator: mask(rows, generator, probability=0.5),
    )
    assert hidden.presence is not None
    np.testing.assert_allclose(hidden.values, read.values * hidden.presence)
