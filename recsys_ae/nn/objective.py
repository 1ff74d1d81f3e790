"""All that training minimises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn

from recsys_ae.nn.autoencoder import Autoencoder, Reconstruction
from recsys_ae.nn.corruption import Corruption, keep_clean
from recsys_ae.nn.losses import Loss, masked_squared_error
from recsys_ae.nn.penalties import KnownGradient, KnowsAllRows
from recsys_ae.nn.rows import RowBatch
from recsys_ae.nn.sparsity import Sparsity
from recsys_ae.types import Terms


class Objective(nn.Module):
    """Corrupt the input, reconstruct, compare with the clean values, add the penalties.

    The corruption happens here so that no caller can mix input and target up. `penalties`: name -> module as
    `penalties.Penalty` describes it; the name is the term's name in the curves. `hidden_dropout`: the
    probability that a hidden unit of a row is not seen by the next layer. `sparsity`: what the codes were
    like that it saw in training mode.
    """

    def __init__(
        self,
        *,
        corruption: Corruption = keep_clean,
        loss: Loss = masked_squared_error,
        penalties: Mapping[str, nn.Module] | None = None,
        hidden_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.corruption = corruption
        self.loss = loss
        self.hidden_dropout = hidden_dropout
        self.penalties = nn.ModuleDict(penalties or {})
        self.sparsity = Sparsity()

    def begin_epoch(self, network: Autoencoder, rows: Callable[[], Iterable[RowBatch]]) -> None:
        """To be called before the first batch of each epoch. `rows`: gives all rows with entries."""
        for penalty in self._that_know_all_rows():
            penalty.look_at(network, (network(clean) for clean in rows()))

    def begin_step(
        self,
        network: Autoencoder,
        rows: Callable[[], Iterable[RowBatch]],
        *,
        generator: torch.Generator,
    ) -> None:
        """Where each step takes all rows: to be called before each step, in place of `begin_epoch`. `rows`:
        gives them, block by block, each with the noise that is drawn for it in the step."""
        for penalty in self._that_know_all_rows():
            penalty.look_at(network, (self._reconstruct(network, clean, generator)[1] for clean in rows()))

    def forward(
        self,
        network: Autoencoder,
        clean: RowBatch,
        *,
        step: int,
        epoch: int,
        generator: torch.Generator,
    ) -> Terms:
        """The terms of one batch, whose means add up to what is minimised: "reconstruction" and each penalty
        under its name. `step`: updates done before, over all epochs; `epoch`: from 1.

        Their gradient is what `backward` adds, and nothing else: some terms do not carry theirs themselves.
        """
        read, reconstruction = self._reconstruct(network, clean, generator)
        if self.training and isinstance(network, Autoencoder):  # single layers have no code
            self.sparsity.add(network, reconstruction)
        terms = {"reconstruction": self.loss(reconstruction, clean.marked(read.corrupted), generator)}
        for name, penalty in self.penalties.items():
            terms[name] = penalty(network, reconstruction, step=step, epoch=epoch)
        return terms

    def _reconstruct(
        self, network: Autoencoder, clean: RowBatch, generator: torch.Generator
    ) -> tuple[RowBatch, Reconstruction]:
        """What the network reads of the rows, and what it makes of it."""
        read = self.corruption(clean, generator)
        return read, network(read, generator, dropout=self.hidden_dropout)

    def _that_know_all_rows(self) -> list[KnowsAllRows]:
        return [penalty for penalty in self.penalties.values() if isinstance(penalty, KnowsAllRows)]

    def backward(self, network: nn.Module, terms: Terms) -> None:
        """Add the gradient of the sum of the terms' means to that of the parameters."""
        self.backward_of_terms(terms)
        self.add_known_gradient(network)

    def backward_of_terms(self, terms: Terms) -> None:
        """Add what the terms carry of their gradient. Over several batches the sum of a term is that of each,
        and its count that of all together."""
        means = [term.value for term in terms.values()]
        sum(mean for mean in means if mean.requires_grad).backward()

    def add_known_gradient(self, network: nn.Module) -> None:
        """Add what penalties know of their gradient themselves, which has no part in any batch."""
        for penalty in self.penalties.values():
            if isinstance(penalty, KnownGradient):
                penalty.add_gradient(network)
