from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from strategies import small_ratings

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.models.biases import Biases
from recsys_ae.models.codec import recommender_of, state_of
from recsys_ae.models.linear import LinearRecommender
from recsys_ae.models.positives import positives


def slow_scores(ratings, weights, *, reads, positive):
    scores = np.zeros(ratings.matrix.shape)
    for user, item, value in zip(ratings.rows(), ratings.columns, ratings.values, strict=True):
        if positive is None or value >= positive:
            scores[user] += (1.0 if reads == "ones" else value) * weights[item]
    return scores


@pytest.mark.parametrize("sparse", [True, False])
@given(
    ratings=small_ratings(),
    reads=st.sampled_from(["values", "ones"]),
    positive=st.sampled_from([None, 0.0, 1.0]),
)
def test_scores_are_sums_of_weights_over_the_history(sparse, ratings, reads, positive):
    dense = np.random.default_rng(ratings.n_items).normal(size=(ratings.n_items,) * 2).astype(np.float32)
    dense[np.abs(dense) < 0.5] = 0.0
    weights = csr_array(dense) if sparse else dense
    model = LinearRecommender(ratings.users, ratings.items, weights, reads=reads, positive=positive)
    batch = UserBatch(np.full(ratings.n_users, -1), ratings.matrix)
    scores = model.score(batch)
    assert scores.dtype == np.float32
    assert isinstance(scores, np.ndarray)
    expected = slow_scores(ratings, dense, reads=reads, positive=positive)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
    rows, items = np.arange(ratings.n_users), np.arange(ratings.n_users) % ratings.n_items
    np.testing.assert_array_equal(model.score_pairs(batch, rows, items), scores[rows, items])
    again = recommender_of("linear", ratings.users, ratings.items, state_of(model))
    np.testing.assert_array_equal(again.score(batch), scores)


@pytest.mark.parametrize(
    "parts",
    [
        {"item_weights": np.zeros((5, 6))},
        {"item_weights": np.zeros((5, 2)), "item_factors": np.zeros((5, 3))},
        {"item_weights": np.zeros((5, 2)), "item_factors": np.zeros((4, 2))},
        {"item_weights": np.zeros((5, 5)), "biases": Biases(0.0, np.zeros(3), np.zeros(4))},
    ],
)
def test_parts_of_other_items_are_refused(parts):
    with pytest.raises(ValueError, match="for 5 items"):
        LinearRecommender(IdMap(np.arange(3)), IdMap(np.arange(5)), **parts)


@given(ratings=small_ratings())
def test_positives_keep_stored_zeros_where_nothing_is_asked(ratings):
    ones = positives(ratings.matrix, None)
    np.testing.assert_array_equal(ones.indices, ratings.columns)
    np.testing.assert_array_equal(ones.indptr, ratings.matrix.indptr)
    assert (ones.data == 1.0).all()


@given(ratings=small_ratings(), threshold=st.sampled_from([-0.5, 0.0, 3.0, 9.0]))
def test_positives_keep_values_at_or_above_the_threshold(ratings, threshold):
    found = positives(ratings.matrix, threshold)
    triples = zip(ratings.rows(), ratings.columns, ratings.values, strict=True)
    expected = [(user, item) for user, item, value in triples if value >= threshold]
    rows = np.repeat(np.arange(ratings.n_users), np.diff(found.indptr))
    assert list(zip(rows, found.indices, strict=True)) == expected
