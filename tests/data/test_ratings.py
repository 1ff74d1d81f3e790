"""Triples become ratings: nothing lost, nothing added up, nothing bad let in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import small_ratings

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError

RULES = {"first": "first", "last": "last", "mean": "mean"}


def as_frame(ratings: Ratings) -> pd.DataFrame:
    columns = {"user": ratings.users.ids[ratings.rows()], "item": ratings.items.ids[ratings.columns]}
    times = {} if ratings.timestamps is None else {"timestamp": ratings.timestamps}
    return pd.DataFrame(columns | {"value": ratings.values} | times)


def remade(frame: pd.DataFrame, **options) -> Ratings:
    times = frame["timestamp"].to_numpy() if "timestamp" in frame else None
    return Ratings.from_triples(
        frame["user"].to_numpy(), frame["item"].to_numpy(), frame["value"], timestamps=times, **options
    )


@given(small_ratings(), st.randoms(use_true_random=False))
def test_the_order_of_the_triples_decides_nothing(ratings, random):
    frame = as_frame(ratings)
    order = list(range(len(frame)))
    random.shuffle(order)
    again = remade(frame.iloc[order])
    assert again.fingerprint() == remade(frame).fingerprint()
    pd.testing.assert_frame_equal(as_frame(again), frame, check_dtype=False)


@given(small_ratings())
def test_stored_zeros_stay(ratings):
    again = remade(as_frame(ratings))
    assert again.n_observed == ratings.n_observed
    assert (again.values == 0).sum() == (ratings.values == 0).sum()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from("abc"), st.sampled_from([0.0, 1.0, 4.0]), st.integers(0, 99)
        ),
        min_size=1,
        max_size=25,
    ),
    st.sampled_from(sorted(RULES)),
)
def test_repeats_are_resolved_as_pandas_does(triples, rule):
    frame = pd.DataFrame(triples, columns=["user", "item", "value", "timestamp"])
    groups = frame.groupby(["user", "item"])
    expected = groups["value"].agg(RULES[rule]).astype(np.float32)
    times = groups["timestamp"].agg("max" if rule == "mean" else RULES[rule])
    found = as_frame(remade(frame, duplicates=rule)).set_index(["user", "item"])
    np.testing.assert_allclose(found["value"].to_numpy(), expected.to_numpy(), rtol=1e-6)
    assert found["timestamp"].tolist() == times.tolist()
    assert list(found.index) == list(expected.index)


@given(small_ratings(min_observed=1), st.data())
def test_keep_keeps_what_the_mask_says(ratings, data):
    mask = np.array(
        data.draw(st.lists(st.booleans(), min_size=ratings.n_observed, max_size=ratings.n_observed))
    )
    kept, dropped = ratings.keep(mask), ratings.keep(~mask)
    assert kept.matrix.shape == ratings.matrix.shape
    assert kept.users is ratings.users
    pd.testing.assert_frame_equal(
        as_frame(kept), as_frame(ratings)[mask].reset_index(drop=True), check_dtype=False
    )
    assert kept.n_observed + dropped.n_observed == ratings.n_observed


@given(small_ratings())
def test_transposing_swaps_users_and_items_and_nothing_else(ratings):
    turned = ratings.transposed()
    expected = as_frame(ratings).rename(columns={"user": "item", "item": "user"})
    order = np.lexsort((ratings.rows(), ratings.columns))
    pd.testing.assert_frame_equal(
        as_frame(turned), expected.iloc[order].reset_index(drop=True)[as_frame(turned).columns]
    )
    assert turned.transposed().fingerprint() == ratings.fingerprint()


@given(small_ratings(min_observed=1, timestamps=True), st.data())
def test_the_fingerprint_sees_every_part(ratings, data):
    place = data.draw(st.integers(0, ratings.n_observed - 1))
    matrix = ratings.matrix.copy()
    matrix.data[place] += 1
    times = ratings.timestamps.copy()
    times[place] += 1
    mask = np.arange(ratings.n_observed) != place
    ids = IdMap.of([f"other {number}" for number in range(ratings.n_users)])
    others = [
        replace(ratings, matrix=matrix),
        replace(ratings, timestamps=times),
        replace(ratings, timestamps=None),
        replace(ratings, users=ids),
        ratings.keep(mask),
    ]
    assert len({other.fingerprint() for other in [ratings, *others]}) == 6


def test_the_fingerprint_is_the_same_for_all_index_widths():
    ratings = Ratings.from_triples([1, 1, 2], ["a", "b", "a"], [0.0, 2.0, 3.0])
    wide = ratings.matrix.copy()
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    assert replace(ratings, matrix=wide).fingerprint() == ratings.fingerprint()


def test_numbers_and_their_texts_are_different_ids():
    numbers, texts = (Ratings.from_triples(ids, [1, 1], [1.0, 2.0]) for ids in ([1, 2], ["1", "2"]))
    assert numbers.fingerprint() != texts.fingerprint()


def test_values_are_float32_and_positions_narrow():
    ratings = Ratings.from_triples(["u", "v"], [9, 9], [-0.0, 2.5], timestamps=[3.9, 1])
    assert ratings.values.dtype == np.float32
    assert not np.signbit(ratings.values).any()
    assert ratings.columns.dtype == np.int32
    assert ratings.timestamps.tolist() == [3, 1]


def test_no_triples_are_no_ratings():
    ratings = Ratings.from_triples([], [], [], duplicates="mean")
    assert (ratings.matrix.shape, ratings.n_observed) == ((0, 0), 0)
    with pytest.raises(DataError, match="no ratings left"):
        ratings.mean()


def test_repeated_events_and_counts_can_be_summed():
    users, items, times = ["u", "v", "u", "u"], [1, 1, 2, 1], [3, 4, 5, 1]
    events = Ratings.from_triples(
        users, items, np.ones(4), timestamps=times, feedback="events", duplicates="sum"
    )
    counts = Ratings.from_triples(
        users, items, [2, 0, 5, 0.5], timestamps=times, feedback="counts", duplicates="sum"
    )
    assert (events.values.tolist(), counts.values.tolist()) == ([2, 1, 1], [2.5, 5, 0])
    assert (events.feedback, counts.feedback) == ("counts", "counts")
    assert events.timestamps.tolist() == counts.timestamps.tolist() == [3, 5, 4]
    with pytest.raises(DataError, match="ratings of a pair cannot be summed"):
        Ratings.from_triples(users, items, np.ones(4), duplicates="sum")
    with pytest.raises(DataError, match="set duplicates to sum, first, last or mean"):
        Ratings.from_triples(users, items, np.ones(4), feedback="events")


GOOD = {"users": ["u", "u", "v"], "items": [1, 2, 1], "values": [1.0, 2.0, 3.0]}
BAD_TRIPLES = [
    ({"items": [1, 1, 1]}, "row 1: user 'u' has rated item 1 before, at row 0; set duplicates"),
    ({"users": ["u", "u", "u"], "items": [1, 1, 1]}, "at row 0 (2 ratings repeat a pair)"),
    ({"users": ["u", "", "v"]}, "row 1: the user id is empty"),
    ({"items": [1, 2, None]}, "row 2: the item id is empty"),
    ({"values": [1, float("nan"), 2]}, "row 1: the rating is not a number (nan), ratings must be finite"),
    ({"values": [1, 2, -np.inf]}, "row 2: the rating is -inf"),
    ({"values": [1, 1e39, 2]}, "row 1: the rating is 1e+39, ratings must be finite"),
    ({"values": [0, 2, 7], "scale": (1, 5)}, "row 0: the rating is 0, 7 at row 2, outside the scale 1 to 5"),
    ({"timestamps": [1, -1, 2]}, "row 1: the timestamp is -1, and not a Unix second"),
    ({"timestamps": [1, 2, np.nan]}, "row 2: the timestamp is missing"),
    ({"timestamps": [1365029107000, 2, 3]}, "milliseconds must be divided by 1000"),
    ({"timestamps": ["a", "b", "c"]}, "timestamps must be numbers"),
    ({"timestamps": [1, 2]}, "2 timestamps for 3 ratings"),
    ({"users": ["u"]}, "1 users for 3 ratings"),
    ({"values": ["a", "b", "c"]}, "ratings must be numbers"),
    ({"users": ["u", "\ud800", "v"]}, "no valid Unicode text"),
]


@pytest.mark.parametrize(("change", "sentence"), BAD_TRIPLES, ids=[sentence for _, sentence in BAD_TRIPLES])
def test_bad_triples_are_told_with_place_and_value(change, sentence):
    arguments = GOOD | change
    positional = [arguments.pop(name) for name in ("users", "items", "values")]
    with pytest.raises(DataError) as raised:
        Ratings.from_triples(*positional, **arguments)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_matrix_must_fit_its_ids():
    ratings = Ratings.from_triples([1, 2], [1, 1], [1, 2], timestamps=[1, 2])
    with pytest.raises(DataError, match="1 users"):
        replace(ratings, users=IdMap.of([1]))
    with pytest.raises(DataError, match="1 timestamps for 2 ratings"):
        replace(ratings, timestamps=np.array([1]))
