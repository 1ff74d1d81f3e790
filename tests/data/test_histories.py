"""Histories: every user's readable ratings, in blocks of any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import grid, small_ratings

import recsys_ae.data.histories as histories
from recsys_ae.data.histories import Histories
from recsys_ae.data.ids import IdMap


@given(small_ratings(), st.integers(1, 9), st.data())
def test_batches_are_the_rows_with_their_times(ratings, size, data):
    positions = np.arange(ratings.n_users) - 1
    known = Histories(ratings.users, positions, ratings.matrix, ratings.timestamps)
    rows = np.array(data.draw(st.lists(st.integers(0, ratings.n_users - 1), max_size=12)), dtype=np.int64)
    found = []
    for chosen, batch in known.batches(size, rows=rows):
        assert 1 <= len(batch) <= size
        for row, position in enumerate(batch.positions):
            span = slice(batch.history.indptr[row], batch.history.indptr[row + 1])
            times = None if batch.timestamps is None else batch.timestamps[span].tolist()
            entries = batch.history.indices[span].tolist(), batch.history.data[span].tolist()
            found.append((chosen[row], position, *entries, times))
    expected = []
    for row in rows:
        span = slice(ratings.matrix.indptr[row], ratings.matrix.indptr[row + 1])
        times = None if ratings.timestamps is None else ratings.timestamps[span].tolist()
        entries = ratings.columns[span].tolist(), ratings.values[span].tolist()
        expected.append((row, row - 1, *entries, times))
    assert found == expected


def test_blocks_shrink_with_the_catalogue(monkeypatch):
    ratings = grid(12, 15)
    known = Histories(ratings.users, np.arange(12), ratings.matrix)
    monkeypatch.setattr(histories, "_CELLS_AT_ONCE", 4 * 15)
    assert [len(batch) for _, batch in known.batches(10)] == [4, 4, 4]
    monkeypatch.setattr(histories, "_CELLS_AT_ONCE", 1)
    assert [len(batch) for _, batch in known.batches(10, rows=np.array([3, 5]))] == [1, 1]


@pytest.mark.parametrize("as_text", [False, True])
def test_ratings_are_put_on_the_items_of_a_model(as_text):
    """Items that the model does not know are left out and counted, users that it does not know stay."""
    ratings = grid(4, 12)
    kept = np.array([0, 2, 3, 10, 11, 99])
    items = IdMap.of([str(item) for item in kept] if as_text else kept)  # as text "10" comes before "2"
    users = IdMap.of(ratings.users.ids[1:3])
    known = Histories.of(ratings, users=users, items=items)
    assert known.users is ratings.users
    assert known.positions.tolist() == [-1, 0, 1, -1]
    dense, times = {}, {}
    for row, column, value, time in zip(
        ratings.rows(), ratings.columns, ratings.values, ratings.timestamps, strict=True
    ):
        dense[row, str(ratings.items.ids[column])] = value
        times[row, str(ratings.items.ids[column])] = time
    rows = np.repeat(np.arange(4), np.diff(known.matrix.indptr))
    names = [str(items.ids[column]) for column in known.matrix.indices]
    cells = list(zip(rows, names, strict=True))
    assert set(cells) == {cell for cell in dense if int(cell[1]) in kept}
    assert known.matrix.data.tolist() == [dense[cell] for cell in cells]
    assert known.timestamps.tolist() == [times[cell] for cell in cells]
    assert known.n_dropped == len(dense) - len(cells)
    assert known.n_unknown_items == len({name for _, name in dense} - {str(item) for item in kept})
