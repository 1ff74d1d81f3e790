"""What may be known of users when they are scored: one value for evaluation, serving and stored models."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ids import PLAIN_INTEGER, IdColumn, IdMap
from recsys_ae.data.ratings import Ratings, select_rows
from recsys_ae.errors import DataError, brief
from recsys_ae.types import CountVector, PositionVector

_CELLS_AT_ONCE = 1 << 25  # 128 MiB of float32 scores


@dataclass(frozen=True, slots=True)
class UserBatch:
    """Some users and what may be known of them: the only shape in which models meet users.

    `positions`: (b,) int64 in the model's user map; -1 = not seen in training.
    `history`: (b, n_items) csr_array float32, the observed entries that a model may read.
    `timestamps`: (n_observed,) int64 seconds, aligned with `history.data`; None where there are none.
    """

    positions: PositionVector
    history: csr_array
    timestamps: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.positions)

    def chosen(self, rows: PositionVector) -> UserBatch:
        """The users in these rows of the batch."""
        times = None if self.timestamps is None else self.timestamps[_places(self.history, rows)]
        return UserBatch(self.positions[rows], select_rows(self.history, rows), times)


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """The ratings that a model may read of some users, on the items of the model.

    `users`: (n_users,) ids, one for each row. `positions`: (n_users,) int64 in the model's user map, -1 for a
    user whom the model never saw. `matrix`: (n_users, n_items) csr_array float32. `timestamps`: aligned with
    `matrix.data`, or None. `n_unknown_items` distinct items with `n_dropped` ratings in all were left out,
    because the model does not know them. Raises DataError where the parts differ in length.
    """

    users: IdMap
    positions: PositionVector
    matrix: csr_array
    timestamps: np.ndarray | None = None
    n_unknown_items: int = 0
    n_dropped: int = 0

    def __post_init__(self) -> None:
        lengths = {len(self.users), len(self.positions), self.matrix.shape[0]}
        n_times = len(self.matrix.data) if self.timestamps is None else len(self.timestamps)
        if len(lengths) > 1 or n_times != len(self.matrix.data):
            raise DataError(
                f"histories of {len(self.users)} users with {len(self.positions)} positions, "
                f"{self.matrix.shape[0]} rows and {n_times} timestamps for {len(self.matrix.data)} ratings"
            )

    @classmethod
    def of(cls, ratings: Ratings, *, users: IdMap, items: IdMap) -> Histories:
        """The histories that `ratings` are for a model of these `users` and `items`. Every user stays, even
        one with nothing left to read; ratings of items that the model does not know are left out."""
        places = items.positions(ratings.items.ids, missing="negative")
        known = places[ratings.columns] >= 0
        kept = ratings.keep(known)
        order = csr_array(
            (np.arange(kept.n_observed), places[kept.columns], kept.matrix.indptr),
            shape=(ratings.n_users, len(items)),
        )
        order.sort_indices()  # ids as integers and as text are in different orders
        return cls(
            users=ratings.users,
            positions=users.positions(ratings.users.ids, missing="negative"),
            matrix=csr_array((kept.values[order.data], order.indices, order.indptr), shape=order.shape),
            timestamps=None if kept.timestamps is None else kept.timestamps[order.data],
            n_unknown_items=len(np.unique(ratings.columns[~known])),
            n_dropped=int(np.count_nonzero(~known)),
        )

    def __len__(self) -> int:
        return len(self.users)

    def lengths(self) -> CountVector:
        """(n_users,) int64: how many ratings may be read of each user."""
        return np.diff(self.matrix.indptr).astype(np.int64)

    def fingerprint(self) -> str:
        """32 hex digits of users, positions, ratings and timestamps; the same on every machine."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(json.dumps([self.users.ids.tolist(), self.matrix.shape[1]]).encode())
        for array in (self.positions, self.matrix.indptr, self.matrix.indices):
            digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        digest.update(np.ascontiguousarray(self.matrix.data, dtype="<f4").tobytes())
        if self.timestamps is not None:
            digest.update(b"t" + np.ascontiguousarray(self.timestamps, dtype="<i8").tobytes())
        return digest.hexdigest()

    def with_users(self, ids: Sequence[str | int]) -> Histories:
        """The same, and users of these ids, none of whom is there yet, of whom nothing may be read. Ratings
        are shared, not copied. Raises DataError where ids are integers, and one of these is none."""
        if not len(ids):
            return self
        own = self.users.ids
        added = IdColumn.of([str(id) for id in ids])
        if own.dtype != object:
            if odd := [id for id in added.labels if not re.match(PLAIN_INTEGER, id)]:
                raise DataError(
                    f"{brief(odd[0])} cannot be a user, as the ids of users with ratings are whole numbers; "
                    "correct it, or leave it out"
                )
            added = added.parsed()
        in_order = own.dtype != object or bool((own[:-1] < own[1:]).all())
        as_before = IdColumn(own, np.arange(len(own)), numbers_first=not in_order)
        users, places = IdColumn.joined([as_before, added]).mapped()
        counts, positions = np.zeros(len(users), dtype=np.int64), np.full(len(users), -1)
        counts[places[: len(own)]], positions[places[: len(own)]] = self.lengths(), self.positions
        starts = np.append(0, np.cumsum(counts)).astype(self.matrix.indptr.dtype)
        shape = len(users), self.matrix.shape[1]
        matrix = csr_array((self.matrix.data, self.matrix.indices, starts), shape=shape)
        return replace(self, users=users, positions=positions, matrix=matrix)

    def batch(self, rows: PositionVector) -> UserBatch:
        """The users in these rows, in their order."""
        times = None if self.timestamps is None else self.timestamps[_places(self.matrix, rows)]
        return UserBatch(self.positions[rows], select_rows(self.matrix, rows), times)

    def batches(
        self, size: int = 1024, *, rows: PositionVector | None = None
    ) -> Iterator[tuple[PositionVector, UserBatch]]:
        """Pairs of (rows, their batch), in the order of `rows` (None: all), `size` users at a time: fewer of
        a catalogue so long that their scores would not fit into 128 MiB. Memory grows neither with the
        number of users nor with that of items."""
        wanted = np.arange(len(self)) if rows is None else np.asarray(rows, dtype=np.int64)
        for chosen in blocks_of(wanted, self.matrix.shape[1], size):
            yield chosen, self.batch(chosen)


def blocks_of(rows: PositionVector, n_columns: int, size: int = 1024) -> Iterator[PositionVector]:
    """The rows in their order, `size` at a time: fewer where so many rows of `n_columns` scores would not fit
    into 128 MiB."""
    step = rows_at_once(n_columns, size)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def rows_at_once(n_columns: int, size: int) -> int:
    """`size`, or as many rows of `n_columns` scores as fit into 128 MiB; 1 at least."""
    return max(1, min(size, _CELLS_AT_ONCE // max(1, n_columns)))


def _places(matrix: csr_array, rows: PositionVector) -> PositionVector:
    """(m,) where the stored entries of `rows` stand among all stored entries, row by row."""
    starts, lengths = matrix.indptr[rows], np.diff(matrix.indptr)[rows]
    firsts = np.cumsum(lengths) - lengths
    return np.repeat(starts - firsts, lengths) + np.arange(lengths.sum())
