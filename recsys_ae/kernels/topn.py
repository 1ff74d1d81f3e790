"""The best columns of each row of a block of scores."""

from __future__ import annotations

import numpy as np
from numba import njit

_CHUNK = 64  # columns compared with the worst of the list at once


@njit(cache=True, nogil=True)
def best_columns(scores, starts, hidden, items, values):
    """Writes the best columns of each row, best first, equal scores by column, and their scores.

    `scores`: (b, m) float32, C order. `starts` (b + 1,), `hidden`: int64 CSR of the columns left out,
    ascending within rows. `items`: (b, n) int64 filled with -1, n > 0; `values`: (b, n) float32 filled with
    -inf. Columns of score -inf are left out too. Returns the first row that holds a NaN outside `hidden`,
    else -1.
    """
    for row in range(len(scores)):
        left_out = hidden[starts[row] : starts[row + 1]]
        size = _best_of_row(scores[row], left_out, items[row], values[row])
        if size < 0:
            return row
        _sort(items[row], values[row], size)
    return -1


@njit(cache=True, nogil=True)
def _best_of_row(line, left_out, items, values):
    """Makes `items` and `values` a heap of the best so far, its worst on top; returns its size, -1 for a NaN.

    Most columns are below that worst: they are passed over a chunk at a time.
    """
    size, place = 0, 0
    worst = np.float32(-np.inf)
    for first in range(0, len(line), _CHUNK):
        chunk = line[first : first + _CHUNK]
        if not _any_above(chunk, worst):
            continue
        for offset in range(len(chunk)):
            score, column = chunk[offset], first + offset
            if score <= worst:
                continue
            while place < len(left_out) and left_out[place] < column:
                place += 1
            if place < len(left_out) and left_out[place] == column:
                continue
            if np.isnan(score):
                return -1
            if size < len(items):
                _rise(items, values, size, column, score)
                size += 1
            else:
                _sink(items, values, size, column, score)
            if size == len(items):
                worst = values[0]
    return size


@njit(cache=True, nogil=True, inline="always")
def _any_above(chunk, worst):
    """Whether a score is above `worst` or a NaN. Counted in 32 bits, by index: in other forms the loop does
    not become vector instructions."""
    n_above = np.int32(0)
    for offset in range(len(chunk)):
        n_above += np.int32(not (chunk[offset] <= worst))
    return n_above > 0


@njit(cache=True, nogil=True, inline="always")
def _is_worse(value, item, other_value, other_item):
    return value < other_value or (value == other_value and item > other_item)


@njit(cache=True, nogil=True)
def _rise(items, values, place, item, value):
    """Puts an entry at the end of the heap and lets it rise above better ones."""
    while place > 0:
        parent = (place - 1) // 2
        if not _is_worse(value, item, values[parent], items[parent]):
            break
        items[place], values[place] = items[parent], values[parent]
        place = parent
    items[place], values[place] = item, value


@njit(cache=True, nogil=True)
def _sink(items, values, size, item, value):
    """Replaces the worst entry and lets the new one sink below worse ones."""
    place = 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and _is_worse(values[child + 1], items[child + 1], values[child], items[child]):
            child += 1
        if not _is_worse(values[child], items[child], value, item):
            break
        items[place], values[place] = items[child], values[child]
        place = child
    items[place], values[place] = item, value


@njit(cache=True, nogil=True)
def _sort(items, values, size):
    """The heap becomes a list, best first."""
    for last in range(size - 1, 0, -1):
        item, value = items[last], values[last]
        items[last], values[last] = items[0], values[0]
        _sink(items, values, last, item, value)
