"""The restricted Boltzmann machine of ratings, and its training by contrastive divergence (Salakhutdinov,
Mnih, Hinton 2007). Everything is computed at observed entries only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recsys_ae.nn.penalties import L2Penalty
from recsys_ae.nn.rows import RowBatch
from recsys_ae.types import Mean, Terms

_WEIGHT_DEVIATION = 0.01  # of the weights that training begins with, as in the paper


class RBM(nn.Module):
    """A rating of an item is one of K levels. A row's ratings and its binary hidden units explain each other:

        p(v_i = k | h) = softmax over k of (b_i^k + Σ_j h_j W_ij^k)                               (eq. 1)
        p(h_j = 1 | V) = sigmoid(c_j + Σ_i W_ij^(level of i) + Σ_i D_ij), i over the rated items  (eq. 2, 15)

    `weights`: W, (K * n_items, hidden); `visible_bias`: b, (K * n_items,); both have level k of item i in
    place k * n_items + i. `hidden_bias`: c, (hidden,). `presence_weights`: D, (n_items, hidden), what it says
    that an item was rated, however; the conditional RBM alone has it. All float32, and 0 until `start`.
    The values of the batches that it reads are levels, 0 to K - 1.
    """

    def __init__(self, n_items: int, *, n_levels: int, hidden: int, conditional: bool) -> None:
        super().__init__()
        self.n_items, self.n_levels = n_items, n_levels
        self.weights = nn.Parameter(torch.zeros(n_levels * n_items, hidden))
        self.visible_bias = nn.Parameter(torch.zeros(n_levels * n_items))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.presence_weights = nn.Parameter(torch.zeros(n_items, hidden)) if conditional else None

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.weights.device

    @torch.no_grad()
    def start(self, generator: torch.Generator, shares: np.ndarray, observed: np.ndarray) -> RBM:
        """Draw the weights that training begins with, and give the machine itself. The levels of an item then
        have the probabilities `shares` (K, n_items) where each hidden unit is on with probability 1/2, as it
        is for a row without entries. Items that are not `observed` (n_items,) bool have no weights, and never
        leave their shares."""
        columns = torch.from_numpy(np.tile(observed, self.n_levels))
        drawn = torch.randn(int(columns.sum()), self.weights.shape[1], generator=generator)
        self.weights[columns] = _WEIGHT_DEVIATION * drawn
        logs = torch.from_numpy(np.log(shares)).float().reshape(-1)
        self.visible_bias.copy_(logs - self.weights.sum(dim=1) / 2)
        return self

    def copied_parameters(self) -> dict[str, np.ndarray]:
        """Name -> a copy of each parameter, on the CPU."""
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in self.state_dict().items()}

    @torch.no_grad()
    def hidden_shares(self, visible: Tensor, batch: RowBatch) -> Tensor:
        """(b, hidden) p(h_j = 1 | V), eq. 2. `visible`: (K, m), how much of each observed entry is at each
        level: 1 at its own, or probabilities."""
        read = self.hidden_bias.repeat(batch.n_rows, 1)
        for level, weight in zip(visible, self._by_level(self.weights), strict=True):
            read.addmm_(batch.sparse(level), weight)
        if self.presence_weights is not None:
            read.addmm_(batch.sparse(torch.ones_like(visible[0])), self.presence_weights)
        return torch.sigmoid(read)

    @torch.no_grad()
    def log_visible_shares(self, hidden: Tensor, batch: RowBatch) -> Tensor:
        """(K, m) log p(v_i = k | h), eq. 1, at the observed entries, for hidden units (b, hidden)."""
        columns = batch.columns.long()
        outputs = [
            torch.sparse.sampled_addmm(batch.sparse(bias[columns]), hidden, weight.T).values()
            for weight, bias in zip(
                self._by_level(self.weights), self._by_level(self.visible_bias), strict=True
            )
        ]
        return torch.log_softmax(torch.stack(outputs), dim=0)

    def _by_level(self, parameter: Tensor) -> Tensor:
        """(K, n_items, ...) view."""
        return parameter.view(self.n_levels, self.n_items, *parameter.shape[1:])


@dataclass(frozen=True, slots=True)
class ChainState:
    """A state of the Gibbs chain. `visible`: (K, m), as in `RBM.hidden_shares`; `hidden`: (b, hidden), the
    probabilities that follow from it."""

    visible: Tensor
    hidden: Tensor

    def add_statistics(self, totals: Sequence[Tensor], batch: RowBatch, sign: float) -> None:
        """Add `sign` times the sums over the rows to `totals`, one for each parameter in turn: those of
        v_i^k h_j (K * n_items, hidden), of v_i^k (K * n_items,), of h_j (hidden,), and where there is a
        fourth, of h_j where item i is rated (n_items, hidden). They go through sparse products, never through
        scattered additions, so that they are the same on every run."""
        n_levels, ones = len(self.visible), self.hidden.new_ones(batch.n_rows, 1)
        weights, biases = (each.view(n_levels, batch.n_columns, -1) for each in totals[:2])
        for level, weight, bias in zip(self.visible, weights, biases, strict=True):
            by_item = batch.sparse_transposed(level)
            weight.addmm_(by_item, self.hidden, alpha=sign)
            bias.addmm_(by_item, ones, alpha=sign)
        totals[2].add_(self.hidden.sum(dim=0), alpha=sign)
        for presence in totals[3:]:
            rated = batch.sparse_transposed(torch.ones_like(self.visible[0]))
            presence.addmm_(rated, self.hidden, alpha=sign)


class ContrastiveDivergence(nn.Module):
    """What trains an RBM: CD_T (eq. 6) and a penalty on the weights, None for none.

    `steps`: epoch -> T, the steps of Gibbs sampling."""

    def __init__(self, steps: Callable[[int], int], l2: L2Penalty | None = None) -> None:
        super().__init__()
        self.steps, self.l2 = steps, l2

    def forward(
        self, network: RBM, clean: RowBatch, *, step: int, epoch: int, generator: torch.Generator
    ) -> Terms:
        """The terms of one batch. "reconstruction": minus the log-probability of an observed level after the
        first step of sampling; it is watched, and its gradient is not that of this figure but that of
        contrastive divergence for an entry, which descends on no function. "l2": the penalty."""
        loss = _Contrast.apply(network, clean, self.steps(epoch), generator, *network.parameters())
        terms = {"reconstruction": Mean(loss, len(clean.values))}
        if self.l2 is not None:
            terms["l2"] = self.l2(network, None, step=step, epoch=epoch)
        return terms

    def backward(self, network: nn.Module, terms: Terms) -> None:
        """Add the gradient to that of the parameters."""
        terms["reconstruction"].value.backward()
        if self.l2 is not None:
            self.l2.add_gradient(network)


def chain(
    rbm: RBM, batch: RowBatch, steps: int, generator: torch.Generator
) -> tuple[ChainState, ChainState, Tensor]:
    """The data, what is left of them after `steps` steps of Gibbs sampling, and () minus the log-probability
    of the data after the first of them, summed over entries.

    Hidden units are drawn; visible ones keep their probabilities, which have the mean of draws without their
    noise (Hinton 2010, section 3.2)."""
    levels = torch.arange(rbm.n_levels, device=batch.values.device)
    shown = (levels[:, None] == batch.values).to(rbm.weights.dtype)
    data = now = ChainState(shown, rbm.hidden_shares(shown, batch))
    loss = shown.new_zeros(())
    for step in range(steps):
        draws = torch.rand(now.hidden.shape, generator=generator, dtype=shown.dtype, device=shown.device)
        logs = rbm.log_visible_shares((draws < now.hidden).to(shown.dtype), batch)
        if step == 0:
            loss = -(logs * shown).sum()
        visible = logs.exp()
        now = ChainState(visible, rbm.hidden_shares(visible, batch))
    return data, now, loss


class _Contrast(torch.autograd.Function):
    """The loss of `chain`, with the gradient <v h>_T - <v h>_data (eq. 6 and 16) for the parameters."""

    @staticmethod
    def forward(
        ctx: Any, rbm: RBM, batch: RowBatch, steps: int, generator: torch.Generator, *parameters: Tensor
    ) -> Tensor:
        data, last, loss = chain(rbm, batch, steps, generator)
        gradient = [torch.zeros_like(parameter) for parameter in parameters]
        last.add_statistics(gradient, batch, 1.0)
        data.add_statistics(gradient, batch, -1.0)
        ctx.save_for_backward(*gradient)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, None, None, *(each * grad for each in ctx.saved_tensors)
