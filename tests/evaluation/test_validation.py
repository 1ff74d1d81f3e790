"""The validator says what the report says, with the sign that makes higher better."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from toys import splits, toy

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import CapabilityError, ConfigError, DataError
from recsys_ae.evaluation.config import EvaluationConfig
from recsys_ae.evaluation.evaluator import evaluate
from recsys_ae.evaluation.validation import validator
from recsys_ae.metrics import RANKING
from recsys_ae.splitting.split import Split

CONFIG = EvaluationConfig(cutoffs=(2, 5), relevant=0.0)


@given(splits(), st.sampled_from(["rmse", "mae", *RANKING]), st.integers(1, 5))
def test_equals_the_report(split, metric, batch_size):
    recommender = toy(split.train)
    metrics = evaluate(recommender, split, CONFIG).metrics
    key = f"{metric}_at_2" if metric in RANKING else metric
    assume(key in metrics)
    score = validator(split, metric, CONFIG, batch_size=batch_size)
    expected = metrics[key] if metric in RANKING else -metrics[key]
    assert score(recommender) == expected
    assert score(recommender) == expected  # asking changes nothing


@pytest.fixture(scope="module")
def split():
    values = np.random.default_rng(1).integers(1, 6, 12).astype(np.float32)

    columns = np.tile(np.arange(4), 3)
    matrix = csr_array((values, columns, np.arange(0, 13, 4)), shape=(3, 4))
    ratings = Ratings(matrix, IdMap.of(range(3)), IdMap.of(range(4)))
    held = columns == 0
    train = ratings.keep(~held)
    return Split(train, train, ratings.keep(held), "toy", 0)


def test_refuses_what_the_model_cannot_do(split):
    with pytest.raises(CapabilityError, match="no rmse"):
        validator(split, "rmse", CONFIG)(toy(split.train, predicts_ratings=False))
    with pytest.raises(CapabilityError, match="no ndcg"):
        validator(split, "ndcg", CONFIG)(toy(split.train, ranks=False))


def test_refuses_an_unknown_metric(split):
    with pytest.raises(ConfigError, match="'auc'; choose one of rmse, mae"):
        validator(split, "auc", CONFIG)


@pytest.mark.parametrize("metric", ["mae", "recall"])
def test_refuses_a_holdout_without_ratings_that_count(split, metric):
    nothing = Split(split.train, split.train, split.holdout.keep(np.zeros(3, dtype=bool)), "all", 0)
    with pytest.raises(DataError, match="no rating that counts"):
        validator(nothing, metric, CONFIG)


def test_refuses_a_holdout_where_nothing_is_relevant(split):
    with pytest.raises(DataError, match="lower `relevant`"):
        validator(split, "ndcg", EvaluationConfig(relevant=100))
