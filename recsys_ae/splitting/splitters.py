"""Which ratings are held out: one function for each kind of split, from ratings to masks of their entries.

Where chance decides, each entry gets one raw 64-bit draw, in the order of the matrix, of the stream (seed,
`stream`, kind of the split): the same on every machine. `stream` is "split" for the test part and
"validation" for the validation part.
"""

from __future__ import annotations

import numpy as np

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.rng import random_keys
from recsys_ae.splitting.configs import (
    KFoldSplitConfig,
    LeaveLastSplitConfig,
    PerUserSplitConfig,
    RandomSplitConfig,
    TemporalSplitConfig,
    UsersSplitConfig,
)
from recsys_ae.types import BoolVector, CountVector, PositionVector

_ROUNDING = 1e-9  # 0.29 * 100 is 28.999… in floating point, and means 29


def random_holdout(ratings: Ratings, config: RandomSplitConfig, *, seed: int, stream: str) -> BoolVector:
    """(n_observed,) bool: exactly `test_share` of all ratings, rounded to the nearest integer."""
    keys = random_keys(ratings.n_observed, seed, stream, "random")
    return _smallest(keys, _share_of(ratings.n_observed, config.test_share))


def one_fold(ratings: Ratings, config: KFoldSplitConfig, *, seed: int, stream: str) -> BoolVector:
    """(n_observed,) bool: fold number `fold` of a partition whose sizes differ by one at most.

    Raises DataError where there are fewer ratings than folds.
    """
    n, folds = ratings.n_observed, config.folds
    if n < folds:
        raise DataError(f"split 'k-fold' cannot make {folds} folds of {n} ratings; ask for fewer folds")
    order = np.argsort(random_keys(n, seed, stream, "k-fold"), kind="stable")
    held_out = np.zeros(n, dtype=bool)
    held_out[order] = np.arange(n) * folds // n == config.fold
    return held_out


def per_user_holdout(ratings: Ratings, config: PerUserSplitConfig, *, seed: int, stream: str) -> BoolVector:
    """(n_observed,) bool: of each user `test_share` of the ratings, rounded down but at least one, as far as
    the user keeps `min_train` in training; users with at most `min_train` ratings are not evaluated."""
    totals = np.diff(ratings.matrix.indptr).astype(np.int64)
    wanted = np.maximum(_shares_below(totals, config.test_share), 1)
    counts = np.clip(totals - config.min_train, 0, wanted)
    keys = random_keys(ratings.n_observed, seed, stream, "per-user")
    return _last_in_rows(ratings, _ordered_in_rows(ratings, keys), counts)


def temporal_cut(ratings: Ratings, config: TemporalSplitConfig) -> BoolVector:
    """(n_observed,) bool: all ratings from the moment `cut` (Unix seconds) on; nothing is drawn.

    Without `cut`, the moment after which closest to `test_share` of the ratings lie: ratings of the same
    second stay together, so the share is exact only as far as the timestamps tell ratings apart.
    Raises DataError without timestamps.
    """
    times = _times(ratings, config.kind)
    if config.cut is not None:
        return times >= config.cut
    return _latest(times, _share_of(len(times), config.test_share))


def leave_last(ratings: Ratings, config: LeaveLastSplitConfig, *, seed: int, stream: str) -> BoolVector:
    """(n_observed,) bool: the last `n` ratings of each user with more than `n`; others are not evaluated.

    Equal timestamps of a user are put in random order, by the seed: an order by item would hold out the
    items with the highest positions. Raises DataError without timestamps.
    """
    times = _times(ratings, config.kind)
    shuffled = _ordered_in_rows(ratings, random_keys(len(times), seed, stream, "leave-last"))
    order = shuffled[_by_time(ratings, times[shuffled])]
    totals = np.diff(ratings.matrix.indptr)
    return _last_in_rows(ratings, order, np.where(totals > config.n, config.n, 0))


