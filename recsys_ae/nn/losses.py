"""Data terms: how far a reconstruction is from the clean rows, as sum and count."""

from __future__ import annotations

from collections.abc import Callable

from recsys_ae.nn.autoencoder import Reconstruction
from recsys_ae.nn.rows import RowBatch
from recsys_ae.types import Mean

Loss = Callable[[Reconstruction, RowBatch], Mean]


def masked_squared_error(reconstruction: Reconstruction, clean: RowBatch) -> Mean:
    """Squared error over the observed entries alone (rating units squared): the data term of Sedhain et al.
    2015, eq. 1, as a mean."""
    return Mean((reconstruction.at(clean) - clean.values).square().sum(), len(clean.values))


def multinomial(reconstruction: Reconstruction, clean: RowBatch) -> Mean:
    """Minus the log-likelihood of an observed entry, whatever its value, as a draw from the softmax over all
    columns (Liang et al. 2018, eq. 2), as a mean over entries. All cells are computed, a block of rows at a
    time."""
    loss = reconstruction.decoder.last.log_loss(reconstruction.hidden, clean)
    return Mean(loss, len(clean.values))
