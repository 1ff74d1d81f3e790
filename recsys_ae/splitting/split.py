"""A split and what must hold of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from recsys_ae.data.histories import Histories
from recsys_ae.data.ratings import Ratings
from recsys_ae.data.schema import outside
from recsys_ae.errors import DataError, brief
from recsys_ae.splitting.configs import SplitConfig
from recsys_ae.types import CountVector, PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Three `Ratings` on the same two id maps: what models train on, what they may read of the evaluated
    users (`fold_in`), and what they are judged by (`holdout`).

    For splits of ratings `fold_in is train`; for splits of users the evaluated users' rows of `train` are
    empty. `config` and `seed` say how the split was made. `data_fingerprint` is that of the ratings that were
    split; a validation split keeps that of the split that it was made of.
    Raises DataError if the parts differ in ids, or if `holdout` shares a cell with `train` or with `fold_in`:
    a leak cannot be made.
    """

    train: Ratings
    fold_in: Ratings
    holdout: Ratings
    config: SplitConfig
    seed: int
    data_fingerprint: str

    def __post_init__(self) -> None:
        for part in (self.fold_in, self.holdout):
            if part.users is not self.train.users or part.items is not self.train.items:
                raise DataError("the parts of a split must share their id maps: make them with Ratings.keep")
        _check_disjoint(self.train, self.holdout, "training", self.config.kind)
        if self.fold_in is not self.train:
            _check_disjoint(self.fold_in, self.holdout, "fold-in", self.config.kind)

    def __repr__(self) -> str:
        parts = f"train {self.train.n_observed}, holdout {self.holdout.n_observed} {self.train.feedback}"
        return f"Split({self.config.kind}, seed {self.seed}: {parts})"

    @property
    def of_users(self) -> bool:
        """Whether the evaluated users are unseen in training (strong generalisation)."""
        return self.fold_in is not self.train

    @property
    def evaluated_users(self) -> PositionVector:
        """(n,) positions of the users with at least one holdout rating."""
        return np.flatnonzero(_counts(self.holdout) > 0)

    @property
    def cold_users(self) -> int:
        """How many evaluated users have nothing in `fold_in`."""
        return int((_counts(self.fold_in)[self.evaluated_users] == 0).sum())

    @property
    def cold_items(self) -> int:
        """How many distinct holdout items were never rated in `train`."""
        return int((~self.trained_items()[np.unique(self.holdout.columns)]).sum())

    @property
    def outside_scale(self) -> int:
        """How many holdout ratings lie outside the limits of `train`: its declared scale, else its range.
        None of counts and events."""
        if self.train.feedback != "ratings" or not self.train.n_observed:
            return 0
        return int(np.count_nonzero(outside(self.holdout.values, self.train.limits())))

    def trained_items(self) -> np.ndarray:
        """(n_items,) bool: rated at least once in `train`."""
        return np.bincount(self.train.columns, minlength=self.train.n_items) > 0

    def histories(self) -> Histories:
        """All that may be read of every user, one row each in the order of the user map: training ratings,
        and the fold-in ratings of users held out, who stand at position -1."""
        everyone = np.arange(self.train.n_users)
        if not self.of_users:
            return Histories(self.train.users, everyone, self.train.matrix, self.train.timestamps)
        read = self.train.joined(self.fold_in)
        unseen = (_counts(self.fold_in) > 0) | (_counts(self.holdout) > 0)
        return Histories(self.train.users, np.where(unseen, -1, everyone), read.matrix, read.timestamps)

    def fingerprint(self) -> str:
        """32 hex digits of the three parts; equal only for the same split of the same data."""
        trained_on = self.train.fingerprint()
        read = trained_on if self.fold_in is self.train else self.fold_in.fingerprint()
        digest = hashlib.blake2b(digest_size=16)
        for part in (trained_on, read, self.holdout.fingerprint()):
            digest.update(part.encode())
        return digest.hexdigest()


def _counts(ratings: Ratings) -> CountVector:
    """(n_users,) how many ratings each user has."""
    return np.diff(ratings.matrix.indptr)


def _cells(ratings: Ratings) -> np.ndarray:
    """(n_observed,) int64 row * n_items + column, ascending."""
    cells = ratings.rows() * ratings.n_items + ratings.columns
    return np.sort(cells, kind="stable")  # linear where they are in order already, as they should be


def _check_disjoint(known: Ratings, holdout: Ratings, word: str, kind: str) -> None:
    if known.n_observed == 0:
        return
    hidden, seen = _cells(holdout), _cells(known)
    places = np.minimum(np.searchsorted(seen, hidden), len(seen) - 1)
    shared = hidden[seen[places] == hidden]
    if len(shared):
        row, column = divmod(int(shared[0]), holdout.n_items)
        user, item = holdout.users.ids.item(row), holdout.items.ids.item(column)
        raise DataError(
            f"split {kind!r} leaks: {len(shared)} {word} ratings are also in the holdout, the first is user "
            f"{brief(user)}, item {brief(item)}; give each rating to one part"
        )
