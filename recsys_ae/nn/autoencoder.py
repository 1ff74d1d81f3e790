"""The network of all autoencoders here: observed entries in, reconstructions out where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

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

    def __init__(
        self,
        n_columns: int,
        widths: Sequence[int],
        *,
        activation: str = "sigmoid",
        limits: tuple[float, float] | None = None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.limits = limits
        self.first = SparseLinear(n_columns, widths[0], generator)
        self.hidden = nn.ModuleList(dense_layer(a, b, generator) for a, b in pairwise(widths))
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

    def unstretch(self, outputs: Tensor) -> Tensor:
        """The raw outputs that `stretch` turns into `outputs`, the ends pulled in to stay finite."""
        if self.limits is None:
            return outputs
        low, high = self.limits
        return torch.logit((outputs - low) / (high - low), eps=1e-3)


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
