"""The best columns of each row of a block of scores."""

from __future__ import annotations

from heapq import heappush, heapreplace

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
        best = [(np.float32(0), 0) for _ in range(0)]  # empty, of a type that numba can tell
        if not _collect(scores[row], hidden[starts[row] : starts[row + 1]], best, items.shape[1]):
            return row
        best.sort(reverse=True)
        for place, (score, minus_column) in enumerate(best):
            items[row, place], values[row, place] = -minus_column, score
    return -1


@njit(cache=True, nogil=True)
def _collect(line, left_out, best, n):
    """Fills `best`, a heap of (score, -column) with the worst on top: of equal scores the higher column is
    worse. Returns False for a NaN.

    Most columns are below that worst: they are passed over a chunk at a time.
    """
    place = 0
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
                return False
            if len(best) < n:
                heappush(best, (score, -column))
            else:
                heapreplace(best, (score, -column))
            if len(best) == n:
                worst = best[0][0]
    return True


@njit(cache=True, nogil=True, inline="always")
def _any_above(chunk, worst):
    """Whether a score is above `worst` or a NaN. Counted in 32 bits, by index: in other forms the loop does
    not become vector instructions."""
    n_above = np.int32(0)
    for offset in range(len(chunk)):
        n_above += np.int32(not (chunk[offset] <= worst))
    return n_above > 0
