"""Lists of many users in blocks, and as rows; new ratings put on a model's items."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import observed, slow_top_n
from strategies import ratings_of, small_ratings

from recsys_ae.data.histories import Histories, UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import CapabilityError, ConfigError, DataError, UnknownIdError
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.linear import LinearRecommender
from recsys_ae.ranking import TopN
from recsys_ae.serving.lists import (
    TopNBlock,
    best_rated,
    chosen_rows,
    columns_of,
    frame_of,
    recommend,
    rows_of,
)


def linear_model(ratings: Ratings, *, ranks: bool = True) -> LinearRecommender:
    """Whole weights: sums in any order are the same, and many scores are equal."""
    weights = np.random.default_rng(0).integers(-2, 3, (ratings.n_items, ratings.n_items)).astype(np.float32)
    return LinearRecommender(ratings.users, ratings.items, weights, ranks=ranks)


def factor_model(ratings: Ratings) -> FactorRecommender:
    rng = np.random.default_rng(1)
    factors = [rng.integers(-3, 4, (n, 2)).astype(np.float32) for n in ratings.matrix.shape]
    biases = [np.zeros(n, dtype=np.float32) for n in ratings.matrix.shape]
    return FactorRecommender(ratings.users, ratings.items, *factors, *biases)


def histories_of(ratings: Ratings, positions=None) -> Histories:
    """Of the model's own users, at these positions (None: where they stand)."""
    positions = np.arange(ratings.n_users) if positions is None else positions
    return Histories(ratings.users, positions, ratings.matrix)


def lists(blocks) -> list[tuple]:
    found = []
    for block in blocks:
        columns = (block.rows.tolist(), block.top.items.tolist(), block.top.scores.tolist())
        found += [(user, tuple(items), tuple(scores)) for user, items, scores in zip(*columns, strict=True)]
    return found


@given(
    ratings=small_ratings(), n=st.integers(1, 8), seen=st.booleans(), size=st.integers(1, 8), data=st.data()
)
def test_blocks_of_any_size_equal_sorting_all_scores(ratings, n, seen, size, data):
    users = np.array(data.draw(st.lists(st.integers(0, ratings.n_users - 1), max_size=9)), dtype=np.int64)
    model = linear_model(ratings)
    blocks = recommend(model, histories_of(ratings), rows=users, n=n, exclude_seen=not seen, batch_size=size)
    history = ratings.matrix[users]
    items, scores = slow_top_n(model.score(UserBatch(users, history)), n, None if seen else history)
    assert lists(blocks) == [(u, tuple(i), tuple(s)) for u, i, s in zip(users, items, scores, strict=True)]


