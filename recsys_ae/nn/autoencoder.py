"""The network of all autoencoders here: an encoder, a bottleneck and a decoder.

Observed entries go in, reconstructions come out where they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from recsys_ae.nn.bottleneck import Bottleneck, Deterministic, Drawn, Gaussian, TopK
from recsys_ae.nn.layers import ACTIVATIONS, DenseLayers, SampledLinear, SparseLinear, dropped, identity
from recsys_ae.nn.rows import RowBatch

_TIED_START = 0.1  # times the usual size: the outputs, a product of two such, are at 1 % of theirs
NEVER = -1e4  # a raw output whose share of every softmax is 0


class Encoder(nn.Module):
    """Reads the observed entries of rows of `n_columns` entries through layers of the given `widths`.
    `presence`: see `SparseLinear`."""

    def __init__(
        self, n_columns: int, widths: Sequence[int], activation: str, *, presence: float | None = 0.0
    ) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.first = SparseLinear(n_columns, widths[0], presence=presence)
        self.rest = DenseLayers(widths, activation)

    def forward(self, batch: RowBatch, drop: Callable[[Tensor], Tensor] = identity) -> Tensor:
        """(b, last width). `drop`: what becomes of the inputs of all layers but the first."""
        return self.rest(self.activation(self.first(batch)), drop)

    def below(self, batch: RowBatch, number: int) -> Tensor:
        """(b, width) what layer `number`, from 2, reads: what the layers before it make of the rows."""
        hidden = self.activation(self.first(batch))
        for layer in self.rest.layers[: number - 2]:
            hidden = self.activation(layer(hidden))
        return hidden

    def of_dense(self, values: Tensor, batch: RowBatch) -> Tensor:
        """(b, last width) for a value in every cell; see `SparseLinear.of_dense`."""
        return self.rest(self.activation(self.first.of_dense(values, batch)))

    def of_empty_row(self) -> Tensor:
        """(1, last width) what it says of a row without entries."""
        return self.rest(self.activation(self.first.bias[None]))


class Decoder(nn.Module):
    """Goes from codes through dense layers to the outputs of `n_columns` columns.

    `widths`: of the codes and of each hidden layer, so (50,) has no hidden layer. `limits`: where given, an
    output is a sigmoid stretched over them, else the identity. `tied_to`: an encoder of the same widths in
    reverse, whose weights the layers read the other way; the biases are their own.
    """

    def __init__(
        self,
        widths: Sequence[int],
        n_columns: int,
        activation: str,
        limits: tuple[float, float] | None,
        *,
        tied_to: Encoder | None = None,
    ) -> None:
        super().__init__()
        self.limits = limits
        self.hidden = DenseLayers(widths, activation, tied_to=None if tied_to is None else tied_to.rest)
        self.last = SampledLinear(widths[-1], n_columns, tied_to=None if tied_to is None else tied_to.first)

    def forward(self, code: Tensor, drop: Callable[[Tensor], Tensor] = identity) -> Tensor:
        """(b, width) what comes out of the hidden layers. `drop`: what becomes of their inputs."""
        return self.hidden(code, drop)

    def stretch(self, raw: Tensor) -> Tensor:
        """Raw outputs in the units of the rows."""
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
    """The output for some rows, computed where it is asked for.

    `code`: (b, code_size). `posterior`: what the codes were drawn from; None for a code that is not drawn.
    `hidden`: (b, width) what the output layer reads of the code: in a decoder without hidden layers the code
    itself, less that of an empty row where the network is anchored.
    """

    code: Tensor
    posterior: Gaussian | None
    hidden: Tensor
    decoder: Decoder

    def at(self, batch: RowBatch) -> Tensor:
        """(m,) outputs at the observed entries of `batch` only."""
        return self.decoder.stretch(self.decoder.last.at(self.hidden, batch))

    def pairs(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(m,) outputs of row rows[j] at column columns[j]; both int64."""
        return self.decoder.stretch(self.decoder.last.pairs(self.hidden, rows, columns))

    def dense(self) -> Tensor:
        """(b, n_columns) all outputs."""
        return self.decoder.stretch(self.decoder.last(self.hidden))


