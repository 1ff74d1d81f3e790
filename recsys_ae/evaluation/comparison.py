"""Whether a difference between models is more than luck with the users: paired bootstrap over users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from recsys_ae.errors import CapabilityError, ConfigError, DataError
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import Metric
from recsys_ae.rng import numpy_generator
from recsys_ae.types import FloatMatrix, FloatVector

_DRAWS_AT_ONCE = 1 << 22


@dataclass(frozen=True, slots=True)
class Difference:
    """`difference` = metric of `name` − metric of the reference, both means over seeds; so a better rmse is a
    negative difference. `metric`: the key of the metric. `low`, `high`: the confidence interval. `p_value`:
    two-sided, of no difference; `p_adjusted`: the same by Holm's method over all differences of the
    comparison. `n_users`: users that the two models could be compared on; `n_skipped`: evaluated users for
    whom the metric is not defined."""

    name: str
    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float
    n_users: int
    n_skipped: int


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """The figure of seed s is `metric.figure(sums[:, s].sum(), counts[:, s].sum())`.
    Two models' sums (n_users, n_seeds) over the same counts."""

    metric: Metric
    sums: FloatMatrix
    reference_sums: FloatMatrix
    counts: FloatMatrix


def compare(
    reports: Mapping[str, Sequence[Report]],
    *,
    reference: str,
    metric: Metric,
    confidence: float = 0.95,
    samples: int = 2000,
    seed: int = 0,
) -> list[Difference]:
    """Every other model's difference to `reference`, in the order of `reports` (one report per seed each).

    Users are drawn with replacement, `samples` times; a user is drawn with all its ratings and all its seeds,
    for both models alike (Efron and Tibshirani, "An introduction to the bootstrap", 1993; for rankings Sakai,
    "Evaluating evaluation metrics based on the bootstrap", SIGIR 2006). The interval is the percentile
    interval. With c = min(draws ≤ 0, draws ≥ 0), p = min(1, 2 (1 + c) / (1 + samples)): the interval's
    counterpart, never 0 (Davison and Hinkley, "Bootstrap methods and their application", 1997, section 4.2).
    What varies is the users: the fits of the given seeds are taken as they are.

    Raises ConfigError for a metric that is no mean over users or unknown models, CapabilityError where a
    model lacks the metric, DataError where reports are not of the same split and the same relevance.
    """
    _check(reports, reference, confidence, samples)
    found = []
    for name in reports:
        if name == reference:
            continue
        paired, n_skipped = _pair(reports[name], reports[reference], metric, (name, reference))
        n_users = len(paired.counts)
        (difference,) = _difference(paired, np.ones((1, n_users)))
        draws = _draws(paired, samples, seed)
        low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
        p = _p_value(draws)
        found.append(Difference(name, metric.key, float(difference), float(low), float(high), p, p, n_users,
                                n_skipped))  # fmt: skip
    adjusted = holm(np.array([one.p_value for one in found]))
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


def _p_value(draws: FloatVector) -> float:
    count = min((draws <= 0).sum(), (draws >= 0).sum())
    return min(1.0, 2 * (1 + int(count)) / (1 + len(draws)))


def _draws(paired: _Sums, samples: int, seed: int) -> FloatVector:
    """(samples,) differences on resampled users. Models with as many users are drawn the same users."""
    generator = numpy_generator(seed, "comparison")
    weights = _weights(len(paired.counts), samples, generator)
    return np.concatenate([_difference(paired, block) for block in weights])


