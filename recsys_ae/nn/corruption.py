"""Inputs made worse on purpose: RowBatch -> RowBatch, observed entries only."""

from __future__ import annotations

from collections.abc import Callable

import torch

from recsys_ae.nn.rows import RowBatch

Corruption = Callable[[RowBatch, torch.Generator], RowBatch]


def keep_clean(batch: RowBatch, generator: torch.Generator) -> RowBatch:
    """No corruption."""
    return batch


def mask(
    batch: RowBatch, generator: torch.Generator, *, probability: float, rescale: bool = True
) -> RowBatch:
    """Each observed entry is hidden with `probability`. With `rescale` the others are seen
    1 / (1 - probability) times as strongly, so that sums keep their expectation. A network cannot tell a
    hidden entry from an unobserved one."""
    draws = torch.rand(len(batch.values), generator=generator, device=batch.values.device)
    kept = draws >= probability
    seen = kept / (1.0 - probability) if rescale else kept.to(batch.values.dtype)
    return batch.weighted(seen).marked(~kept)


def add_noise(
    batch: RowBatch, generator: torch.Generator, *, deviation: float, relative: bool = False
) -> RowBatch:
    """Normal noise of standard `deviation` on each observed value: in the units of the values, or where
    `relative` as a share of each."""
    noise = torch.randn(len(batch.values), generator=generator, device=batch.values.device)
    size = deviation * batch.values if relative else deviation
    return batch.with_values(batch.values + size * noise).marked(torch.ones_like(noise, dtype=torch.bool))


def salt_and_pepper(
    batch: RowBatch, generator: torch.Generator, *, probability: float, limits: tuple[float, float]
) -> RowBatch:
    """Each observed value becomes, with `probability`, the lower or the upper of the `limits` (in the units
    of the values), by the toss of a fair coin (Vincent et al. 2010, section 3.3)."""
    draws = torch.rand(len(batch.values), generator=generator, device=batch.values.device)
    low, high = (torch.full_like(batch.values, limit) for limit in limits)
    ends = torch.where(draws < probability / 2, low, high)
    chosen = draws < probability
    return batch.with_values(torch.where(chosen, ends, batch.values)).marked(chosen)


def of_unit_rows(batch: RowBatch, generator: torch.Generator, *, corruption: Corruption) -> RowBatch:
    """What `corruption` makes of the entries as 1 over the root of their number in the row, whatever their
    values: for rows whose values say how much an entry weighs in the loss, and not what is read."""
    sizes = batch.starts.diff()
    lengths = torch.repeat_interleave(sizes.double().rsqrt().to(batch.values.dtype), sizes)
    return corruption(batch.with_values(lengths), generator)
