"""Data terms: functions of an output and the clean batch, as sum and count."""

from __future__ import annotations

from torch import Tensor

from recsys_ae.nn.rows import RowBatch
from recsys_ae.types import Mean


def masked_squared_error(output: Tensor, clean: RowBatch) -> Mean:
    """Squared error of `output` (m,) over the m observed entries (rating units squared): the data term of
    Sedhain et al. 2015, eq. 1, as a mean."""
    return Mean((output - clean.values).square().sum(), len(clean.values))
