"""What stands between encoder and decoder: from what the encoder says of a row to the row's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from recsys_ae.nn.layers import dense_layer, xavier_uniform


@dataclass(frozen=True, slots=True)
class Gaussian:
    """A normal distribution for each coordinate of each code. `mean`, `log_variance`: (b, code_size)."""

    mean: Tensor
    log_variance: Tensor


class Bottleneck(Protocol):
    """Turns encodings (b, width) into codes (b, code_size). A bottleneck whose codes are drawn at random also
    gives the distribution that they were drawn from; it draws in training mode only, from the generator.
    `rest`: (1, width) the encoding of an empty row, where the network is anchored there."""

    def __call__(
        self, encoding: Tensor, generator: torch.Generator | None, rest: Tensor | None = None
    ) -> tuple[Tensor, Gaussian | None]: ...

    def start(self, generator: torch.Generator) -> None:
        """Draw the parameters that training begins with."""
        ...

    def expected(self, encoding: Tensor) -> Tensor:
        """(b, code_size) the codes of encodings of empty rows; of codes that are drawn their means."""
        ...


class Deterministic(nn.Module):
    """The encoding itself is the code."""

    def start(self, generator: torch.Generator) -> None:
        """There is nothing to draw."""

    def expected(self, encoding: Tensor) -> Tensor:
        return encoding

    def forward(
        self, encoding: Tensor, generator: torch.Generator | None, rest: Tensor | None = None
    ) -> tuple[Tensor, None]:
        return encoding, None


class TopK(Deterministic):
    """Of each row the `k` units pass that are farthest from their rest; all others are put to rest.

    In a network that is not anchored, rest is 0, and these are the k largest activations of a k-sparse
    autoencoder (Makhzani and Frey 2014, section 2.1), by magnitude where activations have a sign. In an
    anchored network rest is what the encoder says of an empty row: the output layer reads k units of each
    row and nothing of an empty one, and a row with little to say still says little. The paper lets more units
    pass outside training, which helped its classifiers; here the decoder gets as many as it has learnt from.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(
        self, encoding: Tensor, generator: torch.Generator | None, rest: Tensor | None = None
    ) -> tuple[Tensor, None]:
        rest = torch.zeros_like(encoding[:1]) if rest is None else rest
        farthest = (encoding.detach() - rest.detach()).abs().topk(self.k, dim=1, sorted=False).indices
        passing = torch.zeros_like(encoding, dtype=torch.bool).scatter_(1, farthest, True)
        return torch.where(passing, encoding, rest), None


class Drawn(nn.Module):
    """Codes drawn from a normal distribution whose mean and log-variance are linear in the encoding (Kingma
    and Welling 2014); outside training the mean. All parameters are 0 until `start`."""

    def __init__(self, width: int, code_size: int) -> None:
        super().__init__()
        self.posterior = dense_layer(width, 2 * code_size)

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """Draw the weights."""
        weight = self.posterior.weight
        weight.copy_(xavier_uniform(weight.shape[0], weight.shape[1], generator))

    def expected(self, encoding: Tensor) -> Tensor:
        return self.posterior(encoding).chunk(2, dim=1)[0]

    def forward(
        self, encoding: Tensor, generator: torch.Generator | None, rest: Tensor | None = None
    ) -> tuple[Tensor, Gaussian]:
        mean, log_variance = self.posterior(encoding).chunk(2, dim=1)
        posterior = Gaussian(mean, log_variance)
        if not self.training:
            return mean, posterior
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + torch.exp(log_variance / 2) * noise, posterior
