"""The validator says what the report says."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from toys import split_by_hand, splits, toy

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import CapabilityError, ConfigError, DataError
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.evaluator import evaluate
from recsys_ae.evaluation.validation import Validator, validation_metric
from recsys_ae.metrics import MAE, METRICS, NDCG, RANKING, RATING, RECALL, RMSE, metrics_at
from recsys_ae.settings.configs import ValidationMetric

CONFIG = EvaluationConfig(cutoffs=(2, 5), relevant=0.0)


@given(splits(), st.sampled_from([*RATING, *RANKING]), st.integers(1, 5))
def test_equals_the_report(split, metric, batch_size):
    recommender = toy(split.train)
    metrics = evaluate(recommender, split, CONFIG).metrics
    key = metric.at(2).key  # the first cutoff, which the metric has not been given
    assume(key in metrics)
    score = Validator.of(split, metric, CONFIG, batch_size=batch_size)
    assert score.metric.key == key
    assert score(recommender) == metrics[key]
    assert score(recommender) == metrics[key]  # asking changes nothing


@given(splits())
def test_a_metric_with_a_cutoff_keeps_it(split):
    recommender = toy(split.train)
    metrics = evaluate(recommender, split, CONFIG).metrics
    assume("ndcg_at_5" in metrics)
    assert Validator.of(split, NDCG.at(5), CONFIG)(recommender) == metrics["ndcg_at_5"]


def test_better_is_what_the_metric_calls_better(split):
    rmse, ndcg = Validator.of(split, RMSE, CONFIG), Validator.of(split, NDCG, CONFIG)
    assert rmse.is_better(0.9, than=1.0)
    assert not rmse.is_better(1.0, than=0.9)
    assert ndcg.is_better(1.0, than=0.9)
    assert not ndcg.is_better(0.9, than=1.0)
    assert not rmse.is_better(0.9, than=0.9)


def test_the_fingerprint_differs_where_a_figure_may(split):
    fewer, shorter = np.arange(3) > 0, split.train.keep(np.arange(9) > 0)
    validators = [
        Validator.of(split, RMSE, CONFIG),
        Validator.of(split, MAE, CONFIG),
        Validator.of(split, NDCG, CONFIG),
        Validator.of(split, NDCG.at(3), CONFIG),
        Validator.of(split, NDCG, EvaluationConfig(cutoffs=(2, 5), relevant=1.0)),
        Validator.of(split, NDCG, EvaluationConfig(cutoffs=(2, 5), relevant="all")),
        Validator.of(split_by_hand(split.train, split.holdout.keep(fewer)), NDCG, CONFIG),
        Validator.of(split_by_hand(shorter, split.holdout), NDCG, CONFIG),
    ]
    assert len({one.fingerprint for one in validators}) == len(validators)
    again = Validator.of(split, NDCG, EvaluationConfig(cutoffs=(2,), relevant=0.0))  # no other cutoff counts
    assert again.fingerprint == validators[2].fingerprint


@pytest.mark.parametrize(
    ("name", "predicts_ratings", "key"),
    [
        (None, True, "rmse"),
        (None, False, "ndcg_at_2"),
        ("recall", True, "recall_at_2"),
        ("mae", False, "mae"),
        ("ndcg_at_5", True, "ndcg_at_5"),
    ],
)
def test_models_are_chosen_by_the_configured_metric_or_by_what_they_do(name, predicts_ratings, key):
    assert validation_metric(name, CONFIG, predicts_ratings=predicts_ratings).key == key


@pytest.fixture(scope="module")
def split():
    values = np.random.default_rng(1).integers(1, 6, 12).astype(np.float32)

    columns = np.tile(np.arange(4), 3)
    matrix = csr_array((values, columns, np.arange(0, 13, 4)), shape=(3, 4))
    ratings = Ratings(matrix, IdMap.of(range(3)), IdMap.of(range(4)))
    held = columns == 0
    return split_by_hand(ratings.keep(~held), ratings.keep(held))


def test_refuses_what_the_model_cannot_do(split):
    with pytest.raises(CapabilityError, match="does not predict ratings, so it has no rmse"):
        Validator.of(split, RMSE, CONFIG)(toy(split.train, predicts_ratings=False))
    with pytest.raises(CapabilityError, match="cannot rank, so it has no ndcg"):
        Validator.of(split, NDCG, CONFIG)(toy(split.train, ranks=False))


def test_refuses_an_unknown_metric(split):
    with pytest.raises(ConfigError, match="'auc'; choose one of rmse, mae"):
        validation_metric("auc", CONFIG, predicts_ratings=True)


@pytest.mark.parametrize("metric", metrics_at((2,))[-4:], ids=lambda metric: metric.name)
def test_refuses_a_metric_that_says_nothing_of_the_holdout(metric, split):
    assert metric.family in ("beyond", "catalogue")
    with pytest.raises(ConfigError, match=f"'{metric.key}'; choose one of rmse, mae"):
        Validator.of(split, metric, CONFIG)


@pytest.mark.parametrize("metric", [MAE, RECALL])
def test_refuses_a_holdout_without_ratings_that_count(split, metric):
    nothing = split_by_hand(split.train, split.holdout.keep(np.zeros(3, dtype=bool)))
    with pytest.raises(DataError, match="no rating that counts"):
        Validator.of(nothing, metric, CONFIG)


def test_refuses_a_holdout_where_nothing_is_relevant(split):
    with pytest.raises(DataError, match="lower `relevant`"):
        Validator.of(split, NDCG, EvaluationConfig(relevant=100))


def test_a_config_may_name_every_metric_of_ratings_and_of_lists_and_no_other():
    """The names stand in the settings too, which load no arrays."""
    assert set(get_args(ValidationMetric)) == {m.key for m in METRICS if m.family in ("rating", "ranking")}
    for name in get_args(ValidationMetric):
        assert validation_metric(name, CONFIG, predicts_ratings=True).name in name
