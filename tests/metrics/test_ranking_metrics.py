"""Ranking metrics against hand-computed values, plain loops and ranx."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import SLOW_RANKING
from sklearn.metrics import ndcg_score

from recsys_ae.metrics import RANKING, Judged, Popularity, find_metric

N = 5
NAMES = sorted(metric.name for metric in RANKING)


def judged(lists, relevant, n=N):
    """Lists of items and sets of relevant items, without popularity."""
    items = np.array([[*row, *[-1] * (n - len(row))] for row in lists], dtype=np.int64).reshape(len(lists), n)
    hits = [[float(item in good) for item in row] for row, good in zip(items, relevant, strict=True)]
    n_relevant = np.array([len(good) for good in relevant], dtype=np.int64)
    return Judged(
        items=items,
        gains=np.array(hits).reshape(items.shape),
        n_relevant=n_relevant,
        ideal_gains=(np.arange(n) < n_relevant[:, None]).astype(float),
        popularity=Popularity(np.zeros(100), 1, np.zeros(len(lists)), usual=0.0),
    )


def log2(x):
    return np.log2(x)


HAND = judged(
    [[7, 3, 9, 1, 4], [7, 3, 9, 1, 4], [2], [5, 6, 7, 8, 9], [0, 1, 2, 3, 4], [1, 2, 3, 4, 5]],
    [{3, 1}, set(), {2, 8}, {50}, {0, 1, 2, 3, 4, 5, 6, 7}, {1}],
)
# hits at places 2 and 4 | nothing to find | short list, one of two | missed | more relevant than the cutoff |
# first place
NAN = np.nan


@pytest.mark.parametrize(
    ("name", "cutoff", "expected"),
    [
        ("precision", 3, [1 / 3, NAN, 1 / 3, 0, 1, 1 / 3]),
        ("precision", 5, [2 / 5, NAN, 1 / 5, 0, 1, 1 / 5]),
        ("recall", 3, [1 / 2, NAN, 1 / 2, 0, 3 / 8, 1]),
        ("recall", 5, [1, NAN, 1 / 2, 0, 5 / 8, 1]),
        ("hit_rate", 1, [0, NAN, 1, 0, 1, 1]),
        ("hit_rate", 3, [1, NAN, 1, 0, 1, 1]),
        ("map", 1, [0, NAN, 1, 0, 1, 1]),
        ("map", 5, [(1 / 2 + 2 / 4) / 2, NAN, 1 / 2, 0, 1, 1]),
        ("mrr", 1, [0, NAN, 1, 0, 1, 1]),
        ("mrr", 5, [1 / 2, NAN, 1, 0, 1, 1]),
        (
            "ndcg",
            5,
            [(1 / log2(3) + 1 / log2(5)) / (1 + 1 / log2(3)), NAN, 1 / (1 + 1 / log2(3)), 0, 1, 1],
        ),
        ("ndcg", 3, [(1 / log2(3)) / (1 + 1 / log2(3)), NAN, 1 / (1 + 1 / log2(3)), 0, 1, 1]),
    ],
)
def test_hand_computed(name, cutoff, expected):
    found = find_metric(name).function(HAND, cutoff=cutoff)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@st.composite
def lists_and_relevant(draw):
    n_items = draw(st.integers(1, 9))
    items = st.integers(0, n_items - 1)
    n_users = draw(st.integers(0, 5))
    lists = draw(st.lists(st.lists(items, unique=True, max_size=N), min_size=n_users, max_size=n_users))
    relevant = draw(st.lists(st.sets(items), min_size=n_users, max_size=n_users))
    return lists, relevant


@given(lists_and_relevant(), st.integers(1, N), st.sampled_from(NAMES))
def test_equals_the_plain_loop(drawn, cutoff, name):
    lists, relevant = drawn
    found = find_metric(name).function(judged(lists, relevant), cutoff=cutoff)
    slow = [SLOW_RANKING[name](row, good, cutoff) for row, good in zip(lists, relevant, strict=True)]
    expected = [np.nan if value is None else value for value in slow]
    np.testing.assert_allclose(found, np.array(expected, dtype=float), rtol=1e-12)
    assert ((found >= 0) & (found <= 1 + 1e-12) | np.isnan(found)).all()


@given(lists_and_relevant(), st.sampled_from(NAMES))
def test_a_user_counts_the_same_alone_and_in_a_block(drawn, name):
    lists, relevant = drawn
    together = find_metric(name).function(judged(lists, relevant), cutoff=4)
    alone = [
        find_metric(name).function(judged([row], [good]), cutoff=4)[0]
        for row, good in zip(lists, relevant, strict=True)
    ]
    assert together.tolist() == pytest.approx(alone, rel=0, abs=0, nan_ok=True)


@pytest.fixture(scope="module")
def random_runs():
    """40 users with full lists of 20 out of 60 items, 1 to 25 of them relevant."""
    rng = np.random.default_rng(5)
    lists = [rng.permutation(60)[:20].tolist() for _ in range(40)]
    relevant = [set(rng.permutation(60)[: rng.integers(1, 26)].tolist()) for _ in range(40)]
    return lists, relevant


RANX = """
import json, sys, ranx
lists, relevant, names = json.load(sys.stdin)
qrels = ranx.Qrels({f"u{u:02}": {f"i{i}": 1 for i in good} for u, good in enumerate(relevant)})
run = ranx.Run({f"u{u:02}": {f"i{i}": -float(p) for p, i in enumerate(row)} for u, row in enumerate(lists)})
scores = {name: list(ranx.evaluate(qrels, run, name, return_mean=False)) for name in names}
print(json.dumps(scores, default=float))
"""


def test_agrees_with_ranx(random_runs):
    pytest.importorskip("ranx")
    lists, relevant = random_runs
    names = [f"{name}@{cutoff}" for name in NAMES for cutoff in (1, 5, 20)]
    done = subprocess.run(
        [sys.executable, "-c", RANX],
        input=json.dumps([lists, [sorted(good) for good in relevant], names]),
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},  # compiling it takes a minute, running it so does not
        capture_output=True,
        text=True,
        check=True,
    )
    block = judged(lists, relevant, n=20)
    for key, scores in json.loads(done.stdout).items():
        name, cutoff = key.split("@")
        expected = np.array(scores)
        if name == "map":  # ranx divides by all relevant items, also by those beyond the cutoff
            expected *= block.n_relevant / np.minimum(block.n_relevant, int(cutoff))
        found = find_metric(name).function(block, cutoff=int(cutoff))
        np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=key)


def test_ndcg_agrees_with_scikit_learn(random_runs):
    _, relevant = random_runs
    scores = np.random.default_rng(6).random((len(relevant), 60))
    truth = np.array([[float(item in good) for item in range(60)] for good in relevant])
    lists = np.argsort(-scores, axis=1)[:, :10].tolist()
    found = find_metric("ndcg").function(judged(lists, relevant, n=10), cutoff=10)
    np.testing.assert_allclose(found.mean(), ndcg_score(truth, scores, k=10), rtol=1e-9)


def test_graded_gains_count_as_they_are():
    block = judged([[0, 1]], [{0, 1}], n=2)
    graded = replace(block, gains=np.array([[1.0, 3.0]]), ideal_gains=np.array([[3.0, 1.0]]))
    np.testing.assert_allclose(
        find_metric("ndcg").function(graded, cutoff=2), ndcg_score([[1.0, 3.0]], [[2.0, 1.0]]), rtol=1e-12
    )
