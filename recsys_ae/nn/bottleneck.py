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
    gives the distribution that they were drawn from; it draws in training mode only, from the generator."""

    def __call__(
        self, encoding: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Gaussian | None]: ...

    def start(self, generator: torch.Generator) -> None:
        """Draw the parameters that training begins with."""
        ...

    def expected(self, encoding: Tensor) -> Tensor:
        """(b, code_size) the codes; of codes that are drawn their means."""
        ...


class Deterministic(nn.Module):
    """The encoding itself is the code."""

    def start(self, generator: torch.Generator) -> None:
        """There is nothing to draw."""

    def expected(self, encoding: Tensor) -> Tensor:
        return encoding

    def forward(self, encoding: Tensor, generator: torch.Generator | None) -> tuple[Tensor, None]:
        return encoding, None


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

    def forward(self, encoding: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Gaussian]:
        mean, log_variance = self.posterior(encoding).chunk(2, dim=1)
        posterior = Gaussian(mean, log_variance)
        if not self.training:
            return mean, posterior
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + torch.exp(log_variance / 2) * noise, posterior
