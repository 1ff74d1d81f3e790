"""One update: forward, backward, optimiser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from recsys_ae.types import Mean, Terms

B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class AutogradStep(Generic[B]):
    """A step whose gradient comes from torch. `objective`: batch -> terms, with gradient; `schedule`: epoch
    -> share of the initial learning rate. Compiled steps for the same objectives can stand in for it."""

    objective: Callable[[B], Terms]
    optimizer: torch.optim.Optimizer
    schedule: Callable[[int], float]

    def __call__(self, batch: B, epoch: int) -> Terms:
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self.schedule(epoch)
        terms = self.objective(batch)
        self.optimizer.zero_grad(set_to_none=True)
        sum(term.value for term in terms.values()).backward()
        self.optimizer.step()
        return {name: Mean(float(term.sum.detach()), term.count) for name, term in terms.items()}
