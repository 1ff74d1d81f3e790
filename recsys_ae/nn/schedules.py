"""Learning rates as pure functions of the epoch: share of the initial rate, epochs from 1."""

from __future__ import annotations

import math


def constant(epoch: int) -> float:
    return 1.0


def cosine(epoch: int, *, epochs: int, final_share: float) -> float:
    """Half a cosine from 1 at the first epoch to `final_share` at the last (Loshchilov and Hutter 2017)."""
    progress = (epoch - 1) / max(epochs - 1, 1)
    return final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * progress))


def step_decay(epoch: int, *, every: int, factor: float) -> float:
    """`factor` to the power of the whole number of `every` epochs done."""
    return factor ** ((epoch - 1) // every)
