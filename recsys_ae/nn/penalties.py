"""What an objective adds to its data term.

Each penalty is a module, so that what it remembers travels to the device and into checkpoints. Its weight is
applied inside, as the paper's formula has it.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from recsys_ae.nn.autoencoder import Autoencoder, Reconstruction
from recsys_ae.types import Mean


class Penalty(Protocol):
    """A term of the objective. `step`: updates done before this one, over all epochs; `epoch`: from 1."""

    def __call__(
        self, network: Autoencoder, reconstruction: Reconstruction, *, step: int, epoch: int
    ) -> Mean: ...


@runtime_checkable
class KnownGradient(Protocol):
    """A penalty on parameters alone, whose gradient is written down. Its term has no gradient of its own: the
    objective adds the known one, which saves the passes and the memory that torch would take to find it."""

    def add_gradient(self, network: nn.Module) -> None:
        """Add the gradient of the penalty to that of the parameters, in place."""
        ...


class L2Penalty(nn.Module):
    """Half of `l2` times the squared weights, biases excluded, for each of `n_observed` entries.

    The paper adds λ/2 · ‖W‖² to the *sum* of squared errors over all observed entries (Sedhain et al. 2015,
    eq. 2). The data term here is the mean over them, so the penalty is divided by their number: `l2` is the
    paper's λ. A weight that two layers share counts once.
    """

    def __init__(self, l2: float, *, n_observed: int) -> None:
        super().__init__()
        self.share = l2 / n_observed

    @torch.no_grad()
    def forward(
        self, network: nn.Module, reconstruction: Reconstruction | None, *, step: int, epoch: int
    ) -> Mean:
        flat = [weight.reshape(-1) for weight in _weights(network)]
        return Mean(self.share / 2 * sum(torch.dot(weight, weight) for weight in flat), 1)

    @torch.no_grad()
    def add_gradient(self, network: nn.Module) -> None:
        for weight in _weights(network):
            if weight.grad is None:
                weight.grad = self.share * weight
            else:
                weight.grad.add_(weight, alpha=self.share)


class GaussianKL(nn.Module):
    """`weight` times the Kullback-Leibler divergence of the posterior of each code from the standard normal
    (Kingma and Welling 2014, appendix B), for each of `entries_per_row` observed entries. The weight rises
    from 0 in equal steps over the first `anneal_epochs` epochs (Liang et al. 2018, section 2.2.2)."""

    def __init__(self, weight: float, *, anneal_epochs: int, entries_per_row: float) -> None:
        super().__init__()
        self.weight, self.anneal_epochs, self.entries_per_row = weight, anneal_epochs, entries_per_row

    def forward(self, network: Autoencoder, reconstruction: Reconstruction, *, step: int, epoch: int) -> Mean:
        assert reconstruction.posterior is not None, "the codes of this network are not drawn"
        mean, log_variance = reconstruction.posterior.mean, reconstruction.posterior.log_variance
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
        share = min(1.0, (epoch - 1) / self.anneal_epochs) if self.anneal_epochs else 1.0
        return Mean(self.weight * share / self.entries_per_row * divergence, len(mean))


def _weights(network: nn.Module) -> list[Tensor]:
    """The matrices of a network; a vector is a bias."""
    return [parameter for parameter in network.parameters() if parameter.dim() >= 2]
