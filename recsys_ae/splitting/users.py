"""Users held out whole: strong generalisation."""

from __future__ import annotations

import numpy as np

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.rng import random_keys
from recsys_ae.splitting.parts import last_in_rows, ordered_in_rows, share_of, shares_below, smallest
from recsys_ae.splitting.split import Split
from recsys_ae.types import BoolVector, CountVector


def hold_out_users(
    ratings: Ratings, *, test_share: float, fold_in_share: float = 0.8, seed: int, stream: str = "split"
) -> Split:
    """`test_share` of the users (rounded to the nearest integer) are unseen in training: models may read
    `fold_in_share` of their ratings and are judged by the rest (Liang et al. 2018, section 4).

    Only users with two or more ratings can be drawn, and `test_share` is of these: one rating to read and one
    to be judged by. Users with fewer are trained on. The holdout of a user is rounded down, but at least one.
    Raises DataError where no user would be evaluated or nothing be left to train on.
    """
    totals = np.diff(ratings.matrix.indptr).astype(np.int64)
    drawn = _drawn_users(totals, test_share, seed, stream)
    counts = np.clip(shares_below(totals, 1.0 - fold_in_share), 1, np.maximum(totals - 1, 1))
    keys = random_keys(ratings.n_observed, seed, stream, "users", "fold-in")
    evaluated = np.repeat(drawn, totals)
    held_out = last_in_rows(ratings, ordered_in_rows(ratings, keys), np.where(drawn, counts, 0))
    if evaluated.all():
        raise DataError(
            "split 'users' leaves no user to train on; hold out fewer of them, or load more ratings"
        )
    return Split(
        ratings.keep(~evaluated), ratings.keep(evaluated & ~held_out), ratings.keep(held_out), "users", seed
    )


def _drawn_users(totals: CountVector, share: float, seed: int, stream: str) -> BoolVector:
    """(n_users,) bool: exactly the share of the users with two or more ratings."""
    eligible = np.flatnonzero(totals >= 2)
    n_drawn = share_of(len(eligible), share)
    if n_drawn == 0:
        raise DataError(
            f"split 'users' holds out none of {len(eligible)} users with two or more ratings; hold out "
            "more of them, or load more ratings"
        )
    keys = random_keys(len(totals), seed, stream, "users")[eligible]
    drawn = np.zeros(len(totals), dtype=bool)
    drawn[eligible[smallest(keys, n_drawn)]] = True
    return drawn