@dataclass(frozen=True, slots=True)
class Architecture:
    """All that is to be known of a network beside its parameters.

    `encoder`: widths of the layers up to the code; `decoder`: widths of the hidden layers after it. Every
    hidden layer has the same `activation`. `limits`: see `Decoder`; `presence`: see `SparseLinear`. With one
    encoder layer and no hidden decoder layer this is AutoRec (Sedhain et al. 2015, eq. 2):
    f(W · g(V r + mu) + b). `anchored`: the output layer reads how a row differs from an empty one, so that a
    row with little to say says little: f(W · (g(V r + mu) - g(mu)) + b); where codes are drawn, the empty
    row has its mean code. `code`: size of a code that is drawn from a normal distribution after the encoder;
    None: the encoding is the code. `tied`: the decoder mirrors the encoder and has no weights of its own:
    each of its layers is the transpose of the encoder layer that it undoes. None, as in models stored before
    there were any: it has its own. `top_k`: how many units of the code pass in each row (see `TopK`); None:
    all.
    """

    n_columns: int
    encoder: tuple[int, ...]
    decoder: tuple[int, ...] = ()
    activation: str = "sigmoid"
    limits: tuple[float, float] | None = None
    presence: float | None = 0.0
    anchored: bool = False
    code: int | None = None
    tied: bool | None = None
    top_k: int | None = None


