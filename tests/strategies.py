"""What hypothesis draws: small ratings with everything that goes wrong in large ones."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings

VALUES = (-2.0, -0.5, 0.0, 0.5, 1.0, 3.0, 5.0)  # observed zeros and negative ratings are ratings
SCALE = (-2.0, 5.0)


@st.composite
def small_ratings(
    draw,
    *,
    max_users: int = 7,
    max_items: int = 6,
    min_observed: int = 0,
    timestamps: bool | None = None,
    values: tuple[float, ...] = VALUES,
) -> Ratings:
    """`Ratings` of 1 to `max_users` users, 1 to `max_items` items with stored zeros, negative values, empty
    rows and empty columns; int or str ids. `timestamps`: with (many of them equal), without, None: either.
    At most as many observed entries as cells; `min_observed` enlarges the matrix where it must."""
    n_users = draw(st.integers(1, max_users))
    n_items = draw(st.integers(max(1, -(-min_observed // n_users)), max(max_items, min_observed)))
    cells = draw(
        st.lists(
            st.integers(0, n_users * n_items - 1),
            unique=True,
            min_size=min_observed,
            max_size=n_users * n_items,
        )
    )
    cells.sort()
    data = draw(st.lists(st.sampled_from(values), min_size=len(cells), max_size=len(cells)))
    with_times = draw(st.booleans()) if timestamps is None else timestamps
    times = np.array(draw(_times(len(cells))), dtype=np.int64) if with_times else None
    return Ratings(
        _matrix(cells, data, (n_users, n_items)),
        draw(id_maps(n_users)),
        draw(id_maps(n_items)),
        times,
        (min(values), max(values)),
    )


@st.composite
def id_maps(draw, n: int) -> IdMap:
    """`n` ids: int64 with gaps, or str, some with leading zeros, spaces, commas or letters beyond ASCII."""
    numbers = draw(st.lists(st.integers(-3, 10 * n + 10), unique=True, min_size=n, max_size=n))
    if draw(st.booleans()):
        return IdMap.of(np.array(numbers, dtype=np.int64))
    prefix = draw(st.sampled_from(["", "0", "u ", 'é,"']))
    return IdMap(np.array(sorted(f"{prefix}{number}" for number in numbers), dtype=object))


@st.composite
def score_blocks(draw, *, max_rows: int = 5, max_items: int = 12):
    """(scores, exclude): a (b, n_items) float32 block with many equal and some infinite scores, and a
    csr_array of the same shape, stored zeros included."""
    n_rows, n_items = draw(st.integers(0, max_rows)), draw(st.integers(1, max_items))
    size = n_rows * n_items
    flat = draw(
        st.lists(
            st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.25, 1.0, 2.0, np.inf]), min_size=size, max_size=size
        )
    )
    cells = sorted(draw(st.sets(st.integers(0, max(size - 1, 0)), max_size=size)) if size else [])
    marks = draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=len(cells), max_size=len(cells)))
    return np.array(flat, dtype=np.float32).reshape(n_rows, n_items), _matrix(cells, marks, (n_rows, n_items))


def _times(n: int):
    return st.lists(st.integers(1_000_000_000, 1_000_000_005), min_size=n, max_size=n)


def _matrix(cells, data, shape: tuple[int, int]) -> csr_array:
    rows, columns = np.divmod(np.array(cells, dtype=np.int64), shape[1])
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0])[: shape[0]])])
    return csr_array((np.array(data, dtype=np.float32), columns, starts), shape=shape)


def ratings_of(users, items, values, *, timestamps=None) -> Ratings:
    """`Ratings` of a few distinct triples, without the readers and their checks."""
    user_map, item_map = IdMap.of(users), IdMap.of(items)
    shape = (len(user_map), len(item_map))
    cells = user_map.positions(users) * shape[1] + item_map.positions(items)
    order = np.argsort(cells)
    times = None if timestamps is None else np.asarray(timestamps, dtype=np.int64)[order]
    data = np.asarray(values, dtype=np.float32)[order]
    return Ratings(_matrix(cells[order], data, shape), user_map, item_map, times)


def grid(n_users: int = 12, n_items: int = 15) -> Ratings:
    """Three quarters of all cells, with observed zeros and timestamps: always the same."""
    cells = np.array([cell for cell in range(n_users * n_items) if cell % 4 != 3])
    return ratings_of(cells // n_items + 100, cells % n_items, (cells * 7) % 6,
                                timestamps=1_000_000_000 + (cells * 37) % 101)  # fmt: skip