def test_a_batch_of_fifty_is_fifty_batches_of_one():
    cells = np.flatnonzero(np.random.default_rng(0).random(50 * 40) < 0.3)
    ratings = ratings_of(cells // 40, cells % 40, cells % 5)
    users = np.arange(ratings.n_users)
    for model in (linear_model(ratings), factor_model(ratings)):
        whole = lists(recommend(model, histories_of(ratings), rows=users, batch_size=50))
        assert lists(recommend(model, histories_of(ratings), rows=users, batch_size=1)) == whole
        assert len(whole) == ratings.n_users


@pytest.fixture
def ratings() -> Ratings:
    return ratings_of(["ann", "ann", "bob", "cid"], [1, 2, 2, 3], [0.0, 4.0, 5.0, 1.0])


def test_seen_items_are_left_out_observed_zeros_too(ratings):
    model, known, row = factor_model(ratings), histories_of(ratings), np.array([0])
    (block,) = recommend(model, known, rows=row, n=3)
    assert block.top.items.tolist() == [[2, -1, -1]]
    (block,) = recommend(model, known, rows=row, n=3, exclude_seen=False)
    assert sorted(block.top.items[0]) == [0, 1, 2]


def test_no_users_no_blocks(ratings):
    assert (
        list(recommend(factor_model(ratings), histories_of(ratings), rows=np.array([], dtype=np.int64))) == []
    )


def test_what_a_model_cannot_do_is_refused_before_the_first_block(ratings):
    everyone = np.arange(3)
    with pytest.raises(CapabilityError, match="does not rank"):
        recommend(linear_model(ratings, ranks=False), histories_of(ratings), rows=everyone)
    unseen = np.array([0, -1, -1])
    with pytest.raises(CapabilityError, match="2 of 3 users were not seen in training"):
        recommend(factor_model(ratings), histories_of(ratings, unseen), rows=everyone)
    assert list(recommend(factor_model(ratings), histories_of(ratings, unseen), rows=np.array([0])))
    assert list(recommend(linear_model(ratings), histories_of(ratings, unseen), rows=everyone))


@pytest.mark.parametrize("option", ["n", "batch_size"])
def test_sizes_below_one_are_refused(ratings, option):
    with pytest.raises(ConfigError, match=f"{option} is 0"):
        recommend(linear_model(ratings), histories_of(ratings), rows=np.arange(3), **{option: 0})


def test_histories_of_another_shape_are_refused(ratings):
    few = ratings.matrix[:, :2]
    with pytest.raises(DataError, match="align"):
        recommend(linear_model(ratings), Histories(ratings.users, np.arange(3), few))
    with pytest.raises(DataError, match="3 users with 3 positions, 2 rows"):
        Histories(ratings.users, np.arange(3), ratings.matrix[:2])
    with pytest.raises(DataError, match="3 timestamps for 4 ratings"):
        Histories(ratings.users, np.arange(3), ratings.matrix, np.arange(3))


@given(new=small_ratings(), trained=small_ratings())
def test_aligned_histories_keep_what_the_model_knows_and_count_the_rest(new, trained):
    model = linear_model(trained)
    found = Histories.of(new, users=model.users, items=model.items)
    known = {str(item) for item in trained.items.ids}
    expected = {key: value for key, value in observed(new).items() if str(key[1]) in known}
    aligned = observed(Ratings(found.matrix, found.users, model.items))
    assert {(user, str(item)): value for (user, item), (value, _) in aligned.items()} == {
        (user, str(item)): value for (user, item), (value, _) in expected.items()
    }
    dropped = [item for _, item in observed(new).keys() - expected.keys()]
    assert (found.n_dropped, found.n_unknown_items) == (len(dropped), len(set(dropped)))
    assert found.matrix.shape == (new.n_users, trained.n_items)
    assert found.matrix.has_canonical_format
    places = {str(user): place for place, user in enumerate(trained.users.ids)}
    assert found.positions.tolist() == [places.get(str(user), -1) for user in new.users.ids]


def test_a_new_user_gets_lists_from_a_model_that_folds_in(ratings):
    model = linear_model(ratings)
    found = Histories.of(ratings_of(["dan", "ann"], [3, 2], [2.0, 1.0]), users=model.users, items=model.items)
    assert found.positions.tolist() == [0, -1]
    items, _ = slow_top_n(found.matrix @ model.item_weights, 2, found.matrix)
    blocks = recommend(model, found, n=2)
    assert [list(found_items) for _, found_items, _ in lists(blocks)] == items


def test_users_are_chosen_by_their_ids():
    users = IdMap.of(np.array([10, 20, 30]))
    assert rows_of(users, [30, 10, 30]).tolist() == [2, 0]
    assert rows_of(users, ["20"]).tolist() == [1]
    assert rows_of(users, []).tolist() == []
    with pytest.raises(UnknownIdError, match=r"4 of 5 users are unknown: 1, 2, 3, …; ask only"):
        rows_of(users, [1, 2, 3, 20, 4])
    with pytest.raises(UnknownIdError, match=r"1 of 1 users are unknown: 'x'; ask only"):
        rows_of(IdMap.of(["a", "b"]), ["x"])


@given(small_ratings(), st.integers(0, 4))
def test_the_best_rated_items_are_those_of_a_slow_sort(ratings, n):
    """Zeros and negatives are ratings, too; of equals the first in the catalogue; users may stand twice."""
    histories = Histories(ratings.users, np.arange(ratings.n_users), ratings.matrix)
    rows = np.append(np.arange(ratings.n_users)[::-1], 0)
    expected = []
    for row in rows:
        span = range(*ratings.matrix.indptr[row : row + 2])
        cells = sorted((-ratings.values[at], ratings.columns[at]) for at in span)
        for rank, (value, column) in enumerate(cells[:n], 1):
            expected.append((ratings.users.ids[row], rank, ratings.items.ids[column], -value))
    found = best_rated(histories, rows, items=ratings.items, n=n)
    assert [tuple(line) for line in found.itertuples(index=False)] == expected


USERS = IdMap(np.array(["ann", "bob", "eve"], dtype=object))
ITEMS = IdMap(np.array([10, 20, 30]))
GAP = -np.inf
SCORES = np.array([[0.5, 0.0], [GAP, GAP], [-2.0, GAP]], dtype=np.float32)
BLOCK = TopNBlock(np.array([2, 0, 1]), TopN(np.array([[1, 0], [-1, -1], [2, -1]]), SCORES))


def test_padding_is_left_out_and_a_score_of_zero_is_not():
    columns = columns_of(BLOCK, USERS, ITEMS)
    rows = list(zip(*(column.tolist() for column in columns.values()), strict=True))
    assert list(columns) == ["user", "rank", "item", "score"]
    assert rows == [("eve", 1, 20, 0.5), ("eve", 2, 10, 0.0), ("bob", 1, 30, -2.0)]
    assert [columns[name].dtype for name in ("rank", "item", "score")] == [np.int32, np.int64, np.float32]


def test_blocks_follow_each_other_and_none_is_an_empty_table():
    frame, nothing = (frame_of(blocks, users=USERS, items=ITEMS) for blocks in ([BLOCK, BLOCK], []))
    assert frame["user"].tolist() == ["eve", "eve", "bob"] * 2
    assert frame.index.tolist() == list(range(6))
    assert len(nothing) == 0
    assert list(nothing.columns) == list(frame.columns)
    assert all(nothing[name].dtype == frame[name].dtype for name in ("rank", "item", "score"))


def test_a_pipe_of_users_is_called_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("wanted")
    with pytest.raises(ConfigError, match="--users wanted: is a pipe; write the ids into a file"):
        chosen_rows("wanted", IdMap.of(["a", "b"]))