class Autoencoder(nn.Module):
    """Reconstructs rows. `architecture`: what it was built from; None for one put together by hand, which
    cannot be stored."""

    architecture: Architecture | None = None
    encoder: Encoder
    decoder: Decoder

    def __init__(self, encoder: Encoder, bottleneck: Bottleneck, decoder: Decoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.bottleneck = bottleneck
        self.decoder = decoder

    @classmethod
    def build(cls, architecture: Architecture) -> Autoencoder:
        """A network whose parameters are all 0: `start` draws them, `load_state_dict` puts others there."""
        a = architecture
        encoder = Encoder(a.n_columns, a.encoder, a.activation, presence=a.presence)
        bottleneck = _bottleneck(a)
        widths = (a.code or a.encoder[-1], *a.decoder)
        if a.tied and widths != a.encoder[::-1]:
            raise ValueError(f"a decoder of widths {widths} is no mirror of an encoder of {a.encoder}")
        tied_to = encoder if a.tied else None
        decoder = Decoder(widths, a.n_columns, a.activation, a.limits, tied_to=tied_to)
        network = cls(encoder, bottleneck, decoder)
        network.architecture = architecture
        return network

    @classmethod
    def from_parameters(cls, architecture: Architecture, parameters: Mapping[str, np.ndarray]) -> Autoencoder:
        """The network with these parameters, ready to reconstruct. Inverse of `copied_parameters`."""
        network = cls.build(architecture)
        network.load_state_dict({name: torch.from_numpy(np.array(p)) for name, p in parameters.items()})
        return network.eval()

    def frozen_copy(self) -> Autoencoder:
        """The network as it is, on the CPU, ready to reconstruct, sharing no memory with what trains on."""
        return deepcopy(self).cpu().eval().requires_grad_(False)

    @torch.no_grad()
    def silenced(self, columns: np.ndarray) -> Autoencoder:
        """The network itself, in which the raw outputs at `columns` (n_columns,) bool, which have no weights,
        are far below all others."""
        self.decoder.last.bias[torch.from_numpy(columns)] = NEVER
        return self

    def copied_parameters(self) -> dict[str, np.ndarray]:
        """Name -> a copy of each parameter and buffer, on the CPU."""
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in self.state_dict().items()}

    @property
    def anchored(self) -> bool:
        """Whether the output layer reads how a row differs from an empty one."""
        return self.architecture is not None and self.architecture.anchored

    @property
    def drawn_code_size(self) -> int | None:
        """Size of the codes, which have the standard normal as their prior; None: codes are not drawn."""
        return None if self.architecture is None else self.architecture.code

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def forward(
        self, batch: RowBatch, generator: torch.Generator | None = None, *, dropout: float = 0.0
    ) -> Reconstruction:
        """`generator`: of codes that are drawn at random in training, and of dropout; a deterministic code
        needs none. `dropout`: the probability that a layer does not see a unit of the layer before; the first
        layer sees all of the row, and the row without entries keeps all its units."""
        drop: Callable[[Tensor], Tensor] = identity
        if dropout:
            assert generator is not None
            drop = partial(dropped, probability=dropout, generator=generator)
        encoding = self.encoder(batch, drop)
        if isinstance(self.bottleneck, Drawn):  # which reads the encoding by a layer of its own
            encoding = drop(encoding)
        return self.decoded(*self.bottleneck(encoding, generator, self.rest()), drop)

    def reread(self, values: Tensor, batch: RowBatch) -> Reconstruction:
        """The output for rows that have a value in every cell, (b, n_columns), such as outputs have; the
        entries of `batch` are those that count as observed."""
        return self.decoded(*self.bottleneck(self.encoder.of_dense(values, batch), None, self.rest()))

    def decoded(
        self,
        code: Tensor,
        posterior: Gaussian | None = None,
        drop: Callable[[Tensor], Tensor] = identity,
    ) -> Reconstruction:
        """What codes (b, code_size) stand for, be they those of rows or made up. `posterior`: what they were
        drawn from; `drop`: what becomes of the inputs of all layers."""
        hidden = self.decoder(code, drop)
        if (rest := self.rest()) is not None:
            hidden = hidden - self.decoder(self.bottleneck.expected(rest))
        return Reconstruction(code, posterior, drop(hidden), self.decoder)

    def rest(self) -> Tensor | None:
        """(1, width) the encoding that all others are measured from in an anchored network: that of an empty
        row. None in a network that is not anchored."""
        return self.encoder.of_empty_row() if self.anchored else None

    @torch.no_grad()
    def start(
        self,
        generator: torch.Generator,
        *,
        means: np.ndarray | None = None,
        observed: np.ndarray | None = None,
    ) -> Autoencoder:
        """Draw the parameters that training begins with, and give the network itself.

        The outputs begin at `means` (n_columns,), in the units of the rows; None: at raw outputs of 0.
        Columns that are not `observed` (n_columns,) bool have no weights and never leave their mean.

        A tied network cannot begin at the means: an output layer without weights would be a first layer
        without. It begins near them, with a tenth of the usual weights.
        """
        last = self.decoder.last
        everywhere = torch.ones(len(last.bias), dtype=torch.bool)
        self.encoder.first.start(generator, everywhere if observed is None else torch.from_numpy(observed))
        if self.architecture is not None and self.architecture.tied:
            self.encoder.first.weight.mul_(_TIED_START)
        self.encoder.rest.start(generator)
        self.bottleneck.start(generator)
        self.decoder.hidden.start(generator)
        if means is not None:
            last.bias.copy_(self.decoder.unstretch(torch.from_numpy(means).float()))
        return self

    def output_layer(self) -> tuple[np.ndarray, np.ndarray]:
        """Copies of the (n_columns, width) weights and (n_columns,) biases, float32, that make raw outputs of
        what `Reconstruction.hidden` holds."""
        last = self.decoder.last
        return last.matrix.detach().cpu().numpy().copy(), last.bias.detach().cpu().numpy().copy()


def _bottleneck(architecture: Architecture) -> Bottleneck:
    if architecture.top_k is not None:
        return TopK(architecture.top_k)
    if architecture.code is not None:
        return Drawn(architecture.encoder[-1], architecture.code)
    return Deterministic()