def _weights(n_users: int, samples: int, generator: np.random.Generator) -> Iterator[FloatMatrix]:
    """Blocks (b, n_users) of how often each user is drawn; `samples` rows in all."""
    size = max(1, _DRAWS_AT_ONCE // n_users)
    for start in range(0, samples, size):
        rows = min(size, samples - start)
        drawn = generator.integers(0, n_users, size=(rows, n_users))
        drawn += np.arange(rows)[:, None] * n_users
        yield np.bincount(drawn.ravel(), minlength=rows * n_users).reshape(rows, n_users).astype(np.float64)


def _difference(paired: _Sums, weights: FloatMatrix) -> FloatVector:
    """(b,) difference of the metrics, mean over seeds, for each row of user weights (b, n_users).

    A seed none of whose users is drawn does not count: possible only where seeds evaluate different users.
    """
    counts = weights @ paired.counts
    defined = counts > 0
    safe = np.where(defined, counts, 1.0)
    values = paired.metric.figure(weights @ paired.sums, safe)
    reference = paired.metric.figure(weights @ paired.reference_sums, safe)
    return np.where(defined, values - reference, 0.0).sum(axis=1) / defined.sum(axis=1)


def _pair(
    reports: Sequence[Report], reference: Sequence[Report], metric: Metric, names: tuple[str, str]
) -> tuple[_Sums, int]:
    """Sums of the users for whom both models have the metric, and how many users have not."""
    users = np.unique(np.concatenate([report.users for report in reference]))
    shape = (len(users), len(reference))
    sums, reference_sums, counts = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for seed, (ours, theirs) in enumerate(zip(reports, reference, strict=True)):
        rows = np.searchsorted(users, theirs.users)
        a, count = _sums(ours, metric, names[0])
        b, _ = _sums(theirs, metric, names[1])
        both = ~(np.isnan(a) | np.isnan(b))
        sums[rows, seed] = np.where(both, a, 0.0)
        reference_sums[rows, seed] = np.where(both, b, 0.0)
        counts[rows, seed] = np.where(both, count, 0.0)
    kept = counts.any(axis=1)
    if kept.sum() < 2:
        raise DataError(
            f"{metric.key} of {names[0]!r} and {names[1]!r} can be compared on {kept.sum()} users; "
            "it takes at least 2"
        )
    return _Sums(metric, sums[kept], reference_sums[kept], counts[kept]), int((~kept).sum())


def _sums(report: Report, metric: Metric, name: str) -> tuple[FloatVector, FloatVector]:
    """(n_users,) sums and counts of which the figure is made."""
    if not metric.columns:
        raise ConfigError(
            f"{metric.key} is no mean over users, so its difference has no paired test; "
            "compare another metric, such as ndcg_at_10"
        )
    found = report.sums(metric)
    if found is None:
        known = ", ".join(report.metrics) or "no metrics"
        raise CapabilityError(f"{name!r} has no {metric.key}; it has {known}")
    return found


def _check(reports: Mapping[str, Sequence[Report]], reference: str, confidence: float, samples: int) -> None:
    if reference not in reports:
        raise ConfigError(f"reference {reference!r} is none of the models: {', '.join(reports)}")
    if not 0 < confidence < 1 or samples < 1:
        raise ConfigError(
            f"a comparison needs a confidence between 0 and 1 and at least one sample, not {confidence} "
            f"and {samples}"
        )
    expected = reports[reference]
    for name, own in reports.items():
        if len(own) != len(expected) or not own:
            raise DataError(
                f"{name!r} has {len(own)} reports and {reference!r} has {len(expected)}; "
                "give one per seed for each"
            )
        for seed, (ours, theirs) in enumerate(zip(own, expected, strict=True), 1):
            if ours.split_fingerprint != theirs.split_fingerprint or ours.relevant != theirs.relevant:
                raise DataError(
                    f"report {seed} of {name!r} (split {ours.split_fingerprint[:8]}, relevant from "
                    f"{ours.relevant}) cannot be compared with that of {reference!r} (split "
                    f"{theirs.split_fingerprint[:8]}, relevant from {theirs.relevant}); evaluate both on the "
                    "same split"
                )
    if len({report.data_fingerprint for report in expected}) > 1:
        raise DataError("the seeds are of different data; compare reports of the same ratings")
