"""Ids become positions and come back, whatever kind they are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_ae.data.ids import IdColumn, IdMap
from recsys_ae.errors import DataError, UnknownIdError

NUMBERS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30)
TEXTS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), max_size=30)


@given(NUMBERS | TEXTS)
def test_positions_lead_back_to_the_ids(ids):
    known = IdMap.of(ids)
    assert known.ids.tolist() == sorted(set(ids))
    assert known.ids[known.positions(ids)].tolist() == ids


@given(TEXTS, TEXTS)
def test_unknown_ids_are_negative_and_others_found(ids, asked):
    known = IdMap.of(ids)
    places = {id: place for place, id in enumerate(sorted(set(ids)))}
    found = known.positions(np.array(asked, dtype=object), missing="negative")
    if known.ids.dtype == object:
        assert found.tolist() == [places.get(id, -1) for id in asked]
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        ([3, 1, 3], [1, 3]),
        (np.array([3, 1], dtype=np.uint8), [1, 3]),
        (np.array([2.0, 1.0]), [1, 2]),
        ([1.5, 2.0], ["1.5", "2.0"]),
        (["007", "7"], ["007", "7"]),
        (["2", "10"], ["10", "2"]),
        ([1, "b"], ["1", "b"]),
        ([1, "1"], ["1"]),
        (np.array(["b", "a"]), ["a", "b"]),
        ([2**70, 1], ["1", str(2**70)]),
        ([], []),
    ],
    ids=str,
)
def test_kinds_of_ids(values, ids):
    assert IdMap.of(values).ids.tolist() == ids


def test_whole_numbers_stay_numbers():
    assert IdMap.of([2, 1]).ids.dtype == np.int64
    assert IdMap.of(["2", "1"]).ids.dtype == object


def test_numbers_find_text_and_text_finds_numbers():
    assert IdMap.of(["7", "x"]).positions([7, "x"]).tolist() == [0, 1]
    assert IdMap.of([7, 8]).positions(["8", 7, "07", "+7", "7.0"], missing="negative").tolist() == [
        1,
        0,
        -1,
        -1,
        -1,
    ]


def test_unknown_ids_are_counted_and_the_first_is_named():
    with pytest.raises(UnknownIdError, match="2 unknown ids, the first is 'x'"):
        IdMap.of(["a"]).positions(["a", "x", "y"])


@pytest.mark.parametrize("values", [["a", ""], ["a", None], [1.0, float("nan")]], ids=str)
def test_empty_ids_are_refused(values):
    with pytest.raises(DataError, match="the id at place 1 is empty"):
        IdMap.of(values)


@pytest.mark.parametrize("ids", [["b", "a"], ["a", "a"], [2, 1]], ids=str)
def test_unsorted_or_repeated_maps_are_refused(ids):
    with pytest.raises(DataError, match="unique and sorted"):
        IdMap(np.array(ids, dtype=object))


def test_a_map_does_not_lock_the_array_it_was_made_of():
    ids = np.array([1, 2])
    known = IdMap(ids)
    ids[1] = 3
    with pytest.raises(ValueError, match="read-only"):
        known.ids[0] = 5


@given(st.lists(st.sampled_from(["1", " 1", "2", "-3", "0", "10 "]), min_size=1))
def test_plain_integers_of_a_file_are_parsed(texts):
    column = IdColumn.of_arrow(pa.chunked_array([texts]).dictionary_encode()).parsed()
    ids, positions = column.mapped()
    assert ids.ids.tolist() == sorted({int(text) for text in texts})
    assert ids.ids[positions].tolist() == [int(text) for text in texts]


@pytest.mark.parametrize("odd", ["007", "+7", "7.0", "1_000", "-0", "9" * 19, "x"])
def test_one_odd_id_keeps_all_text(odd):
    column = IdColumn.of_arrow(pa.chunked_array([["1", odd]]).dictionary_encode()).parsed()
    assert column.mapped()[0].ids.tolist() == sorted(["1", odd])


@given(NUMBERS | TEXTS, NUMBERS | TEXTS)
def test_joined_columns_are_one_after_the_other(first, second):
    both = IdColumn.joined([IdColumn.of(first), IdColumn.of(second)])
    found = [both[row] for row in range(len(both))]
    assert [str(id) for id in found] == [str(id) for id in first + second]


def test_text_of_one_part_leaves_the_order_of_numbers_in_another():
    numbers, texts = IdColumn.of([10, 9, 100, -1]), IdColumn.of(["007", "9", "x"])
    known, positions = IdColumn.joined([numbers, texts]).mapped()
    assert known.ids.tolist() == ["-1", "9", "10", "100", "007", "x"]
    assert positions.tolist() == [2, 1, 3, 0, 4, 1, 5]
    assert IdMap(known.ids[[0, 2, 4]]).positions([10, "007"]).tolist() == [1, 2]  # as stored models have them
