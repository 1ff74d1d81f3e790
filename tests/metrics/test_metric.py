"""A metric knows its name, its direction and how its figure is made; names are read in one place."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_ae.metrics import (
    BEYOND,
    CATALOGUE,
    METRICS,
    NDCG,
    RANKING,
    RATING,
    RMSE,
    find_metric,
    higher_is_better,
    metrics_at,
)

LOW = {"rmse", "mae", "rmse_warm", "mae_warm", "popularity_bias", "gini"}
HIGH = {"precision", "recall", "hit_rate", "map", "mrr", "ndcg", "novelty", "coverage"}


def test_every_metric_has_the_direction_of_its_definition():
    assert {metric.key for metric in METRICS if not metric.higher_is_better} == LOW
    assert {metric.key for metric in METRICS if metric.higher_is_better} == HIGH


@given(
    st.sampled_from(metrics_at((1, 10, 200))),
    st.sampled_from(["", "test/", "validation/", "i-autorec/", "mae-vs-mse/", "gini_at_5/", "a/b/", "a\nb/"]),
)
def test_a_name_is_read_as_it_was_written(metric, prefix):
    assert find_metric(prefix + metric.key) == metric


def test_a_report_has_each_metric_once_for_each_different_cutoff():
    keys = [metric.key for metric in metrics_at((5, 10, 5))]
    assert len(keys) == len(set(keys)) == len(RATING) + 2 * len((*RANKING, *BEYOND, *CATALOGUE))
    assert keys[:5] == ["rmse", "mae", "rmse_warm", "mae_warm", "precision_at_5"]


@pytest.mark.parametrize(
    "name",
    ["", "test/", "auc", "rmse/", "ndcg_at_0", "ndcg_at_-1", "ndcg_at_", "ndcg_at_1x", "ndcg_at_٣",
     "rmse_at_10", "ndcg_warm", "ndcg_at_10_at_5", "ndcg_at_10\n", "my_rmse", "train/total", "fit_seconds",
     "mae-vs-mse"],
)  # fmt: skip
def test_other_names_are_no_metrics(name):
    assert find_metric(name) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rmse", False),
        ("test/mae_warm", False),
        ("validation/rmse", False),
        ("gini_at_10", False),
        ("popularity_bias_at_10", False),
        ("ndcg", True),
        ("test/recall_at_20", True),
        ("coverage_at_10", True),
        ("novelty_at_10", True),
        ("mae-vs-mse/ndcg_at_10", True),  # only what follows the last slash counts, not the model's name
        ("ndcg-loss/rmse", False),
        ("train/total", False),
        ("train/reconstruction", False),
        ("fit_seconds", False),
        ("evaluate_seconds", False),
        ("tuning_seconds", False),
        ("als/peak_memory_mb", False),
        ("count/cold_users", None),
        ("epochs_run", None),
        ("system/gpu", None),
    ],
)
def test_whatever_is_tracked_has_a_direction_or_is_known_to_have_none(name, expected):
    assert higher_is_better(name) is expected


def test_better_and_best_follow_the_direction():
    ndcg = NDCG.at(10)
    assert RMSE.is_better(0.8, than=0.9)
    assert not RMSE.is_better(0.9, than=0.8)
    assert ndcg.is_better(0.9, than=0.8)
    assert not ndcg.is_better(0.8, than=0.8)
    assert RMSE.best([0.9, 0.8, 0.8]) == 1
    assert ndcg.best([None, 0.8, 0.9, 0.9]) == 2


@pytest.mark.parametrize("metric", [RMSE, NDCG.at(10)])
def test_what_is_no_number_is_never_the_best(metric):
    assert metric.best([]) is None
    assert metric.best([None, math.nan]) is None
    assert metric.best([math.nan, 0.5, None]) == 1
    assert metric.is_better(0.5, than=math.nan)
    assert not metric.is_better(math.nan, than=0.5)


def test_columns_of_reports_keep_their_names():
    """Reports of earlier versions are compared by them."""
    columns = {metric.key: metric.columns for metric in metrics_at((10,))}
    assert columns["rmse"] == ("squared_error_sum", "n_predicted")
    assert columns["rmse_warm"] == ("squared_error_sum_warm", "n_predicted_warm")
    assert columns["mae"] == ("absolute_error_sum", "n_predicted")
    assert columns["mae_warm"] == ("absolute_error_sum_warm", "n_predicted_warm")
    assert columns["ndcg_at_10"] == ("ndcg_at_10",)
    assert columns["popularity_bias_at_10"] == ("popularity_bias_at_10",)
    assert columns["coverage_at_10"] == ()
