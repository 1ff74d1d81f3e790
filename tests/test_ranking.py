"""The one place that masks, cuts and breaks ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import slow_top_n
from scipy.sparse import csr_array
from strategies import score_blocks

from recsys_ae.errors import DataError
from recsys_ae.ranking import top_n


@given(block=score_blocks(), n=st.integers(1, 15), excluded=st.booleans())
def test_equals_sorting_each_row(block, n, excluded):
    scores, exclude = block
    before = scores.copy()
    top = top_n(scores, n, exclude if excluded else None)
    items, values = slow_top_n(scores, n, exclude if excluded else None)
    assert top.items.tolist() == items
    assert top.scores.tolist() == values
    assert top.items.shape == top.scores.shape == (len(scores), min(n, scores.shape[1]))
    assert (top.items.dtype, top.scores.dtype) == (np.int64, np.float32)
    np.testing.assert_array_equal(scores, before)


def test_observed_zeros_are_excluded_and_negative_scores_do_not_let_seen_items_win():
    scores = np.array([[-3.0, -1.0, -2.0]], dtype=np.float32)
    seen = csr_array((np.array([0.0], np.float32), np.array([1]), np.array([0, 1])), shape=(1, 3))
    assert top_n(scores, 2, seen).items.tolist() == [[2, 0]]


def test_everything_excluded_leaves_padding():
    scores = np.zeros((2, 3), dtype=np.float32)
    top = top_n(scores, 4, csr_array(np.array([[1.0, 1, 1], [0, 1, 0]])))
    assert top.items.tolist() == [[-1, -1, -1], [0, 2, -1]]
    assert top.scores.tolist() == [[-np.inf] * 3, [0, 0, -np.inf]]


def test_a_list_is_as_long_as_the_catalogue_at_most():
    top = top_n(np.zeros((2, 3), dtype=np.float32), 10**12)
    assert top.items.tolist() == [[0, 1, 2]] * 2


def test_order_of_the_excluded_columns_does_not_matter():
    exclude = csr_array((np.ones(2, np.float32), np.array([3, 0]), np.array([0, 2])), shape=(1, 4))
    assert top_n(np.zeros((1, 4), np.float32), 4, exclude).items.tolist() == [[1, 2, -1, -1]]
    assert exclude.indices.tolist() == [3, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_memory_layout(dtype):
    scores = np.random.default_rng(0).standard_normal((300, 7)).astype(dtype)
    expected, _ = slow_top_n(scores.T.astype(np.float32), 5)
    assert top_n(scores.T, 5).items.tolist() == expected
    assert top_n(scores.T[:, ::2], 3).items.tolist() == slow_top_n(scores.T[:, ::2].astype(np.float32), 3)[0]


def test_a_score_that_is_no_number_is_refused_unless_excluded():
    scores = np.zeros((3, 200), dtype=np.float32)
    scores[1, 150] = np.nan
    with pytest.raises(DataError, match=r"row 1 .* not a number"):
        top_n(scores, 2)
    hidden = np.zeros(scores.shape)
    hidden[1, 150] = 1
    assert top_n(scores, 2, csr_array(hidden)).items.tolist() == [[0, 1]] * 3


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="shape"):
        top_n(np.zeros((2, 3), np.float32), 1, csr_array((2, 4)))
    with pytest.raises(ValueError, match="n = 0"):
        top_n(np.zeros((2, 3), np.float32), 0)
