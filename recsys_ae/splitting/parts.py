"""What all splitters share: how many ratings a share is, how entries are drawn, and parts made of masks."""

from __future__ import annotations

import numpy as np

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.splitting.split import Split
from recsys_ae.types import BoolVector, CountVector, PositionVector

_ROUNDING = 1e-9  # 0.29 * 100 is 28.999… in floating point, and means 29


def share_of(total: int, share: float) -> int:
    """`share` of `total`, rounded to the nearest integer, a half upwards."""
    return int(np.floor(share * total + 0.5 + _ROUNDING))


def shares_below(totals: CountVector, share: float) -> CountVector:
    """`share` of each of `totals`, rounded down."""
    return np.floor(share * totals + _ROUNDING).astype(np.int64)


def smallest(keys: np.ndarray, n: int) -> BoolVector:
    """(len(keys),) bool: the `n` smallest keys; of equal ones the first."""
    mask = np.zeros(len(keys), dtype=bool)
    if n == 0:
        return mask
    last = np.partition(keys, n - 1)[n - 1]
    np.less(keys, last, out=mask)
    mask[np.flatnonzero(keys == last)[: n - np.count_nonzero(mask)]] = True
    return mask


def ordered_in_rows(ratings: Ratings, keys: np.ndarray) -> PositionVector:
    """(n_observed,) entries row by row, within a row by their 64-bit random `keys`.

    Rows and the leading bits of the keys share one integer: sorting it is several times faster than sorting
    by both, since it is almost in order. Entries with equal leading bits, a rarity, keep their order.
    """
    row_bits = max(1, ratings.n_users.bit_length())
    rows = ratings.rows().astype(np.uint64) << np.uint64(64 - row_bits)
    return np.argsort(rows | (keys >> np.uint64(row_bits)), kind="stable")


def last_in_rows(ratings: Ratings, order: PositionVector, counts: CountVector) -> BoolVector:
    """(n_observed,) bool: of each row the last `counts` (n_users,) entries in an `order` row by row."""
    places = np.arange(ratings.n_observed)
    first_held_out = ratings.matrix.indptr[1:] - counts
    mask = np.zeros(ratings.n_observed, dtype=bool)
    mask[order] = places >= np.repeat(first_held_out, np.diff(ratings.matrix.indptr))
    return mask


def split_of_ratings(ratings: Ratings, held_out: BoolVector, name: str, seed: int) -> Split:
    """The split that holds out the entries where `held_out` (n_observed,) is true; what remains is both
    trained on and read. DataError where either part would be empty."""
    _check_parts(int(np.count_nonzero(held_out)), ratings.n_observed, name)
    train = ratings.keep(~held_out)
    return Split(train, train, ratings.keep(held_out), name, seed)


def _check_parts(n_held_out: int, n_observed: int, name: str) -> None:
    if n_held_out == 0:
        raise DataError(
            f"split {name!r} holds out none of {n_observed} ratings; hold out more of them, or load "
            "more ratings"
        )
    if n_held_out == n_observed:
        raise DataError(
            f"split {name!r} leaves none of {n_observed} ratings to train on; hold out fewer of "
            "them, or load more ratings"
        )
