"""Dense re-feeding (Kuchaiev and Ginsburg 2017): what a network makes of rows is something to learn from.

The reconstruction f(x) has a value in every cell, where x has few. A network that has understood the rows
leaves such a row as it is: f(f(x)) = f(x).
"""

from __future__ import annotations

import torch
from torch import Tensor

from recsys_ae.nn.autoencoder import Autoencoder
from recsys_ae.nn.rows import RowBatch
from recsys_ae.types import Mean

_CELLS_AT_ONCE = 1 << 22  # 16 MB of outputs, and a few times as much for their gradient


def add_gradient(network: Autoencoder, rows: RowBatch, known: Tensor, *, times: int) -> Mean:
    """Add the gradient of the mean of (f(y) - y)² over all cells of `known` columns (n_columns,) bool to that
    of the parameters, and give the term; y is f applied `times` times to the rows, and a constant.

    Of y the network reads the values of all known columns; which entries are observed is what it was of the
    rows themselves. Outputs are made for a block of rows at a time, and never kept: memory does not grow with
    the number of rows, time with that of all cells.
    """
    total, count = 0.0, rows.n_rows * int(known.sum())
    at_once = max(1, _CELLS_AT_ONCE // rows.n_columns)
    for first in range(0, rows.n_rows, at_once):
        block = rows.part(first, min(first + at_once, rows.n_rows))
        with torch.no_grad():
            target = network(block).dense() * known
            for _ in range(times - 1):
                target = network.reread(target, block).dense() * known
        errors = ((network.reread(target, block).dense() - target) * known).square().sum()
        (errors / count).backward()
        total += float(errors.detach())
    return Mean(total, count)
