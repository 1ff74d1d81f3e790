"""Whether one model may take the place of another: better on the same test part, and not by luck."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from recsys_ae.errors import ConfigError, brief
from recsys_ae.evaluation.comparison import Difference, compare, counts_hits
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import NDCG, RMSE, Metric, find_metric

LUCK = 0.025  # how often an equal model is found to be better: one end of a 95 % interval


@dataclass(frozen=True, slots=True)
class Guard:
    """A metric that must not become worse by more than `margin`, in the unit of the metric."""

    metric: Metric
    margin: float

    @classmethod
    def parse(cls, text: str) -> Guard:
        """The guard that "test/coverage_at_10=0.05" says. Raises ConfigError where it says none."""
        name, _, number = text.partition("=")
        metric = of_test(name)
        try:
            margin = float(number)
        except ValueError:
            margin = math.nan
        if metric is None or not 0 <= margin < math.inf:
            raise ConfigError(
                f"--guard {brief(text)}: write METRIC=MARGIN with a metric of the test part and by how much "
                "it may get worse, such as test/coverage_at_10=0.05"
            )
        return cls(metric, margin)


@dataclass(frozen=True, slots=True)
class Guarded:
    """What became of a guarded metric. `loss`: by how much the challenger is worse, negative where it is
    better."""

    metric: str
    challenger: float
    champion: float
    margin: float
    loss: float

    @property
    def holds(self) -> bool:
        return self.loss <= self.margin

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "holds": self.holds}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A comparison of a challenger with the champion by `metric`. `difference`: that of the challenger less
    that of the champion."""

    metric: Metric
    challenger: float
    champion: float
    difference: Difference
    guards: tuple[Guarded, ...] = ()

    @property
    def is_better(self) -> bool:
        """Whether the whole interval is on the side of the challenger. Without an interval, as for fewer than
        30 users, nothing is known to be better."""
        found = self.difference
        return found.low > 0 if self.metric.higher_is_better else found.high < 0

    @property
    def is_worse(self) -> bool:
        """Whether the whole interval is on the side of the champion."""
        found = self.difference
        return found.high < 0 if self.metric.higher_is_better else found.low > 0

    @property
    def broken(self) -> list[Guarded]:
        """The guards that do not hold."""
        return [guard for guard in self.guards if not guard.holds]

    @property
    def passes(self) -> bool:
        return self.is_better and not self.broken


def judge(challenger: Report, champion: Report, metric: Metric, guards: Sequence[Guard] = ()) -> Verdict:
    """Hold a challenger against the champion, user by user, on the test part that both met.

    The interval is the paired one of all comparisons here: over users, by the jackknife, of confidence 95 %
    (see `uncertainty`). It answers the question of a bootstrap over users, what other users would change, and
    covers as it promises for 30 users and more. An equal model passes in 2.5 % of the cases.

    Raises ConfigError for a metric that one of them does not have or that is no mean over users, DataError
    for reports of different splits or relevance.
    """
    for asked in (metric, *(guard.metric for guard in guards)):
        _check_shared(asked, challenger, champion)
    reports = {"challenger": [challenger], "champion": [champion]}
    (found,) = compare(reports, reference="champion", metrics=[metric])
    ours, theirs = (report.metrics[metric.key] for report in (challenger, champion))
    guarded = tuple(_guarded(guard, challenger, champion) for guard in guards)
    return Verdict(metric, ours, theirs, found, guarded)


def why_apart(one: Report, other: Report, metrics: Sequence[Metric]) -> str:
    """Why two reports cannot be compared by these metrics, in a few words; "" where they can."""
    if one.data_fingerprint != other.data_fingerprint:
        return "they were tested on other ratings"
    if one.split_fingerprint != other.split_fingerprint:
        return "they were tested on another split of the ratings"
    if one.relevant != other.relevant and any(map(counts_hits, metrics)):
        return f"what counts as a hit differs ({one.relevance} and {other.relevance})"
    return ""


def of_test(name: str) -> Metric | None:
    """The metric that a name means, such as test/rmse or rmse; None where it means none of the test part."""
    metric = find_metric(name)
    return metric if metric is not None and name in (metric.key, f"test/{metric.key}") else None


def metric_of(report: Report) -> Metric | None:
    """The metric that a model is judged by unless another is named: rmse where it predicts ratings, else ndcg
    at the first cutoff. None where it has neither."""
    known = [metric for metric in map(find_metric, report.metrics) if metric is not None]
    return next((m for wanted in (RMSE, NDCG) for m in known if m == wanted.at(m.cutoff or 0)), None)


def passes_by_luck(n: int) -> float:
    """How often at least one of n challengers that are no better passes, at most."""
    return 1 - (1 - LUCK) ** n


def _check_shared(metric: Metric, challenger: Report, champion: Report) -> None:
    for name, report in (("challenger", challenger), ("champion", champion)):
        if metric.key not in report.metrics:
            known = ", ".join(key for key in report.metrics)
            raise ConfigError(f"the {name} has no test metric {metric.key!r}; it has {known or 'none'}")


def _guarded(guard: Guard, challenger: Report, champion: Report) -> Guarded:
    ours, theirs = (report.metrics[guard.metric.key] for report in (challenger, champion))
    loss = theirs - ours if guard.metric.higher_is_better else ours - theirs
    return Guarded(guard.metric.key, ours, theirs, guard.margin, loss)
