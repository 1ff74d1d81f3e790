"""Whether a difference between models is more than luck: paired over users, and over seeds where there are
several."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from recsys_ae.errors import ConfigError, DataError
from recsys_ae.evaluation.report import Report
from recsys_ae.evaluation.uncertainty import PairedSums, uncertainty
from recsys_ae.metrics import Metric
from recsys_ae.types import FloatVector

FEWEST_USERS = 30  # below, nothing is known of how the mean of a skewed value is distributed


@dataclass(frozen=True, slots=True)
class Difference:
    """`difference` = metric of `name` − metric of the reference, both means over seeds; so a better rmse is a
    negative difference. `metric`: the key of the metric. `low`, `high`: the confidence interval. `p_value`:
    two-sided, of no difference; `p_adjusted`: the same by Holm's method over all differences of the
    comparison. `n_users`: users that the two models could be compared on; `n_skipped`: evaluated users for
    whom the metric is not defined. `n_seeds`: with one, what other splits and fits would change is in neither
    interval nor p-value.

    Fewer than 30 users are no test: interval and p-values are NaN then, and `note` says so.
    """

    name: str
    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    n_users: int
    n_skipped: int
    n_seeds: int

    def to_json(self) -> dict[str, Any]:
        """All but what it is a difference of, with the note, null where there is none."""
        found = {name: value for name, value in asdict(self).items() if name not in ("name", "metric")}
        return {**found, "note": self.note or None}

    @property
    def note(self) -> str:
        """Why there is no p-value; "" where there is one."""
        return f"too few users ({self.n_users}) for a test" if self.n_users < FEWEST_USERS else ""


def compare(
    reports: Mapping[str, Sequence[Report]],
    *,
    reference: str,
    metrics: Sequence[Metric],
    confidence: float = 0.95,
) -> list[Difference]:
    """Every other model's difference to `reference`, in the order of `reports` (one report per seed each), by
    each metric that both have. All of them are one family for Holm's method, over the metrics too.

    Interval and p-value are of users and seeds like these (see `uncertainty`); the interval holds 0 where p
    is above 1 − confidence.

    Raises ConfigError for a metric that is no mean over users or unknown models, DataError where reports are
    not of the same split, or count other items of lists as hits and are compared by them.
    """
    _check(reports, reference, metrics, confidence)
    found = [
        _difference(reports[name], reports[reference], metric, name, confidence)
        for metric in metrics
        for name in reports
        if name != reference and all(_has(reports[model], metric) for model in (name, reference))
    ]
    tested = np.array([not one.note for one in found], dtype=bool)
    adjusted = np.full(len(found), math.nan)
    adjusted[tested] = holm(np.array([one.p_value for one in found])[tested])
    return [replace(one, p_adjusted=float(p)) for one, p in zip(found, adjusted, strict=True)]


def holm(p_values: FloatVector) -> FloatVector:
    """(m,) p-values adjusted so that refusing those below α errs in any of them with probability ≤ α.

    The j-th smallest (from 1) becomes max over i ≤ j of min(1, (m − i + 1) p_(i)): Holm, "A simple
    sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, factors * p_values[order]))
    return adjusted


def _difference(
    reports: Sequence[Report], reference: Sequence[Report], metric: Metric, name: str, confidence: float
) -> Difference:
    """With the p-value of a comparison of its own."""
    paired, n_skipped = _pair(reports, reference, metric)
    n_users, n_seeds = paired.counts.shape
    difference = float(paired.differences().mean()) if n_seeds else math.nan
    low = high = p_value = math.nan
    if n_users >= FEWEST_USERS:
        found = uncertainty(paired)
        half = found.half_width(1 - confidence)
        low, high, p_value = difference - half, difference + half, found.p_value(difference)
    return Difference(name, metric.key, difference, low, high, p_value, p_value, n_users, n_skipped, n_seeds)


def _pair(reports: Sequence[Report], reference: Sequence[Report], metric: Metric) -> tuple[PairedSums, int]:
    """Sums of the users for whom both models have the metric, and how many users have not. Seeds in which no
    user has it are left out."""
    users = np.unique(np.concatenate([report.users for report in reference]))
    parts = np.zeros((3, len(users), len(reference)))
    for seed, (ours, theirs) in enumerate(zip(reports, reference, strict=True)):
        rows = np.searchsorted(users, theirs.users)
        values = np.stack([*_sums(ours, metric), _sums(theirs, metric)[0]])
        both = ~np.isnan(values).any(axis=0)
        parts[:, rows, seed] = np.where(both, values, 0.0)
    sums, counts, reference_sums = parts
    kept, seeds = counts.any(axis=1), counts.any(axis=0)
    sums, reference_sums, counts = (part[np.ix_(kept, seeds)] for part in (sums, reference_sums, counts))
    return PairedSums(metric, sums, reference_sums, counts), int((~kept).sum())


def _sums(report: Report, metric: Metric) -> tuple[FloatVector, FloatVector]:
    found = report.sums(metric)
    assert found is not None  # `_has` sees to it
    return found


def _has(reports: Sequence[Report], metric: Metric) -> bool:
    return all(report.sums(metric) is not None for report in reports)


def _check(
    reports: Mapping[str, Sequence[Report]], reference: str, metrics: Sequence[Metric], confidence: float
) -> None:
    if reference not in reports:
        raise ConfigError(f"reference {reference!r} is none of the models: {', '.join(reports)}")
    if not 0 < confidence < 1:
        raise ConfigError(f"a comparison needs a confidence between 0 and 1, not {confidence}")
    for metric in metrics:
        if not metric.columns:
            raise ConfigError(
                f"{metric.key} is no mean over users, so its difference has no paired test; "
                "compare another metric, such as ndcg_at_10"
            )
    expected = reports[reference]
    for name, own in reports.items():
        if len(own) != len(expected) or not own:
            raise DataError(
                f"{name!r} has {len(own)} reports and {reference!r} has {len(expected)}; "
                "give one per seed for each"
            )
        for problem in _mismatches(own, expected, name, reference, by_hits=any(map(counts_hits, metrics))):
            raise DataError(problem)
    if len({report.data_fingerprint for report in expected}) > 1:
        raise DataError("the seeds are of different data; compare reports of the same ratings")


def counts_hits(metric: Metric) -> bool:
    """Whether a metric depends on what is relevant: errors of predicted ratings do not."""
    return metric.family == "ranking"


def _mismatches(
    own: Sequence[Report], expected: Sequence[Report], name: str, reference: str, *, by_hits: bool
) -> Iterator[str]:
    for seed, (ours, theirs) in enumerate(zip(own, expected, strict=True), 1):
        differ = by_hits and ours.relevant != theirs.relevant
        if differ or ours.split_fingerprint != theirs.split_fingerprint:
            yield (
                f"report {seed} of {name!r} (split {ours.split_fingerprint[:8]}, {ours.relevance}) cannot be "
                f"compared with that of {reference!r} (split {theirs.split_fingerprint[:8]}, "
                f"{theirs.relevance}); evaluate both on the same split, by the same `relevant`"
            )
