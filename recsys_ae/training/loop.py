"""The one training loop: steps in the order in which they happen, and nothing decided."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np

from recsys_ae.errors import DivergenceError
from recsys_ae.rng import random_keys
from recsys_ae.types import CountVector, Epoch, Mean, PositionVector, Terms

B = TypeVar("B", contravariant=True)


class Step(Protocol[B]):
    """One update of the parameters. `step`: updates done before it, over all epochs; `epoch`: from 1. The
    answer is the terms of the batch, as floats."""

    def __call__(self, batch: B, *, step: int, epoch: int) -> Terms: ...


def train_epochs(
    step: Step[B],
    batches: Callable[[int], Iterable[B]],
    *,
    max_epochs: int,
    done: Sequence[Epoch] = (),
) -> Iterator[Epoch]:
    """Yield after each epoch; stopping, validation, logging and checkpoints are the caller's `for` loop.
    After each yield the parameters are usable. `batches`: epoch -> its minibatches; `done`: the epochs that a
    resumed training has behind it.

    Raises DivergenceError at the first term that is not finite.
    """
    n_done = sum(epoch.n_steps for epoch in done)
    for number in range(next_number(done), max_epochs + 1):
        start = time.perf_counter()
        totals: Terms = {}
        n_steps = 0
        for batch in batches(number):
            for name, term in step(batch, step=n_done + n_steps, epoch=number).items():
                _check_finite(name, term, number, n_steps + 1)
                totals[name] = totals[name] + term if name in totals else term
            n_steps += 1
        n_done += n_steps
        terms = {name: float(total.value) for name, total in totals.items()}
        yield Epoch(number, terms, sum(terms.values()), time.perf_counter() - start, n_steps)


def next_number(done: Sequence[Epoch]) -> int:
    """Number of the epoch that follows those done, of which epoch 0 is the state before all training."""
    return done[-1].number + 1 if done else 1


def shuffled_batches(row_sizes: CountVector, *, size: int, seed: int, epoch: int) -> Iterator[PositionVector]:
    """Positions of the rows with at least one entry, each once, in the order that (seed, epoch) gives; the
    last batch may be smaller and is never dropped. `row_sizes`: (n_rows,) entries of each row."""
    rows = np.flatnonzero(row_sizes > 0)
    order = rows[np.argsort(random_keys(len(rows), seed, "batches", epoch), kind="stable")]
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _check_finite(name: str, term: Mean, epoch: int, step: int) -> None:
    if not math.isfinite(term.sum):
        raise DivergenceError(
            f"the {name} loss became {term.sum} in epoch {epoch}, step {step}: try "
            "a learning rate ten times smaller"
        )
