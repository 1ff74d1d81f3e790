"""The two layers that touch the wide side of a network, at observed entries only, and the activations.

Cost and memory of both passes grow with the observed entries of the batch, never with rows × columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from recsys_ae.nn.rows import RowBatch

_PAIRS_AT_ONCE = 1 << 14  # pairs whose vectors fit into the processor's cache together
_CELLS_AT_ONCE = 1 << 24  # outputs of a loss over all cells: 64 MB of them, and as much for their gradient


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
    """First layer: what is observed of a row, times the weights of its columns, plus a bias.

    An entry tells two things: its value, and that it is there at all. With a number as `presence` both have
    the same weights, and the presence of an entry weighs as much as a value of that size. With None it has
    weights of its own, `presence_weight`.
    `weight`, `presence_weight`: (n_columns, width) float32; `bias`: (width,); all 0 until `start`.
    """

    def __init__(self, n_columns: int, width: int, *, presence: float | None = 0.0) -> None:
        super().__init__()
        self.presence = presence
        self.weight = nn.Parameter(torch.zeros(n_columns, width))
        self.bias = nn.Parameter(torch.zeros(width))
        if presence is None:
            self.presence_weight = nn.Parameter(torch.zeros(n_columns, width))

    @torch.no_grad()
    def start(self, generator: torch.Generator, observed: Tensor) -> None:
        """Draw the weights of the columns that are `observed` (n_columns,) bool, and of no others: nothing
        would ever train those, and the draws do not depend on how many there are."""
        for weight in [p for p in self.parameters() if p.dim() == 2]:
            weight[observed] = xavier_uniform(int(observed.sum()), weight.shape[1], generator)

    def forward(self, batch: RowBatch) -> Tensor:
        """(b, width)."""
        present = torch.ones_like(batch.values) if batch.presence is None else batch.presence
        if self.presence is not None:
            read = batch.values + self.presence * present
            return _SparseProduct.apply(self.weight, read, batch) + self.bias
        of_presence = _SparseProduct.apply(self.presence_weight, present, batch)
        return _SparseProduct.apply(self.weight, batch.values, batch) + of_presence + self.bias

    def of_dense(self, values: Tensor, batch: RowBatch) -> Tensor:
        """(b, width) for a value in every cell (b, n_columns), where the entries of `batch` are those that
        are there."""
        present = torch.ones_like(batch.values) if batch.presence is None else batch.presence
        of_presence = (
            _SparseProduct.apply(self.presence_weight, present, batch)
            if self.presence is None
            else _SparseProduct.apply(self.weight, self.presence * present, batch)
        )
        return values @ self.weight + of_presence + self.bias


class SampledLinear(nn.Module):
    """Last layer, evaluated where it is asked for.

    `weight`: (n_columns, width) float32, a row per output; `bias`: (n_columns,). Both begin at 0, so that a
    network that has not learnt yet says nothing: the first step moves the outputs, the second all the rest.
    `tied_to`: a first layer of as many columns and the same width, whose weights it reads in place of its
    own: then the bias is its only parameter.
    """

    def __init__(self, width: int, n_columns: int, *, tied_to: SparseLinear | None = None) -> None:
        super().__init__()
        self.tied_to = (tied_to,)  # in a tuple, so that torch neither counts nor stores that layer here too
        self.weight = nn.Parameter(torch.zeros(n_columns, width)) if tied_to is None else None
        self.bias = nn.Parameter(torch.zeros(n_columns))

    @property
    def matrix(self) -> Tensor:
        """(n_columns, width) the weights, its own or those that it is tied to."""
        (first,) = self.tied_to
        if first is not None:
            return first.weight
        assert self.weight is not None
        return self.weight

    def at(self, hidden: Tensor, batch: RowBatch) -> Tensor:
        """(m,) outputs for `hidden` (b, width) at the observed entries of `batch`."""
        return _SampledProduct.apply(hidden, self.matrix, self.bias, batch)

    def pairs(self, hidden: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """(m,) outputs of hidden[rows[j]] for column columns[j], in any order."""
        matrix = self.matrix
        products = [
            (hidden[r] * matrix[c]).sum(dim=1)
            for r, c in zip(rows.split(_PAIRS_AT_ONCE), columns.split(_PAIRS_AT_ONCE), strict=True)
        ]
        return torch.cat(products) + self.bias[columns] if products else self.bias[columns]

    def forward(self, hidden: Tensor) -> Tensor:
        """(b, n_columns), every output."""
        return nn.functional.linear(hidden, self.matrix, self.bias)

    def log_loss(self, hidden: Tensor, batch: RowBatch) -> Tensor:
        """() minus the log-likelihood of the observed entries of `batch`, each of which is a draw of a column
        from the softmax over the outputs of its row."""
        return _MultinomialLoss.apply(hidden, self.matrix, self.bias, batch)


class TransposedLinear(nn.Module):
    """A dense layer with the weights of another, (outputs, inputs), read the other way: (b, inputs) from
    (b, outputs). Its own is the `bias` alone, (inputs,), which begins at 0."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.tied_to = (layer,)  # in a tuple, so that torch neither counts nor stores that layer here too
        self.bias = nn.Parameter(torch.zeros(layer.in_features))

    def forward(self, codes: Tensor) -> Tensor:
        """(b, inputs)."""
        (layer,) = self.tied_to
        return nn.functional.linear(codes, layer.weight.T, self.bias)


