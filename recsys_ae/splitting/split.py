"""A split and what must hold of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recsys_ae.data.histories import Histories
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.types import PositionVector

Splitter = Callable[[Ratings, int], "Split"]  # (ratings, seed) -> Split


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Three `Ratings` on the same two id maps: what models train on, what they may read of the evaluated
    users (`fold_in`), and what they are judged by (`holdout`).

    For splits of ratings `fold_in is train`; for splits of users the evaluated users' rows of `train` are
    empty. Raises DataError if the parts differ in ids, or if `holdout` shares a cell with `train` or with
    `fold_in`: a leak cannot be made.
    """

    train: Ratings
    fold_in: Ratings
    holdout: Ratings
    name: str
    seed: int

    def __post_init__(self) -> None:
        for part in (self.fold_in, self.holdout):
            if part.users is not self.train.users or part.items is not self.train.items:
                raise DataError("the parts of a split must share their id maps: make them with Ratings.keep")
        _check_disjoint(self.train, self.holdout, "training", self.name)
        if self.fold_in is not self.train:
            _check_disjoint(self.fold_in, self.holdout, "fold-in", self.name)

    @property
    def of_users(self) -> bool:
        """Whether the evaluated users are unseen in training (strong generalisation)."""
        return self.fold_in is not self.train

    @property
    def evaluated_users(self) -> PositionVector:
        """(n,) positions of the users with at least one holdout rating."""
        return np.flatnonzero(np.diff(self.holdout.matrix.indptr) > 0)

    @property
    def cold_users(self) -> int:
        """How many evaluated users have nothing in `fold_in`."""
        known = np.diff(self.fold_in.matrix.indptr) > 0
        return int((~known[self.evaluated_users]).sum())

    @property
    def cold_items(self) -> int:
        """How many distinct holdout items were never rated in `train`."""
        return int((~self.trained_items()[np.unique(self.holdout.columns)]).sum())

    def trained_items(self) -> np.ndarray:
        """(n_items,) bool: rated at least once in `train`."""
        return np.bincount(self.train.columns, minlength=self.train.n_items) > 0

    def histories(self) -> Histories:
        """All that may be read of every user, one row each in the order of the user map: training ratings,
        and the fold-in ratings of users held out, who stand at position -1."""
        if not self.of_users:
            everyone = np.arange(self.train.n_users)
            return Histories(self.train.users, everyone, self.train.matrix, self.train.timestamps)
        read = self.train.joined(self.fold_in)
        held_out = np.diff(self.fold_in.matrix.indptr) + np.diff(self.holdout.matrix.indptr) > 0
        positions = np.where(held_out, -1, np.arange(self.train.n_users))
        return Histories(self.train.users, positions, read.matrix, read.timestamps)

    def validation(self, splitter: Splitter) -> Split:
        """The training part split again: the place to choose epochs, settings and models."""
        return splitter(self.train, self.seed)

    def fingerprint(self) -> str:
        """32 hex digits of the three parts; equal only for the same split of the same data."""
        trained_on = self.train.fingerprint()
        read = trained_on if self.fold_in is self.train else self.fold_in.fingerprint()
        digest = hashlib.blake2b(digest_size=16)
        for part in (trained_on, read, self.holdout.fingerprint()):
            digest.update(part.encode())
        return digest.hexdigest()


def _cells(ratings: Ratings) -> np.ndarray:
    """(n_observed,) int64 row * n_items + column, ascending."""
    cells = ratings.rows() * ratings.n_items + ratings.columns
    return np.sort(cells, kind="stable")  # linear where they are in order already, as they should be


def _check_disjoint(known: Ratings, holdout: Ratings, word: str, name: str) -> None:
    if known.n_observed == 0:
        return
    hidden, seen = _cells(holdout), _cells(known)
    places = np.minimum(np.searchsorted(seen, hidden), len(seen) - 1)
    shared = hidden[seen[places] == hidden]
    if len(shared):
        row, column = divmod(int(shared[0]), holdout.n_items)
        user, item = holdout.users.ids.item(row), holdout.items.ids.item(column)
        raise DataError(
            f"split {name!r} leaks: {len(shared)} {word} ratings are also in the holdout, the first is user "
            f"{user!r}, item {item!r}; give each rating to one part"
        )
