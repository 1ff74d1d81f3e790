"""How sure one model's figure is, over all users or items and over groups of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recsys_ae.evaluation.comparison import FEWEST_USERS
from recsys_ae.evaluation.report import Report
from recsys_ae.evaluation.uncertainty import PairedSums, uncertainty
from recsys_ae.metrics import Metric
from recsys_ae.types import BoolVector, CountVector, FloatMatrix, FloatVector, IdVector, PositionVector


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, the mean over seeds, with its confidence interval, NaN where fewer than 30 units (users or
    items, `n` of them) make it."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Sums of which figures are made, over users or items. `ids`: (n,) of any seed; `sums`, `counts`:
    (n, n_seeds), 0 where a unit has none in a seed; `others`: of the model that this one is held against, 0
    where it stands alone; `activity`: (n,) how many training ratings a unit has,
    the mean over the seeds that know it, rounded."""

    ids: IdVector
    sums: FloatMatrix
    others: FloatMatrix
    counts: FloatMatrix
    activity: FloatVector

    def against(self, reference: Units) -> Units:
        """The same for differences to another model on the same splits, over the units that both have."""
        both = (self.counts > 0) & (reference.counts > 0)
        sums, others, counts = (
            np.where(both, part, 0.0) for part in (self.sums, reference.sums, self.counts)
        )
        return replace(self, sums=sums, others=others, counts=counts)

    def estimate(self, metric: Metric, chosen: BoolVector | None = None, *, p: float = 0.05) -> Estimate:
        """The figure of `metric`, or the difference of two, over the `chosen` units (n,); None: over all."""
        chosen = np.ones(len(self.ids), dtype=bool) if chosen is None else chosen
        kept, seeds = chosen & self.counts.any(axis=1), self.counts[chosen].any(axis=0)
        if not kept.any():
            return Estimate(math.nan, math.nan, math.nan, 0)
        parts = (part[kept][:, seeds] for part in (self.sums, self.others, self.counts))
        paired = PairedSums(metric, *parts)  # to nothing, where the model stands alone
        value, n = float(paired.differences().mean()), int(np.count_nonzero(kept))
        half = uncertainty(paired).half_width(p) if n >= FEWEST_USERS else math.nan
        return Estimate(value, value - half, value + half, n)


def of_users(reports: Sequence[Report], metric: Metric) -> Units | None:
    """What `metric` of these reports, one per seed, is made of, user by user; None where one lacks it."""
    found = [report.sums(metric) for report in reports]
    parts = [
        {"sums": sums[0], "counts": sums[1], "activity": report.per_user["n_history"]}
        for report, sums in zip(reports, found, strict=True)
        if sums is not None and "n_history" in report.per_user
    ]
    if len(parts) < len(reports) or not parts:
        return None
    return _stacked([report.users for report in reports], parts)


def of_items(reports: Sequence[Report], metric: Metric) -> Units | None:
    """The same item by item: errors of the predicted ratings of each item, or, of a metric of lists, which of
    the ratings that count as hits were found in the first `metric.cutoff` places."""
    names = metric.columns if metric.family == "rating" else (f"hits_at_{metric.cutoff}", "n_relevant")
    if not reports or not all(name in report.per_item for report in reports for name in names):
        return None
    sums, counts = names
    parts = [
        {"sums": of[sums], "counts": of[counts], "activity": of["n_train"]}
        for of in (report.per_item for report in reports)
    ]
    return _stacked([report.items for report in reports], parts)


def bounds(units: Units, n_groups: int = 4) -> list[tuple[int, int]]:
    """(least, most) training ratings of the units in each of at most `n_groups` groups, ascending, which hold
    about as many counted values each. Fewer where many units have the same activity, and where a group would
    have fewer than 30 units, which is one with the next, or, at the end, with the one before."""
    weights = units.counts.sum(axis=1)
    counted = weights > 0
    levels, which = np.unique(units.activity[counted].astype(np.int64), return_inverse=True)
    if not len(levels):
        return []
    reached = np.bincount(which, weights=weights[counted]).cumsum()
    wanted = reached[-1] * np.arange(1, n_groups + 1) / n_groups
    ends = np.unique(np.minimum(np.searchsorted(reached, wanted * (1 - 1e-12)), len(levels) - 1))
    ends = _of_enough(ends, np.bincount(which).cumsum())
    starts = np.concatenate([[0], ends[:-1] + 1])
    return [(int(levels[start]), int(levels[end])) for start, end in zip(starts, ends, strict=True)]


def _of_enough(ends: PositionVector, n_until: CountVector) -> PositionVector:
    """The ends of groups of `FEWEST_USERS` units or more, some of `ends`; the last alone where there are not
    as many. `n_until`: how many units each level and those before it have."""
    kept, n_before = [], 0
    for end in ends:
        n_after = n_until[-1] - n_until[end]
        if n_until[end] - n_before >= FEWEST_USERS and (n_after >= FEWEST_USERS or n_after == 0):
            kept.append(int(end))
            n_before = n_until[end]
    return np.array(kept or ends[-1:], dtype=np.int64)


def by_activity(units: Units, metric: Metric, groups: Sequence[tuple[int, int]]) -> list[Estimate]:
    """The figure over the units of each group, by its least and most training ratings."""
    found = []
    for least, most in groups:
        found.append(units.estimate(metric, (units.activity >= least) & (units.activity <= most)))
    return found


def _stacked(ids: Sequence[IdVector], parts: Sequence[Mapping[str, np.ndarray]]) -> Units:
    every = np.unique(np.concatenate(ids))
    columns = {name: np.full((len(every), len(parts)), np.nan) for name in parts[0]}
    for seed, (own, part) in enumerate(zip(ids, parts, strict=True)):
        rows = np.searchsorted(every, own)
        for name, values in part.items():
            columns[name][rows, seed] = values
    undefined = np.isnan(columns["sums"])
    known = ~np.isnan(columns["activity"])
    activity = np.where(known, columns["activity"], 0.0).sum(axis=1) / known.sum(axis=1)
    return Units(
        every,
        np.where(undefined, 0.0, columns["sums"]),
        np.zeros(undefined.shape),
        np.where(undefined, 0.0, columns["counts"]),
        np.rint(activity),
    )
