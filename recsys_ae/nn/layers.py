"""The two layers that touch the wide side of a network, at observed entries only, and the activations.

Cost and memory of both passes grow with the observed entries of the batch, never with rows × columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from recsys_ae.nn.rows import RowBatch

_PAIRS_AT_ONCE = 1 << 14  # pairs whose vectors fit into the processor's cache together


def identity(x: Tensor) -> Tensor:
    """No activation, under a name: models are pickled, which a lambda cannot be."""
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "elu": nn.functional.elu,
    "identity": identity,
}


class SparseLinear(nn.Module):
    """First layer: observed values of a row times their rows of the weights, plus a bias.

    `weight`: (n_columns, width) float32; `bias`: (width,).
    """

    def __init__(self, n_columns: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(xavier_uniform(n_columns, width, generator))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, batch: RowBatch) -> Tensor:
        """(b, width)."""
        return _SparseProduct.apply(self.weight, batch) + self.bias


class SampledLinear(nn.Module):
    """Last layer, evaluated where it is asked for.

    `weight`: (n_columns, width) float32, a row per output; `bias`: (n_columns,).
    """

    def __init__(self, width: int, n_columns: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(xavier_uniform(n_columns, width, generator))
        self.bias = nn.Parameter(torch.zeros(n_columns))

    def at(self, hidden: Tensor, batch: RowBatch) -> Tensor:
        """(m,) outputs for `hidden` (b, width) at the observed entries of `batch`."""
        return _SampledProduct.apply(hidden, self.weight, self.bias, batch)

    def pairs(self, hidden: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """(m,) outputs of hidden[rows[j]] for column columns[j], in any order."""
        products = [
            (hidden[r] * self.weight[c]).sum(dim=1)
            for r, c in zip(rows.split(_PAIRS_AT_ONCE), columns.split(_PAIRS_AT_ONCE), strict=True)
        ]
        return torch.cat(products) + self.bias[columns] if products else self.bias[columns]

    def forward(self, hidden: Tensor) -> Tensor:
        """(b, n_columns), every output."""
        return nn.functional.linear(hidden, self.weight, self.bias)


class DenseLayers(nn.Module):
    """Layers between wide ones: `widths` of what goes in and of what each layer gives, so (8, 4) is one layer
    from 8 to 4, and (8,) is none. Each has the same activation."""

    def __init__(self, widths: Sequence[int], activation: str, generator: torch.Generator) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.layers = nn.ModuleList(_dense_layer(a, b, generator) for a, b in pairwise(widths))

    def forward(self, hidden: Tensor) -> Tensor:
        """(b, last width) from (b, first width)."""
        for layer in self.layers:
            hidden = self.activation(layer(hidden))
        return hidden


def _dense_layer(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(xavier_uniform(outputs, inputs, generator))
        layer.bias.zero_()
    return layer


def xavier_uniform(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """(rows, columns) uniform in ±sqrt(6 / (rows + columns)) (Glorot and Bengio 2010, eq. 16)."""
    bound = math.sqrt(6.0 / (rows + columns))
    return torch.empty(rows, columns).uniform_(-bound, bound, generator=generator)


class _SparseProduct(torch.autograd.Function):
    """Observed values (b, n_columns sparse) @ weight. The values are data: they get no gradient."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, batch: RowBatch) -> Tensor:
        ctx.batch = batch
        return batch.sparse(batch.values.to(weight.dtype)) @ weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        values = ctx.batch.values.to(grad.dtype)
        return ctx.batch.sparse_transposed(values) @ grad, None


class _SampledProduct(torch.autograd.Function):
    """(hidden @ weight.T + bias) at the observed entries. Sums over entries go by row or by column through
    sparse products, never through scattered additions, so that they are the same on every run."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, batch: RowBatch) -> Tensor:
        ctx.save_for_backward(hidden, weight)
        ctx.batch = batch
        pattern = batch.sparse(bias[batch.columns])
        return torch.sparse.sampled_addmm(pattern, hidden, weight.T).values()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        hidden, weight = ctx.saved_tensors
        by_column = ctx.batch.sparse_transposed(grad)
        ones = torch.ones(ctx.batch.n_rows, 1, dtype=grad.dtype, device=grad.device)
        return ctx.batch.sparse(grad) @ weight, by_column @ hidden, (by_column @ ones).squeeze(1), None
