"""Filters keep what they promise, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import small_ratings

from recsys_ae.data.configs import DataConfig, FiltersConfig
from recsys_ae.data.filters import apply_filters, at_least, compacted, k_core, minimum_counts, to_implicit
from recsys_ae.data.load import load_ratings, read_triples
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError


def triples(ratings: Ratings) -> list[tuple]:
    users, items = ratings.users.ids[ratings.rows()], ratings.items.ids[ratings.columns]
    times = [0] * ratings.n_observed if ratings.timestamps is None else ratings.timestamps.tolist()
    return list(zip(users.tolist(), items.tolist(), ratings.values.tolist(), times, strict=True))


def slow_core(rows: list[tuple], k: int) -> list[tuple]:
    """One user or item at a time, in any order: the core is unique."""
    for place in (0, 1):
        counts = pd.Series([row[place] for row in rows], dtype=object).value_counts()
        few = counts.index[counts < k]
        if len(few):
            return slow_core([row for row in rows if row[place] != few[0]], k)
    return rows


@given(small_ratings(min_observed=1), st.integers(1, 4))
def test_the_core_is_the_same_when_it_is_peeled_one_by_one(ratings, k):
    expected = slow_core(triples(ratings), k)
    if not expected:
        with pytest.raises(DataError, match=f"the filter 'core {k}' leaves none"):
            k_core(ratings, k)
        return
    core = k_core(ratings, k)
    assert triples(core) == expected
    assert np.diff(core.matrix.indptr).min() >= k
    assert np.bincount(core.columns).min() >= k


@given(small_ratings(min_observed=1))
def test_compacting_drops_empty_users_and_items_only(ratings):
    small = compacted(ratings)
    assert triples(small) == triples(ratings)
    assert small.users.ids.tolist() == sorted({row[0] for row in triples(ratings)})
    assert small.items.ids.tolist() == sorted({row[1] for row in triples(ratings)})
    assert small.scale == ratings.scale


@given(small_ratings(min_observed=1), st.sampled_from([-3.0, 0.0, 1.0, 5.0]))
def test_a_threshold_makes_implicit_feedback(ratings, threshold):
    expected = [row for row in triples(ratings) if row[2] >= threshold]
    if not expected:
        with pytest.raises(DataError, match=r"threshold .* leaves none"):
            to_implicit(ratings, threshold)
        return
    implicit = to_implicit(ratings, threshold)
    assert triples(implicit) == [(user, item, 1.0, time) for user, item, _, time in expected]
    assert (implicit.scale, implicit.feedback) == (None, "events")


@given(small_ratings(min_observed=1), st.integers(0, 3), st.integers(0, 3))
def test_minimum_counts_are_counted_before(ratings, users, items):
    frame = pd.DataFrame(triples(ratings), columns=["user", "item", "value", "time"])
    of_users = frame.groupby("user")["item"].transform("size")
    of_items = frame.groupby("item")["user"].transform("size")
    expected = frame[(of_users >= users) & (of_items >= items)]
    if expected.empty:
        with pytest.raises(DataError, match="leaves none"):
            minimum_counts(ratings, users=users, items=items)
        return
    assert triples(minimum_counts(ratings, users=users, items=items)) == list(
        expected.itertuples(index=False, name=None)
    )


def test_filters_come_in_the_order_that_the_config_promises():
    ratings = Ratings.from_triples(
        ["u", "u", "v", "v", "w"], ["a", "b", "a", "b", "a"], [5.0, 4.0, 5.0, 1.0, 5.0], scale=(1, 5)
    )
    kept = apply_filters(ratings, FiltersConfig(threshold=4, min_user_ratings=2, min_item_ratings=1))
    assert triples(kept) == [
        ("u", "a", 1.0, 0),
        ("u", "b", 1.0, 0),
    ]  # users first: then b is rated once, by u
    assert apply_filters(ratings, FiltersConfig()) is ratings


def test_rows_below_the_minimum_rating_are_no_ratings(tmp_path, caplog):
    """Zeros that mean a click: off the scale, repeated, and of no interest."""
    path = tmp_path / "books.csv"
    path.write_text("user;item;Book-Rating\na;x;0\na;x;7\nb;x;0\nc;y;10\nc;z;1\n")
    columns = {"rating": "Book-Rating"}
    config = DataConfig(source=str(path), columns=columns, scale=(1, 10), filters={"min_rating": 1})
    with caplog.at_level("INFO"):
        ratings = load_ratings(config)
    assert triples(ratings) == [("a", "x", 7.0, 0), ("c", "y", 10.0, 0), ("c", "z", 1.0, 0)]
    assert "filters: 3 of 5 rows have a rating of 1 or more" in caplog.messages
    path.write_text(path.read_text() + "d;y;11\n")
    with pytest.raises(DataError, match=r"line 7: the rating is 11, outside"):
        load_ratings(config)
    with pytest.raises(DataError, match="leaves none of 4"):
        at_least(read_triples(config), 99)
    events = DataConfig(
        source=str(path), columns={"rating": ""}, duplicates="last", filters={"min_rating": 1}
    )
    with pytest.raises(DataError, match="no ratings to read"):
        load_ratings(events)


def test_what_filters_leave_is_said(caplog):
    ratings = Ratings.from_triples(["u", "u", "v"], ["a", "b", "a"], [1.0, 2.0, 3.0])
    with caplog.at_level("INFO"):
        apply_filters(ratings, FiltersConfig(min_user_ratings=2))
    assert caplog.messages == ["filters: 2 of 3 ratings are left, of 1 of 2 users and 2 of 2 items"]