def users_holdout(
    ratings: Ratings, config: UsersSplitConfig, *, seed: int, stream: str
) -> tuple[BoolVector, BoolVector]:
    """Two (n_observed,) bool: the ratings of the users held out whole, and those of them that are held out.

    `test_share` of the users (rounded to the nearest integer) are unseen in training: models may read
    `fold_in_share` of their ratings and are judged by the rest (Liang et al. 2018, section 4). Only users
    with two or more ratings can be drawn, and `test_share` is of these: one rating to read and one to be
    judged by. Users with fewer are trained on. The holdout of a user is rounded down, but at least one.
    Raises DataError where no user would be evaluated or nothing be left to train on.
    """
    totals = np.diff(ratings.matrix.indptr).astype(np.int64)
    drawn = _drawn_users(totals, config.test_share, seed, stream)
    evaluated = np.repeat(drawn, totals)
    if evaluated.all():
        raise DataError(
            "split 'users' leaves no user to train on; hold out fewer of them, or load more ratings"
        )
    counts = np.clip(_shares_below(totals, 1.0 - config.fold_in_share), 1, np.maximum(totals - 1, 1))
    keys = random_keys(ratings.n_observed, seed, stream, "users", "fold-in")
    held_out = _last_in_rows(ratings, _ordered_in_rows(ratings, keys), np.where(drawn, counts, 0))
    return evaluated, held_out


def _drawn_users(totals: CountVector, share: float, seed: int, stream: str) -> BoolVector:
    """(n_users,) bool: exactly the share of the users with two or more ratings."""
    eligible = np.flatnonzero(totals >= 2)
    n_drawn = _share_of(len(eligible), share)
    if n_drawn == 0:
        raise DataError(
            f"split 'users' holds out none of {len(eligible)} users with two or more ratings; hold out "
            "more of them, or load more ratings"
        )
    keys = random_keys(len(totals), seed, stream, "users")[eligible]
    drawn = np.zeros(len(totals), dtype=bool)
    drawn[eligible[_smallest(keys, n_drawn)]] = True
    return drawn


def _share_of(total: int, share: float) -> int:
    """`share` of `total`, rounded to the nearest integer, a half upwards."""
    return int(np.floor(share * total + 0.5 + _ROUNDING))


def _shares_below(totals: CountVector, share: float) -> CountVector:
    """`share` of each of `totals`, rounded down."""
    return np.floor(share * totals + _ROUNDING).astype(np.int64)


def _smallest(keys: np.ndarray, n: int) -> BoolVector:
    """(len(keys),) bool: the `n` smallest keys; of equal ones the first."""
    mask = np.zeros(len(keys), dtype=bool)
    if n == 0:
        return mask
    last = np.partition(keys, n - 1)[n - 1]
    np.less(keys, last, out=mask)
    mask[np.flatnonzero(keys == last)[: n - np.count_nonzero(mask)]] = True
    return mask


def _ordered_in_rows(ratings: Ratings, keys: np.ndarray) -> PositionVector:
    """(n_observed,) entries row by row, within a row by their 64-bit random `keys`.

    Rows and the leading bits of the keys share one integer: sorting it is several times faster than sorting
    by both, since it is almost in order. Entries with equal leading bits, a rarity, keep their order.
    """
    row_bits = max(1, ratings.n_users.bit_length())
    rows = ratings.rows().astype(np.uint64) << np.uint64(64 - row_bits)
    return np.argsort(rows | (keys >> np.uint64(row_bits)), kind="stable")


def _by_time(ratings: Ratings, times: np.ndarray) -> PositionVector:
    """Stable order by time within each row of entries that are row by row already: one sort of row and time
    in a single integer."""
    row_bits = max(1, ratings.n_users.bit_length())
    if int(times.max(initial=0)) - int(times.min(initial=0)) >= 1 << (63 - row_bits):
        times = np.unique(times, return_inverse=True)[1]  # ranks need fewer bits than such times
    offsets = (times - times.min(initial=0)).astype(np.uint64)
    rows = ratings.rows().astype(np.uint64) << np.uint64(64 - row_bits)
    return np.argsort(rows | offsets, kind="stable")


def _last_in_rows(ratings: Ratings, order: PositionVector, counts: CountVector) -> BoolVector:
    """(n_observed,) bool: of each row the last `counts` (n_users,) entries in an `order` row by row."""
    places = np.arange(ratings.n_observed)
    first_held_out = ratings.matrix.indptr[1:] - counts
    mask = np.zeros(ratings.n_observed, dtype=bool)
    mask[order] = places >= np.repeat(first_held_out, np.diff(ratings.matrix.indptr))
    return mask


def _times(ratings: Ratings, kind: str) -> np.ndarray:
    if ratings.timestamps is None:
        raise DataError(
            f"split {kind!r} needs timestamps, and these ratings have none; name the timestamp column, "
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
