"""How to run a fit, as against what to fit: nothing here decides a result but the seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recsys_ae.recommender import Recommender
from recsys_ae.types import Epoch


def ignore(epoch: Epoch) -> None:
    """Hear of an epoch and do nothing."""


def ignore_interrupt(epoch: int) -> None:
    """Hear of an interrupted training and do nothing."""


@dataclass(frozen=True, slots=True)
class FitContext:
    """Where and how a model is fitted.

    `validate`: score of a candidate on validation data, higher is better; asked after every epoch (or
    iteration), and the best candidate is returned. None: train to the last epoch.
    `on_epoch`: told of each epoch (progress bar, tracker).
    `on_interrupt`: told the last whole epoch when Ctrl-C ends training early and the best model so
    far is returned.
    `checkpoint`: folder that training keeps its state in; `resume`: continue from what is there.
    """

    seed: int = 0
    device: str = "auto"
    validate: Callable[[Recommender], float] | None = None
    on_epoch: Callable[[Epoch], None] = ignore
    on_interrupt: Callable[[int], None] = ignore_interrupt
    checkpoint: Path | None = None
    resume: bool = False
