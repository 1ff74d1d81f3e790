"""Data terms: how far a reconstruction is from the clean rows, as sum and count."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from recsys_ae.nn.autoencoder import Reconstruction
from recsys_ae.nn.rows import RowBatch
from recsys_ae.types import Mean


class Loss(Protocol):
    """A data term. `clean`: rows that say what was corrupted of them for the network to read. `generator`: of
    what a loss draws; others need none."""

    def __call__(
        self, reconstruction: Reconstruction, clean: RowBatch, generator: torch.Generator | None = None, /
    ) -> Mean: ...


def masked_squared_error(
    reconstruction: Reconstruction, clean: RowBatch, generator: torch.Generator | None = None
) -> Mean:
    """Squared error over the observed entries alone (rating units squared): the data term of Sedhain et al.
    2015, eq. 1, as a mean."""
    return Mean((reconstruction.at(clean) - clean.values).square().sum(), len(clean.values))


def emphasised_squared_error(
    reconstruction: Reconstruction,
    clean: RowBatch,
    generator: torch.Generator | None = None,
    *,
    corrupted: float,
    uncorrupted: float,
) -> Mean:
    """`masked_squared_error` in which an entry whose input was corrupted counts so much, and another one so
    much (Vincent et al. 2010, section 5.4). The mean is over the number of entries, whatever they count."""
    errors = (reconstruction.at(clean) - clean.values).square()
    if clean.corrupted is None:
        return Mean(uncorrupted * errors.sum(), len(errors))
    counted = torch.where(clean.corrupted, corrupted * errors, uncorrupted * errors)
    return Mean(counted.sum(), len(errors))


def multinomial(
    reconstruction: Reconstruction, clean: RowBatch, generator: torch.Generator | None = None
) -> Mean:
    """Minus the log-likelihood of an observed entry, whatever its value, as a draw from the softmax over all
    columns (Liang et al. 2018, eq. 2), as a mean over entries. All cells are computed, a block of rows at a
    time."""
    loss = reconstruction.decoder.last.log_loss(reconstruction.hidden, clean)
    return Mean(loss, len(clean.values))


def weighted_squared_error(
    reconstruction: Reconstruction, clean: RowBatch, generator: torch.Generator | None = None
) -> Mean:
    """Squared error over all cells (Hu, Koren, Volinsky 2008, eq. 3), as a mean over the observed ones: these
    should be 1, and their values are the weights of their errors; all others should be 0, with a weight of 1.

    The squares of all outputs are summed up without making any, and set right at the observed entries: time
    and memory grow with these and with rows + columns. Outputs must be linear.
    """
    assert reconstruction.decoder.limits is None, "outputs that are stretched are not linear"
    outputs = reconstruction.at(clean)
    set_right = clean.values * (1 - outputs).square() - outputs.square()
    everywhere = reconstruction.decoder.last.sum_of_squares(reconstruction.hidden)
    return Mean(everywhere + set_right.sum(), len(clean.values))


class SampledCrossEntropy(nn.Module):
    """Cross-entropy of logistic outputs: observed entries, whatever their values, against `negatives` columns
    drawn for each of them, with replacement; as a mean over the observed entries.

    `chances`: (n_columns,) how often a column is drawn, up to a factor; 0: never. A draw weighs 1 / (chance ·
    number of columns that can be drawn), and one that hits an observed entry of its row nothing. So, whatever
    the chances, the expectation is a loss over all these columns, in which an unobserved cell of a row with n
    entries weighs `negatives` · n / number of columns: outputs order the columns of a row by how likely they
    are. Chances that follow popularity look more often at what may come first in a list.
    """

    cumulative: Tensor
    weights: Tensor

    def __init__(self, chances: Tensor, *, negatives: int) -> None:
        super().__init__()
        self.negatives = negatives
        drawn = chances > 0
        chances = chances.double() / chances.double().sum()
        cumulative = chances.cumsum(0)
        weights = torch.where(drawn, 1 / (chances * drawn.sum()), 0.0).float()
        self.register_buffer("cumulative", cumulative / cumulative[-1], persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def forward(
        self, reconstruction: Reconstruction, clean: RowBatch, generator: torch.Generator | None = None
    ) -> Mean:
        drawn = self.draw(clean, generator)
        of_observed = softplus(-reconstruction.at(clean)).sum()
        of_drawn = (drawn.values * softplus(reconstruction.at(drawn))).sum()
        return Mean(of_observed + of_drawn, len(clean.values))

    def draw(self, clean: RowBatch, generator: torch.Generator | None) -> RowBatch:
        """Unobserved cells to compare those of `clean` with, each once; values are their weights."""
        rows, device = clean.row_numbers().long(), self.cumulative.device
        n_draws = self.negatives * len(rows)
        chosen = torch.rand(n_draws, generator=generator, dtype=torch.float64, device=device)
        columns = torch.searchsorted(self.cumulative, chosen, right=True)
        drawn = rows.repeat_interleave(self.negatives) * clean.n_columns + columns
        cells, times = torch.unique(drawn, return_counts=True)  # in ascending order
        unobserved = torch.isin(cells, rows * clean.n_columns + clean.columns, invert=True)
        cells, times = cells[unobserved], times[unobserved]
        return RowBatch.of_cells(cells, times * self.weights[cells % clean.n_columns], clean)
