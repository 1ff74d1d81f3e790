"""Ratings held out by their time."""

from __future__ import annotations

import numpy as np

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.rng import random_keys
from recsys_ae.splitting.parts import last_in_rows, ordered_in_rows, share_of, split_of_ratings
from recsys_ae.splitting.split import Split
from recsys_ae.types import BoolVector, PositionVector


def temporal_cut(
    ratings: Ratings, *, test_share: float = 0.1, cut: int | None = None, seed: int = 0
) -> Split:
    """All ratings from the moment `cut` (Unix seconds) on are held out; nothing is drawn.

    Without `cut`, the moment after which closest to `test_share` of the ratings lie: ratings of the same
    second stay together, so the share is exact only as far as the timestamps tell ratings apart.
    Raises DataError without timestamps, or where a part would be empty.
    """
    times = _times(ratings, "temporal")
    held_out = _latest(times, share_of(len(times), test_share)) if cut is None else times >= cut
    return split_of_ratings(ratings, held_out, "temporal", seed)


def leave_last(ratings: Ratings, *, n: int = 1, seed: int, stream: str = "split") -> Split:
    """The last `n` ratings of each user with more than `n`; the others are trained on and not evaluated.

    Equal timestamps of a user are put in random order, by the seed: an order by item would hold out the
    items with the highest positions. Raises DataError without timestamps, or where no user has more than `n`.
    """
    times = _times(ratings, "leave-last")
    shuffled = ordered_in_rows(ratings, random_keys(len(times), seed, stream, "leave-last"))
    order = shuffled[_by_time(ratings, times[shuffled])]
    totals = np.diff(ratings.matrix.indptr)
    held_out = last_in_rows(ratings, order, np.where(totals > n, n, 0))
    return split_of_ratings(ratings, held_out, "leave-last", seed)


def _times(ratings: Ratings, name: str) -> np.ndarray:
    if ratings.timestamps is None:
        raise DataError(
            f"split {name!r} needs timestamps, and these ratings have none; name the timestamp column, "
            "or choose a split that needs none (random, k-fold, per-user, users)"
        )
    return ratings.timestamps


def _latest(times: np.ndarray, n_wanted: int) -> BoolVector:
    """(len(times),) bool: everything from one moment on, as near to `n_wanted` entries as possible; of two
    equally near the larger part, unless it is all."""
    n = len(times)
    if n_wanted in (0, n):
        return np.full(n, n_wanted > 0)
    moment = np.partition(times, n - n_wanted)[n - n_wanted]
    later, from_then_on = times > moment, times >= moment
    n_later, n_from_then_on = np.count_nonzero(later), np.count_nonzero(from_then_on)
    if n_later and (n_from_then_on == n or n_wanted - n_later < n_from_then_on - n_wanted):
        return later
    return from_then_on


def _by_time(ratings: Ratings, times: np.ndarray) -> PositionVector:
    """Stable order by time within each row of entries that are row by row already: one sort of row and time
    in a single integer."""
    row_bits = max(1, ratings.n_users.bit_length())
    if int(times.max(initial=0)) - int(times.min(initial=0)) >= 1 << (63 - row_bits):
        times = np.unique(times, return_inverse=True)[1]  # ranks need fewer bits than such times
    offsets = (times - times.min(initial=0)).astype(np.uint64)
    rows = ratings.rows().astype(np.uint64) << np.uint64(64 - row_bits)
    return np.argsort(rows | offsets, kind="stable")
