"""Training on all rows in each step: the objective as one function of all parameters, and two optimisers that
need it so: L-BFGS-B, whose line searches compare values, and Rprop, which reads the signs of the gradient."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

import torch
from scipy.optimize import minimize
from torch import nn

from recsys_ae.errors import DivergenceError
from recsys_ae.training.loop import next_number, train_epochs
from recsys_ae.types import Epoch, FloatVector, Mean, Terms

B = TypeVar("B")
_LEAST_GAIN = 1e-11  # of the value, or of 1 where that is more: what an iteration must gain to go on


@dataclass(slots=True)
class WholeObjective(Generic[B]):
    """The objective over all rows, in blocks of them, so that memory does not grow with their number.

    `blocks`: epoch -> the blocks of that epoch, the same whenever it is asked, corruption and all.
    `objective`: (block, step=, epoch=) -> the terms of a block. `backward`: adds the gradient that terms
    carry, whose sum is that of a block and whose count that of all. `known`: adds the rest of it, once.
    `look`: is shown the blocks of the epoch before each value, as a function that gives them.
    `terms`: those of the last value, as floats.
    """

    network: nn.Module
    objective: Callable[..., Terms]
    backward: Callable[[Terms], None]
    known: Callable[[], None]
    blocks: Callable[[int], Iterable[B]]
    look: Callable[[Callable[[], Iterable[B]]], None]
    terms: Terms = field(default_factory=dict, init=False)
    _counts: tuple[int, dict[str, float]] = field(default=(0, {}), init=False)

    def value_and_gradient(
        self, parameters: FloatVector, *, step: int, epoch: int
    ) -> tuple[float, FloatVector]:
        """The sum of all terms' means at these `parameters` (n,) float64, which the network keeps, and its
        gradient (n,) float64."""
        self.put(parameters)
        self.add_gradient(step=step, epoch=epoch)
        slopes = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.network.parameters()]
        gradient = torch.cat([slope.reshape(-1) for slope in slopes]).double().cpu().numpy()
        return sum(float(term.value) for term in self.terms.values()), gradient

    def add_gradient(self, *, step: int, epoch: int) -> None:
        """Put the gradient at the parameters of the network into the network. Sums are added up over the
        blocks, and divided once."""
        counts = self._counts_of(step=step, epoch=epoch)
        self.look(partial(self.blocks, epoch))
        self.network.zero_grad(set_to_none=True)
        totals: Terms = {}
        for block in self.blocks(epoch):
            terms = self.objective(block, step=step, epoch=epoch)
            self.backward({name: Mean(term.sum, counts[name]) for name, term in terms.items()})
            _add(totals, terms)
        self.known()
        self.terms = totals

    def parameters(self) -> FloatVector:
        """(n,) float64: a copy of all parameters, in the order of the network; one that layers share is there
        once."""
        flat = torch.cat([p.detach().reshape(-1) for p in self.network.parameters()])
        return flat.double().cpu().numpy()

    @torch.no_grad()
    def put(self, parameters: FloatVector) -> None:
        """Inverse of `parameters`."""
        own = list(self.network.parameters())
        for old, new in zip(own, torch.from_numpy(parameters).split([p.numel() for p in own]), strict=True):
            old.copy_(new.view_as(old))

    @torch.no_grad()
    def _counts_of(self, *, step: int, epoch: int) -> dict[str, float]:
        """The count of each term over all blocks of an epoch, whatever the parameters."""
        if self._counts[0] != epoch:
            totals: Terms = {}
            for block in self.blocks(epoch):
                _add(totals, self.objective(block, step=step, epoch=epoch))
            self._counts = epoch, {name: total.count for name, total in totals.items()}
        return self._counts[1]


def lbfgs_epochs(
    whole: WholeObjective[B],
    *,
    iterations: int,
    max_epochs: int,
    validate_every: int = 1,
    done: Sequence[Epoch] = (),
) -> Iterator[Epoch]:
    """Yield after each epoch, which is a call of SciPy's L-BFGS-B (Byrd, Lu, Nocedal, Zhu 1995) with at most
    so many `iterations`, its steps. Terms are those where the epoch ends.

    The curvature that one call has learnt is not known to the next, so that an epoch depends on nothing but
    the parameters. One that gains nothing leaves them as they were, and has 0 steps: training ends with the
    first of these that is validated. Raises DivergenceError where a value is not finite.
    """
    n_done, last = sum(epoch.n_steps for epoch in done), done[-1] if done else None
    for number in range(next_number(done), max_epochs + 1):
        if last is not None and last.number > 0 and not last.n_steps and last.number % validate_every == 0:
            return
        start = time.perf_counter()
        n_steps, terms = _minimise(whole, iterations, step=n_done, epoch=number)
        n_done += n_steps
        means = {name: float(term.value) for name, term in terms.items()}
        last = Epoch(number, means, sum(means.values()), time.perf_counter() - start, n_steps)
        yield last


def _minimise(whole: WholeObjective[B], iterations: int, *, step: int, epoch: int) -> tuple[int, Terms]:
    """Leave the network at the best point that so many iterations find. How many there were, 0 where they
    gain nothing, and the terms at that point."""
    before = whole.parameters()
    asked: list[tuple[float, Terms]] = []
    reached: list[Terms] = []

    def function(parameters: FloatVector) -> tuple[float, FloatVector]:
        value, gradient = whole.value_and_gradient(parameters, step=step, epoch=epoch)
        if not math.isfinite(value):
            raise DivergenceError(
                f"the loss became {value} in epoch {epoch}: try a larger l2, or optimizer: adam"
            )
        asked.append((value, whole.terms))
        return value, gradient

    found = minimize(
        function,
        before,
        method="L-BFGS-B",
        jac=True,
        callback=lambda point: reached.append(asked[-1][1]),  # an iteration ends at the point asked last
        options={"maxiter": iterations, "ftol": _LEAST_GAIN, "gtol": 0.0},
    )
    first, terms = asked[0]
    if not reached or first - found.fun <= _LEAST_GAIN * max(abs(first), 1.0):
        whole.put(before)
        return 0, terms
    whole.put(found.x)
    return len(reached), reached[-1]


def full_batch_epochs(
    whole: WholeObjective[B],
    optimizer: torch.optim.Optimizer,
    *,
    iterations: int,
    max_epochs: int,
    done: Sequence[Epoch] = (),
) -> Iterator[Epoch]:
    """Yield after each epoch of so many `iterations`, each a step of the optimiser along the gradient of all
    rows. Terms are means over the steps, each before its update."""

    def step(batch: int, *, step: int, epoch: int) -> Terms:
        whole.add_gradient(step=step, epoch=epoch)
        optimizer.step()
        return whole.terms

    return train_epochs(step, lambda epoch: range(iterations), max_epochs=max_epochs, done=done)


def _add(totals: Terms, terms: Terms) -> None:
    """Add the terms of a block to those of the blocks before, as floats."""
    for name, term in terms.items():
        plain = Mean(float(term.sum.detach()), term.count)
        totals[name] = totals[name] + plain if name in totals else plain
