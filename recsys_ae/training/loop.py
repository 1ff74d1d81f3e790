"""The one training loop: steps in the order in which they happen, and nothing decided."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from recsys_ae.errors import DivergenceError
from recsys_ae.types import Epoch, Mean, Terms

B = TypeVar("B")
Step = Callable[[B, int], Terms]  # (batch, epoch): updates parameters, returns the terms with floats


def train_epochs(
    step: Step[B], batches: Callable[[int], Iterable[B]], *, max_epochs: int, first_epoch: int = 1
) -> Iterator[Epoch]:
    """Yield after each epoch, numbered from `first_epoch`; stopping, validation, logging and checkpoints are
    the caller's `for` loop. After each yield the parameters are usable.

    Raises DivergenceError at the first term that is not finite.
    """
    for number in range(first_epoch, max_epochs + 1):
        start = time.perf_counter()
        totals: Terms = {}
        n_steps = 0
        for batch in batches(number):
            for name, term in step(batch, number).items():
                _check_finite(name, term, number, n_steps + 1)
                totals[name] = totals[name] + term if name in totals else term
            n_steps += 1
        terms = {name: float(total.value) for name, total in totals.items()}
        yield Epoch(number, terms, sum(terms.values()), time.perf_counter() - start, n_steps)


def _check_finite(name: str, term: Mean, epoch: int, step: int) -> None:
    if not math.isfinite(term.sum):
        raise DivergenceError(
            f"the {name} loss became {term.sum} in epoch {epoch}, step {step}: try "
            "a learning rate ten times smaller"
        )
