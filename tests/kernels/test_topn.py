"""The selection kernel on rows longer than its chunks."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import slow_top_n
from scipy.sparse import random_array

from recsys_ae.kernels.topn import best_columns
from recsys_ae.ranking import top_n


@pytest.mark.parametrize("n", [1, 2, 10, 63, 64, 65, 500])
@pytest.mark.parametrize("shape", ["rising", "falling", "random", "many ties", "constant"])
def test_long_rows(shape, n):
    rng = np.random.default_rng(n)
    line = np.arange(431, dtype=np.float32)
    scores = {
        "rising": np.stack([line, line - 200]),
        "falling": np.stack([-line, 200 - line]),
        "random": rng.standard_normal((4, 431)).astype(np.float32),
        "many ties": rng.integers(0, 4, (4, 431)).astype(np.float32),
        "constant": np.full((2, 431), -1.5, dtype=np.float32),
    }[shape]
    exclude = random_array(scores.shape, density=0.2, format="csr", rng=rng)
    top = top_n(scores, n, exclude)
    items, values = slow_top_n(scores, n, exclude)
    assert top.items.tolist() == items
    assert top.scores.tolist() == values


def test_returns_the_first_row_with_a_nan():
    scores = np.zeros((4, 100), dtype=np.float32)
    scores[[3, 2], [0, 99]] = np.nan
    none = np.empty(0, dtype=np.int64)
    items, values = np.full((4, 3), -1), np.full((4, 3), -np.inf, dtype=np.float32)
    assert best_columns(scores, np.zeros(5, dtype=np.int64), none, items, values) == 2
    assert best_columns(scores[:2], np.zeros(3, dtype=np.int64), none, items, values) == -1
