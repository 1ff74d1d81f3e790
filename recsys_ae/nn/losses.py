"""Data terms: how far a reconstruction is from the clean rows, as sum and count."""

from __future__ import annotations

from collections.abc import Callable

import torch

from recsys_ae.nn.autoencoder import Reconstruction
from recsys_ae.nn.rows import RowBatch
from recsys_ae.types import Mean

Loss = Callable[[Reconstruction, RowBatch], Mean]  # of the clean rows, which say what was corrupted for it


def masked_squared_error(reconstruction: Reconstruction, clean: RowBatch) -> Mean:
    """Squared error over the observed entries alone (rating units squared): the data term of Sedhain et al.
    2015, eq. 1, as a mean."""
    return Mean((reconstruction.at(clean) - clean.values).square().sum(), len(clean.values))


def emphasised_squared_error(
    reconstruction: Reconstruction, clean: RowBatch, *, corrupted: float, uncorrupted: float
) -> Mean:
    """`masked_squared_error` in which an entry whose input was corrupted counts so much, and another one so
    much (Vincent et al. 2010, section 5.4). The mean is over the number of entries, whatever they count."""
    errors = (reconstruction.at(clean) - clean.values).square()
    if clean.corrupted is None:
        return Mean(uncorrupted * errors.sum(), len(errors))
    counted = torch.where(clean.corrupted, corrupted * errors, uncorrupted * errors)
    return Mean(counted.sum(), len(errors))


def multinomial(reconstruction: Reconstruction, clean: RowBatch) -> Mean:
    """Minus the log-likelihood of an observed entry, whatever its value, as a draw from the softmax over all
    columns (Liang et al. 2018, eq. 2), as a mean over entries. All cells are computed, a block of rows at a
    time."""
    loss = reconstruction.decoder.last.log_loss(reconstruction.hidden, clean)
    return Mean(loss, len(clean.values))
