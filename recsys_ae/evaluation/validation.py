"""One figure for a candidate, asked after every epoch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from recsys_ae.errors import ConfigError, DataError
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.evaluator import (
    Block,
    check_capable,
    holdout_blocks,
    popularity_of,
    predictions,
    ranked_lists,
    unpredicted,
)
from recsys_ae.evaluation.relevance import relevant_part, resolve_relevance
from recsys_ae.metrics import METRICS, Metric, Popularity, Predictions, find_metric, main_metrics
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.split import Split

_CHOICES = tuple(m.key for m in METRICS if m.family in ("rating", "ranking"))


@dataclass(frozen=True, slots=True, eq=False)
class Validator:
    """What candidates are chosen by: a metric on the holdout of a split. Called with a candidate it gives the
    figure that `evaluate` reports on the same split, in the metric's own units.

    `relevant`: the least rating that counts as a hit, by the training ratings of the split; None: all do.
    `blocks` and `prepared`: what does not depend on the candidate. Raises CapabilityError for a candidate
    that cannot do what the metric measures.
    """

    metric: Metric
    split: Split
    relevant: float | None
    blocks: tuple[Block, ...]
    prepared: Predictions | Popularity

    @classmethod
    def of(
        cls, split: Split, metric: Metric, config: EvaluationConfig, *, batch_size: int = 1024
    ) -> Validator:
        """The validator by `metric` on the holdout of `split`; a metric of lists without a cutoff gets the
        first of `config.cutoffs`. Only this metric is computed, and what does not depend on the candidate is
        prepared once, here.

        Raises ConfigError for a metric that says nothing of the holdout, and DataError where the holdout has
        nothing to judge by.
        """
        prepared: Predictions | Popularity
        relevant = resolve_relevance(config.relevant, split.train)
        match metric.family:
            case "rating":
                judged_by, prepared = split.holdout, unpredicted(split)
            case "ranking":
                metric = metric if metric.cutoff is not None else metric.at(config.cutoffs[0])
                judged_by, prepared = relevant_part(split.holdout, relevant), popularity_of(split)
            case "beyond" | "catalogue":
                raise _unusable(metric.key)
            case _:
                assert_never(metric.family)
        if judged_by.n_observed == 0:
            raise DataError(
                "the validation holdout has no rating that counts; hold out a larger share, or lower "
                "`relevant`"
            )
        blocks = tuple(holdout_blocks(split, judged_by, batch_size))
        return cls(metric, split, relevant, blocks, prepared)

    def __call__(self, candidate: Recommender) -> float:
        metric, cutoff = self.metric, self.metric.cutoff
        check_capable(candidate, metric)
        if isinstance(self.prepared, Predictions):
            found = predictions(candidate, self.blocks, self.prepared)
            values = metric.function(found.warm_only() if metric.warm else found)
        else:
            assert cutoff is not None  # `of` sees to it
            lists = ranked_lists(candidate, self.blocks, self.prepared, n=cutoff)
            values = np.concatenate([metric.function(judged, cutoff=cutoff) for judged in lists])
        return metric.figure_of(values)

    def is_better(self, score: float, than: float) -> bool:
        """Whether `score` is the better figure of the two."""
        return self.metric.is_better(score, than)

    @property
    def fingerprint(self) -> str:
        """32 hex digits of all that decides the figure of a candidate."""
        text = f"{self.metric.key} {self.relevant} {self.split.fingerprint()}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def validation_metric(name: str | None, config: EvaluationConfig, *, predicts_ratings: bool) -> Metric:
    """What the candidates of a model are chosen by: the metric of this name, else rmse for models that
    predict ratings and ndcg for others; metrics of lists at the first cutoff."""
    cutoff = config.cutoffs[0]
    if name is None:
        of_ratings, of_lists = main_metrics(cutoff)
        return of_ratings if predicts_ratings else of_lists
    found = find_metric(name)
    if found is None:
        raise _unusable(name)
    return found if found.cutoff is not None else found.at(cutoff)


def _unusable(name: str) -> ConfigError:
    return ConfigError(f"unknown validation metric {name!r}; choose one of {', '.join(_CHOICES)}")
