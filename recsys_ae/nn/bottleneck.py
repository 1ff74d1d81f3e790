"""What stands between encoder and decoder: from what the encoder says of a row to the row's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


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


class Deterministic(nn.Module):
    """The encoding itself is the code."""

    def forward(self, encoding: Tensor, generator: torch.Generator | None) -> tuple[Tensor, None]:
        return encoding, None
