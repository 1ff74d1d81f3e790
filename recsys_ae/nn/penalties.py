"""What an objective adds to its data term.

Each penalty is a module, so that what it remembers travels to the device and into checkpoints. Its weight is
applied inside, as the paper's formula has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from recsys_ae.nn.autoencoder import Autoencoder, Reconstruction
from recsys_ae.nn.layers import identity, states_of
from recsys_ae.types import Mean

_NEAREST = 1e-6  # how near to 0 and 1 a mean activation may come before the divergence goes on as a line


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


@runtime_checkable
class KnowsAllRows(Protocol):
    """A penalty that needs a look at all rows together: at the clean rows, before each epoch. Where each step
    takes all rows, block by block, it has that look before each step, at what the step reads."""

    def look_at(self, network: Autoencoder, reconstructions: Iterable[Reconstruction]) -> None:
        """`reconstructions`: of all rows with entries, made as they are asked for; nobody has to ask."""
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


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a penalty on codes may know before training. `code`: units of the code; `entries`: observed
    entries of all rows; `rows`, `columns`: how many have entries."""

    code: int
    entries: int
    rows: int
    columns: int


class SparseKL(nn.Module):
    """`beta` times the Kullback-Leibler divergence KL(ρ‖ρ̂) = ρ log ρ/ρ̂ + (1 - ρ) log (1 - ρ)/(1 - ρ̂) of the
    mean activation ρ̂ of a unit from the wanted ρ, as a mean over units (Ng 2011, "Sparse autoencoder",
    section 3). Units count by their state in (0, 1), see `states_of`: a sigmoid, or (1 + a) / 2 of a tanh.

    ρ̂ is a mean `over` the rows of the batch; or the running mean of the batches so far,
    ρ̂ₜ = decay · ρ̂ₜ₋₁ + (1 - decay) · ρ̂_batch from ρ̂₀ = ρ; or one over the clean data, taken anew before each
    epoch. Where a step takes all rows, it is one over these as the step reads them, taken anew before each.

    Rows that are not in the batch give no gradient: other steps took them, or take them. So the slope of the
    divergence, β(-ρ/ρ̂ + (1 - ρ)/(1 - ρ̂)), is taken at ρ̂, and the gradient flows on through the mean of
    the batch, which stands for ρ̂ undiminished: one `beta` pulls as strongly over all three, whatever the
    decay.

    The data term here is a mean over entries, in which each unit has its share. Ng adds β Σ KL to the mean
    over rows of half their squared error: his β is `beta` · entries per row / (2 · units).
    """

    mean: Tensor

    def __init__(
        self, rho: float, beta: float, over: Literal["batch", "running", "data"], decay: float, sizes: Sizes
    ) -> None:
        super().__init__()
        self.rho, self.beta, self.over, self.decay = rho, beta, over, decay
        self.register_buffer("mean", torch.full((sizes.code,), rho))

    @torch.no_grad()
    def look_at(self, network: Autoencoder, reconstructions: Iterable[Reconstruction]) -> None:
        """Take the mean over the data, where that is wanted."""
        if self.over == "data":
            n_rows, total = 0, torch.zeros_like(self.mean, dtype=torch.float64)
            for reconstruction in reconstructions:
                n_rows += len(reconstruction.code)
                total += _states(network, reconstruction).sum(dim=0)
            self.mean = (total / n_rows).to(reconstruction.code.dtype)

    def forward(self, network: Autoencoder, reconstruction: Reconstruction, *, step: int, epoch: int) -> Mean:
        of_batch = _states(network, reconstruction).mean(dim=0)
        mean = self._mean(of_batch.detach())
        at = mean.clamp(_NEAREST, 1 - _NEAREST)
        rho, share = self.rho, self.beta / len(at)
        slope = (1 - rho) / (1 - at) - rho / at
        divergence = rho * torch.log(rho / at) + (1 - rho) * torch.log((1 - rho) / (1 - at))
        divergence = divergence + slope * (mean - at)  # beyond the nearest a straight line
        term = share * (divergence + slope * (of_batch - of_batch.detach())).sum()
        n_rows = len(reconstruction.code)
        return Mean(n_rows * term, n_rows)

    def _mean(self, of_batch: Tensor) -> Tensor:
        """(units,) ρ̂, of which a running mean learns in training mode alone."""
        if self.over == "batch":
            return of_batch
        if self.over == "running" and self.training:
            self.mean = self.decay * self.mean + (1 - self.decay) * of_batch
        return self.mean


class L1Penalty(nn.Module):
    """`weight` times the mean of the absolute activations of all units and rows, whatever the activation.

    Beside the *sum* of the squared errors of a row, as the papers have it, λ Σ|a| is λ = `weight` · entries
    per row / units: the data term here is a mean over entries.
    """

    def __init__(self, weight: float, sizes: Sizes) -> None:
        super().__init__()
        self.share = weight / sizes.code

    def forward(self, network: Autoencoder, reconstruction: Reconstruction, *, step: int, epoch: int) -> Mean:
        return Mean(self.share * reconstruction.code.abs().sum(), len(reconstruction.code))


# slope of an activation function where its value is a
_SLOPES: dict[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]] = {
    torch.sigmoid: lambda a: a * (1 - a),
    torch.tanh: lambda a: 1 - a.square(),
    torch.relu: lambda a: (a > 0).to(a.dtype),
    nn.functional.elu: lambda a: torch.where(a > 0, 1.0, a + 1),
    identity: torch.ones_like,
}


class ContractivePenalty(nn.Module):
    """`weight` times how far noise in the entries moves a unit: the squared Frobenius norm of the Jacobian of
    the code by the entries of the row (Rifai, Vincent, Muller, Glorot, Bengio 2011, eq. 5 and 7), which for
    one encoder layer with activation g is Σ_j g'(z_j)² Σ_i W_ij².

    Every column counts, as in the paper, whether observed in the row or not: an entry that is not there yet
    should not overturn the code either, and the sum over columns is the same for all rows. It is scaled by
    entries per row / columns, which makes it that of as many columns as a row has entries, and averaged over
    units; so it does not grow with the catalogue or the code. λ‖J‖² beside the *sum* of the squared errors of
    a row is λ = `weight` / (columns · units) · (entries per row)².
    """

    def __init__(self, weight: float, sizes: Sizes) -> None:
        super().__init__()
        self.share = weight * sizes.entries / sizes.rows / sizes.columns / sizes.code

    def forward(self, network: Autoencoder, reconstruction: Reconstruction, *, step: int, epoch: int) -> Mean:
        encoder, code = network.encoder, reconstruction.code
        slopes = _SLOPES[encoder.activation](code)
        of_columns = encoder.first.weight.square().sum(dim=0)
        return Mean(self.share * (slopes.square().sum(dim=0) @ of_columns), len(code))


# kind of a config -> the penalty on codes, which takes the config's other fields by their names
PENALTIES: dict[str, Callable[..., nn.Module]] = {
    "kl-sparse": SparseKL,
    "l1": L1Penalty,
    "contractive": ContractivePenalty,
}


def _states(network: Autoencoder, reconstruction: Reconstruction) -> Tensor:
    """(b, units) the codes as states between 0 and 1."""
    return states_of(reconstruction.code, network.encoder.activation)


def _weights(network: nn.Module) -> list[Tensor]:
    """The matrices of a network; a vector is a bias."""
    return [parameter for parameter in network.parameters() if parameter.dim() >= 2]
