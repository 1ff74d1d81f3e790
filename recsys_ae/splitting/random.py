"""Ratings held out by chance: a share of all, folds, a share of each user's.

Each entry, in the order of the matrix, gets one raw 64-bit draw of the stream (seed, `stream`, name of the
split): the same on every machine. `stream`: "split" for the test part, "validation" for the validation part.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.rng import random_keys
from recsys_ae.splitting.parts import (
    last_in_rows,
    ordered_in_rows,
    share_of,
    shares_below,
    smallest,
    split_of_ratings,
)
from recsys_ae.splitting.split import Split
from recsys_ae.types import PositionVector


def random_holdout(ratings: Ratings, *, test_share: float, seed: int, stream: str = "split") -> Split:
    """Exactly `test_share` of all ratings (rounded to the nearest integer) are held out.

    Raises DataError where a part would be empty.
    """
    keys = random_keys(ratings.n_observed, seed, stream, "random")
    held_out = smallest(keys, share_of(ratings.n_observed, test_share))
    return split_of_ratings(ratings, held_out, "random", seed)


def k_folds(ratings: Ratings, *, folds: int, seed: int, stream: str = "split") -> Iterator[Split]:
    """`folds` splits whose holdouts are a partition of the ratings, in sizes that differ by one at most.

    Raises DataError, before the first split, where there are fewer ratings than folds.
    """
    numbers = _fold_numbers(ratings, folds, seed, stream)
    return (split_of_ratings(ratings, numbers == fold, "k-fold", seed) for fold in range(folds))


def k_fold(ratings: Ratings, *, folds: int, fold: int, seed: int, stream: str = "split") -> Split:
    """Split number `fold`, from 0, of `k_folds`."""
    return split_of_ratings(ratings, _fold_numbers(ratings, folds, seed, stream) == fold, "k-fold", seed)


def per_user_holdout(
    ratings: Ratings, *, test_share: float, seed: int, min_train: int = 1, stream: str = "split"
) -> Split:
    """Of each user `test_share` of the ratings, rounded down but at least one, as far as the user keeps
    `min_train` in training; users with at most `min_train` ratings are trained on and not evaluated.

    Raises DataError where no user has enough ratings.
    """
    totals = np.diff(ratings.matrix.indptr).astype(np.int64)
    wanted = np.maximum(shares_below(totals, test_share), 1)
    counts = np.clip(totals - min_train, 0, wanted)
    keys = random_keys(ratings.n_observed, seed, stream, "per-user")
    held_out = last_in_rows(ratings, ordered_in_rows(ratings, keys), counts)
    return split_of_ratings(ratings, held_out, "per-user", seed)


def _fold_numbers(ratings: Ratings, folds: int, seed: int, stream: str) -> PositionVector:
    """(n_observed,) the fold of each entry."""
    n = ratings.n_observed
    if n < folds:
        raise DataError(f"split 'k-fold' cannot make {folds} folds of {n} ratings; ask for fewer folds")
    order = np.argsort(random_keys(n, seed, stream, "k-fold"), kind="stable")
    numbers = np.empty(n, dtype=np.int64)
    numbers[order] = np.arange(n) * folds // n
    return numbers
