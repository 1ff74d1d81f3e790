"""Leaks are refused where a split is made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import observed
from scipy.sparse import csr_array
from strategies import grid, ratings_of, small_ratings

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.splitting.configs import RandomSplitConfig, UsersSplitConfig
from recsys_ae.splitting.make import make_split
from recsys_ae.splitting.split import Split

ORIGIN = (RandomSplitConfig(), 0, "fingerprint of the ratings")


def drawn_part(data, ratings: Ratings) -> Ratings:
    n = ratings.n_observed
    return ratings.keep(np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), dtype=bool))


@given(data=st.data(), ratings=small_ratings())
def test_overlap_is_refused_and_nothing_else(data, ratings):
    train, fold_in, holdout = (drawn_part(data, ratings) for _ in range(3))
    hidden = observed(holdout).keys()
    leaks = hidden & (observed(train).keys() | observed(fold_in).keys())
    if not leaks:
        assert Split(train, fold_in, holdout, *ORIGIN).of_users
        return
    with pytest.raises(DataError, match="split 'random' leaks"):
        Split(train, fold_in, holdout, *ORIGIN)


def ratings_of_two() -> Ratings:
    return ratings_of(["ann", "ann", "bob"], [1, 2, 2], [0.0, 4.0, 5.0])


def test_a_leak_of_an_observed_zero_is_named():
    ratings = ratings_of_two()
    with pytest.raises(DataError, match=r"1 training ratings are also in the holdout.*user 'ann', item 1"):
        Split(ratings, ratings, ratings.keep(np.array([True, False, False])), *ORIGIN)


def test_a_leak_through_the_fold_in_is_refused():
    ratings = ratings_of_two()
    train, holdout = (
        ratings.keep(np.array([True, False, False])),
        ratings.keep(np.array([False, False, True])),
    )
    with pytest.raises(DataError, match="1 fold-in ratings are also in the holdout"):
        Split(train, ratings.keep(np.array([False, True, True])), holdout, *ORIGIN)


def test_parts_on_other_ids_are_refused():
    ratings = ratings_of_two()
    with pytest.raises(DataError, match="share their id maps"):
        Split(ratings, ratings, ratings_of_two().keep(np.array([False, False, True])), *ORIGIN)


def test_leaks_are_found_where_columns_are_out_of_order_and_cells_beyond_32_bits():
    n = 1 << 17
    ids = IdMap(np.arange(n))
    last = n - 1

    def part(columns):  # of the last user
        starts = np.append(np.zeros(n, dtype=np.int64), len(columns))
        matrix = csr_array((np.ones(len(columns), np.float32), np.array(columns), starts), shape=(n, n))
        return Ratings(matrix, ids, ids)

    train = part([last, 7, 2])
    with pytest.raises(DataError, match=f"1 training ratings .* user {last}, item {last};"):
        Split(train, train, part([5, last]), *ORIGIN)
    assert Split(train, train, part([5, 1]), *ORIGIN).cold_users == 0


def test_fingerprint_tells_parts_values_and_ids_apart():
    ratings = ratings_of_two()
    mask = np.array([True, False, False])

    def fingerprint(ratings, mask):
        train = ratings.keep(~mask)
        return Split(train, train, ratings.keep(mask), *ORIGIN).fingerprint()

    same = fingerprint(ratings_of_two(), mask)
    others = [
        fingerprint(ratings, ~mask),
        fingerprint(ratings, np.array([False, True, False])),
        fingerprint(ratings_of(["ann", "ann", "bob"], [1, 2, 2], [0.5, 4.0, 5.0]), mask),
        fingerprint(ratings_of(["ann", "ann", "rob"], [1, 2, 2], [0.0, 4.0, 5.0]), mask),
    ]
    assert fingerprint(ratings, mask) == same
    assert same not in others


def test_histories_are_all_that_may_be_read_of_every_user():
    ratings = grid()
    drawn = make_split(RandomSplitConfig(), ratings, 1)
    known = drawn.histories()
    assert known.matrix is drawn.train.matrix
    assert known.timestamps is drawn.train.timestamps
    assert known.positions.tolist() == list(range(ratings.n_users))

    split = make_split(UsersSplitConfig(test_share=0.3), ratings, 1)
    known = split.histories()
    read = Ratings(known.matrix, known.users, ratings.items, known.timestamps)
    assert observed(read) == observed(split.train) | observed(split.fold_in)
    unseen = set(split.evaluated_users.tolist())
    assert known.positions.tolist() == [-1 if row in unseen else row for row in range(ratings.n_users)]


def test_a_user_is_held_out_by_either_part():
    """Also one who has nothing to be judged by, or nothing to be read."""
    ratings = ratings_of([1, 2, 3], [7, 8, 9], np.ones(3))
    parts = [ratings.keep(np.arange(3) == place) for place in range(3)]
    split = Split(*parts, UsersSplitConfig(), 0, "fingerprint of the ratings")
    assert split.histories().positions.tolist() == [0, -1, -1]
    assert split.evaluated_users.tolist() == [2]
    assert split.cold_users == 1
