"""One number for a candidate, asked after every epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from recsys_ae.errors import ConfigError, DataError
from recsys_ae.evaluation.blocks import (
    Block,
    check_predicts,
    check_ranks,
    holdout_blocks,
    ranking_size,
    relevant_part,
    warm_pairs,
)
from recsys_ae.evaluation.config import EvaluationConfig
from recsys_ae.evaluation.judging import Familiarity, judge
from recsys_ae.metrics import RANKING, RATING, Predictions, mean_over_users, rating_value
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.split import Split
from recsys_ae.types import PositionVector

Validator = Callable[[Recommender], float]
_Pairs = tuple[Block, PositionVector, PositionVector]


def validator(split: Split, metric: str, config: EvaluationConfig, *, batch_size: int = 1024) -> Validator:
    """The score of a candidate on the holdout of `split`, higher is better: rmse and mae with a minus.

    `metric`: "rmse", "mae", or a ranking metric ("ndcg", "recall", ...) at the first of `config.cutoffs`;
    only that one is computed, and what does not depend on the candidate is prepared once, here. The value
    is the one that `evaluate` reports on the same split.
    Raises ConfigError for an unknown metric and DataError where the holdout has nothing to judge by; the
    function that it returns raises CapabilityError for a model that lacks the metric.
    """
    if metric in RATING:
        return _rating_validator(split, metric, batch_size)
    if metric in RANKING:
        return _ranking_validator(split, metric, config, batch_size)
    raise ConfigError(f"unknown validation metric {metric!r}; choose one of {', '.join([*RATING, *RANKING])}")


def _rating_validator(split: Split, metric: str, batch_size: int) -> Validator:
    holdout = split.holdout
    _check_something(holdout.n_observed)
    pairs = [(block, *block.pairs()) for block in holdout_blocks(split, holdout, batch_size)]
    unknown = np.full(holdout.n_observed, np.nan, dtype=np.float32)
    blank = Predictions(
        holdout.rows(), holdout.columns.astype(np.int64), holdout.values, unknown, warm_pairs(split)
    )
    return partial(_rating_score, metric=metric, pairs=pairs, blank=blank)


def _rating_score(recommender: Recommender, *, metric: str, pairs: list[_Pairs], blank: Predictions) -> float:
    check_predicts(recommender, metric)
    parts = [recommender.score_pairs(block.batch, rows, items) for block, rows, items in pairs]
    predicted: np.ndarray = np.concatenate(parts)
    return -rating_value(metric, replace(blank, predicted=predicted))


def _ranking_validator(split: Split, metric: str, config: EvaluationConfig, batch_size: int) -> Validator:
    relevant = relevant_part(split.holdout, config.relevant)
    _check_something(relevant.n_observed)
    size = ranking_size(batch_size, split.train.n_items)
    blocks = list(holdout_blocks(split, relevant, size))
    familiarity = Familiarity.of(split)
    return partial(
        _ranking_score, metric=metric, blocks=blocks, familiarity=familiarity, cutoff=config.cutoffs[0]
    )


def _ranking_score(
    recommender: Recommender, *, metric: str, blocks: list[Block], familiarity: Familiarity, cutoff: int
) -> float:
    check_ranks(recommender, metric)
    judged = (judge(recommender, block, familiarity, n=cutoff) for block in blocks)
    values: np.ndarray = np.concatenate([RANKING[metric](part, cutoff=cutoff) for part in judged])
    return mean_over_users(values)


def _check_something(n_ratings: int) -> None:
    if n_ratings == 0:
        raise DataError(
            "the validation holdout has no rating that counts; hold out a larger share, or lower `relevant`"
        )
