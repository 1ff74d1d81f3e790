"""The network of all autoencoders here: rows in at their observed entries, reconstructions out where asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recsys_ae.nn.layers import ACTIVATIONS, SampledLinear, SparseLinear, dense_layer
from recsys_ae.nn.rows import RowBatch


class Autoencoder(nn.Module):
    """Reconstructs rows of `n_columns` entries through hidden layers of the given widths.

    With one width this is AutoRec (Sedhain et al. 2015, eq. 2): f(W · g(V r + mu) + b). Every hidden layer
    has the same activation. `limits`: where given, the output is a sigmoid stretched over them, else the
    identity.
    """

    def __init__(self, n_columns: int, widths: Sequence[int], *, activation: str = "sigmoid",
                 limits: tuple[float, float] | None = None, generator: torch.Generator) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.limits = limits
        self.first = SparseLinear(n_columns, widths[0], generator)
        self.hidden = nn.ModuleList(dense_layer(a, b, generator)
                                    for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.last = SampledLinear(widths[-1], n_columns, generator)

    def forward(self, batch: RowBatch) -> Reconstruction:
        hidden = self.activation(self.first(batch))
        for layer in self.hidden:
            hidden = self.activation(layer(hidden))
        return Reconstruction(hidden, self)

    def stretch(self, raw: Tensor) -> Tensor:
        """Raw outputs in rating units."""
        if self.limits is None:
            return raw
        low, high = self.limits
        return low + (high - low) * torch.sigmoid(raw)


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """The output for some rows, computed where it is asked for. `hidden`: (b, width) of the last hidden
    layer: what the output layer sees."""

    hidden: Tensor
    network: Autoencoder

    def at(self, batch: RowBatch) -> Tensor:
        """(m,) outputs at the observed entries of `batch` only."""
        return self.network.stretch(self.network.last.at(self.hidden, batch))

    def dense(self) -> Tensor:
        """(b, n_columns) all outputs."""
        return self.network.stretch(self.network.last(self.hidden))
