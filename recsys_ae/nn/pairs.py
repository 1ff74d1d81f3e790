"""The layers of a network in pairs: one of the encoder, and the one of the decoder that undoes it, which
together are an autoencoder of their own. They share their parameters with the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recsys_ae.nn.autoencoder import Autoencoder, Reconstruction
from recsys_ae.nn.corruption import Corruption
from recsys_ae.nn.rows import RowBatch
from recsys_ae.types import Mean, Terms


class OuterPair(nn.Module):
    """The first layer of a network and its last: an autoencoder of rows with one hidden layer, anchored where
    the network is. An `Objective` takes it for a network."""

    def __init__(self, network: Autoencoder) -> None:
        super().__init__()
        self.first, self.last = network.encoder.first, network.decoder.last
        self.whole = (network,)  # in a tuple: the other layers are no part of this one

    def forward(
        self, batch: RowBatch, generator: torch.Generator | None = None, *, dropout: float = 0.0
    ) -> Reconstruction:
        """The rows as the outermost hidden layer alone would have them."""
        (network,) = self.whole
        assert not dropout, "hidden units are dropped once all layers train together"
        activation = network.encoder.activation
        code = activation(self.first(batch))
        hidden = code - activation(self.first.bias[None]) if network.anchored else code
        return Reconstruction(code, None, hidden, network.decoder)


class InnerPair(nn.Module):
    """Layer `number` of an encoder, from 2, and the decoder layer that undoes it: an autoencoder of what the
    layers below make of the rows, which do not learn from it."""

    def __init__(self, network: Autoencoder, number: int) -> None:
        super().__init__()
        self.inward = network.encoder.rest.layers[number - 2]
        self.outward = network.decoder.hidden.layers[1 - number]
        self.whole = (network,)  # in a tuple: the other layers are no part of this one
        self.number = number

    @torch.no_grad()
    def inputs(self, batch: RowBatch) -> Tensor:
        """(b, width) what the layers below make of the rows."""
        (network,) = self.whole
        return network.encoder.below(batch, self.number)

    def forward(self, codes: Tensor) -> Tensor:
        """(b, width) the codes (b, width) as they come back."""
        (network,) = self.whole
        activation = network.encoder.activation
        return activation(self.outward(activation(self.inward(codes))))


def layer_pairs(network: Autoencoder) -> list[OuterPair | InnerPair]:
    """From the outermost inwards, of a network whose decoder mirrors its encoder."""
    n_layers = 1 + len(network.encoder.rest.layers)
    return [OuterPair(network), *(InnerPair(network, number) for number in range(2, n_layers + 1))]


class CodeObjective(nn.Module):
    """What an `InnerPair` minimises: the squared error of the codes that come back, of inputs made worse by
    `corruption`, as a mean over all of them, each an entry like any observed one. As ratings are, codes are
    in units of their own deviation, so that losses of layers compare."""

    def __init__(self, corruption: Corruption) -> None:
        super().__init__()
        self.corruption = corruption

    def forward(
        self, pair: InnerPair, clean: RowBatch, *, step: int, epoch: int, generator: torch.Generator
    ) -> Terms:
        """The one term, "reconstruction". The layers below read the rows as they are."""
        codes = pair.inputs(clean)
        unit = deviation(codes)
        outputs = pair(corrupted_codes(codes, unit, self.corruption, generator))
        return {"reconstruction": Mean(((outputs - codes) / unit).square().sum(), codes.numel())}

    def backward(self, pair: InnerPair, terms: Terms) -> None:
        """Add the gradient of the term's mean to that of the parameters."""
        terms["reconstruction"].value.backward()


def deviation(codes: Tensor) -> Tensor:
    """() the standard deviation of all the codes of a batch; 1 where they are all the same."""
    found = codes.std(correction=0)
    return torch.where(found > 0, found, 1.0)


def corrupted_codes(
    codes: Tensor, unit: Tensor, corruption: Corruption, generator: torch.Generator
) -> Tensor:
    """(b, width) codes, in such units, made worse as observed entries are."""
    return corruption(RowBatch.of_dense(codes / unit), generator).values.view_as(codes) * unit