class DenseLayers(nn.Module):
    """Layers between wide ones: `widths` of what goes in and of what each layer gives, so (8, 4) is one layer
    from 8 to 4, and (8,) is none. Each has the same activation. Weights and biases are 0 until `start`.
    `tied_to`: layers of the same widths in reverse, whose weights these read the other way."""

    layers: nn.ModuleList

    def __init__(self, widths: Sequence[int], activation: str, *, tied_to: DenseLayers | None = None) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        made: Iterable[nn.Module] = (dense_layer(a, b) for a, b in pairwise(widths))
        if tied_to is not None:
            made = (TransposedLinear(layer) for layer in tied_to.dense_layers()[::-1])
        self.layers = nn.ModuleList(made)

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """Draw the weights."""
        for weight in (p for p in self.parameters() if p.dim() == 2):
            weight.copy_(xavier_uniform(weight.shape[0], weight.shape[1], generator))

    def dense_layers(self) -> list[nn.Linear]:
        """The layers in order, where they have weights of their own."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def forward(self, hidden: Tensor, drop: Callable[[Tensor], Tensor] = identity) -> Tensor:
        """(b, last width) from (b, first width). `drop`: what becomes of the input of each layer."""
        for layer in self.layers:
            hidden = self.activation(layer(drop(hidden)))
        return hidden


def dropped(hidden: Tensor, *, probability: float, generator: torch.Generator) -> Tensor:
    """(b, width) in which each unit of each row is 0 with `probability`, and the others are 1 / (1 -
    probability) times as strong, so that sums keep their expectation (Srivastava et al. 2014, who scale in
    prediction)."""
    draws = torch.rand(hidden.shape, generator=generator, dtype=hidden.dtype, device=hidden.device)
    return hidden * (draws >= probability) / (1.0 - probability)


def dense_layer(inputs: int, outputs: int) -> nn.Linear:
    """A layer whose parameters are 0."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)  # torch's own draws are of the global generator
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def xavier_uniform(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """(rows, columns) uniform in ±sqrt(6 / (rows + columns)) (Glorot and Bengio 2010, eq. 16)."""
    bound = math.sqrt(6.0 / (rows + columns))
    return torch.empty(rows, columns).uniform_(-bound, bound, generator=generator)


class _SparseProduct(torch.autograd.Function):
    """Values (m,) at the observed entries, a sparse (b, n_columns), @ weight. They are data: they get no
    gradient."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, values: Tensor, batch: RowBatch) -> Tensor:
        ctx.values, ctx.batch = values.to(weight.dtype), batch
        return batch.sparse(ctx.values) @ weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return ctx.batch.sparse_transposed(ctx.values) @ grad, None, None


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


class _MultinomialLoss(torch.autograd.Function):
    """Σ over observed entries of log Σ exp(outputs of the row) - output. Outputs and their gradient are made
    for a block of rows at a time, and never kept: memory does not grow with the number of rows."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, batch: RowBatch) -> Tensor:
        total = hidden.new_zeros(())
        trained = (hidden, weight, bias) if any(ctx.needs_input_grad) else ()
        grads = [torch.zeros_like(each) for each in trained]
        for rows in torch.arange(len(hidden)).split(max(1, _CELLS_AT_ONCE // len(bias))):
            first, end = int(rows[0]), int(rows[-1]) + 1
            outputs = torch.addmm(bias, hidden[first:end], weight.T)
            sizes = batch.starts[first : end + 1].diff()
            columns = batch.columns[batch.starts[first] : batch.starts[end]].long()
            cells = torch.repeat_interleave(sizes) * len(bias) + columns
            norms = outputs.logsumexp(dim=1, keepdim=True)
            total += (norms.squeeze(1) * sizes).sum() - outputs.view(-1)[cells].sum()
            if grads:
                of_outputs = outputs.sub_(norms).exp_().mul_(sizes[:, None])
                of_outputs.view(-1)[cells] -= 1
                torch.mm(of_outputs, weight, out=grads[0][first:end])
                grads[1].addmm_(of_outputs.T, hidden[first:end])
                grads[2] += of_outputs.sum(dim=0)
        ctx.save_for_backward(*grads)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        hidden, weight, bias = (each * grad for each in ctx.saved_tensors)
        return hidden, weight, bias, None
