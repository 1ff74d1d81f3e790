"""Ratings: the value that everything else reads."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Literal, assert_never

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.configs import Duplicates, Feedback
from recsys_ae.data.ids import IdColumn, IdMap
from recsys_ae.data.schema import Where, check_ids, check_timestamps, check_values, row_of_input
from recsys_ae.errors import DataError, brief
from recsys_ae.types import BoolVector, PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class Ratings:
    """Users' ratings of items. *Observed means stored*: a stored 0 is a rating, an absent cell is unknown.

    `matrix`: (n_users, n_items) csr_array float32, columns sorted within rows, no duplicates.
    `timestamps`: (n_observed,) int64 seconds UTC, aligned with `matrix.data`; None where there are none.
    `scale`: declared (lowest, highest) rating, None where none is; `limits` then tells the observed range.
    `feedback`: what the values are: ratings, counts (confidence), or events, each of value 1.
    Arrays are shared, never to be written to.
    """

    matrix: csr_array
    users: IdMap
    items: IdMap
    timestamps: np.ndarray | None = None
    scale: tuple[float, float] | None = None
    feedback: Feedback = "ratings"

    def __post_init__(self) -> None:
        if self.matrix.shape != (len(self.users), len(self.items)):
            raise DataError(
                f"matrix of shape {self.matrix.shape} for {len(self.users)} users and {len(self.items)} items"
            )
        if self.timestamps is not None and len(self.timestamps) != self.n_observed:
            raise DataError(f"{len(self.timestamps)} timestamps for {self.n_observed} ratings")

    def __repr__(self) -> str:
        values = " of {:g} to {:g}".format(*self.limits()) if self.n_observed else ""
        return (
            f"Ratings({self.n_observed} {self.feedback}{values}: {self.n_users} users, {self.n_items} items)"
        )

    @classmethod
    def from_triples(
        cls,
        users,
        items,
        values,
        *,
        timestamps=None,
        scale: tuple[float, float] | None = None,
        feedback: Feedback = "ratings",
        duplicates: Duplicates = "error",
        where: Where = row_of_input,
    ) -> Ratings:
        """From n ids (integers or text, sequences or IdColumn), n values and n timestamps or None.

        Raises DataError at an empty id, a value that is not finite or outside `scale`, a negative count, a
        timestamp that is no Unix second, arrays of different lengths, and with `duplicates="error"` at a pair
        that occurs again. Other `duplicates` keep the first or last in the order of the input, the mean, or,
        of counts and events, the sum, which is a count.
        `where(i)` tells in errors where the i-th rating stands."""
        columns = {"user": IdColumn.of(users), "item": IdColumn.of(items)}
        values = np.asarray(values)
        n = len(values)
        for what, array in {**columns, "timestamp": timestamps}.items():
            if array is not None and len(array) != n:
                raise DataError(f"{len(array)} {what}s for {n} ratings; give as many of each")
        for role, column in columns.items():
            check_ids(column, role, where)
        if duplicates == "sum" and feedback == "ratings":
            raise DataError(
                f"ratings of a pair cannot be summed; set duplicates to {ways_out(feedback)}, or feedback to "
                "counts"
            )
        scale = None if scale is None else (float(scale[0]), float(scale[1]))
        values = check_values(values, scale, where, feedback)
        times = None if timestamps is None else check_timestamps(timestamps, where)
        (user_map, rows), (item_map, places) = columns["user"].mapped(), columns["item"].mapped()
        shape = len(user_map), len(item_map)
        cells = rows * shape[1] + places
        order = np.argsort(cells, kind="stable")  # by user, item, then place in the input
        cells, values, times = cells[order], values[order], None if times is None else times[order]
        begins = np.append(True, cells[1:] != cells[:-1])[: len(cells)]  # the first rating of a pair
        if not begins.all():
            if duplicates == "error":
                raise DataError(_repeated(order, begins, columns, feedback, where))
            cells, values, times = _once(cells, values, times, begins, duplicates)
        if duplicates == "sum":
            feedback = "counts"
        return cls(_to_csr(cells, values, shape), user_map, item_map, times, scale, feedback)

    @property
    def n_users(self) -> int:
        return self.matrix.shape[0]

    @property
    def n_items(self) -> int:
        return self.matrix.shape[1]

    @property
    def n_observed(self) -> int:
        return len(self.matrix.data)

    @property
    def values(self) -> np.ndarray:
        """(n_observed,) float32 ratings in the order of the matrix."""
        return self.matrix.data

    @property
    def columns(self) -> np.ndarray:
        """(n_observed,) item position of each observed entry."""
        return self.matrix.indices

    def rows(self) -> PositionVector:
        """(n_observed,) user position of each observed entry."""
        return entry_rows(self.matrix)

    def mean(self) -> float:
        """Mean rating; DataError where nothing is observed."""
        if self.n_observed == 0:
            raise DataError("no ratings left: loosen the filters or the split")
        return float(self.values.mean(dtype=np.float64))

    def limits(self) -> tuple[float, float]:
        """The declared scale, else the observed range, of ratings that are not empty."""
        return self.scale or (float(self.values.min()), float(self.values.max()))

    def keep(self, mask: BoolVector) -> Ratings:
        """The observed entries where `mask` (n_observed,) is true; same shape and ids."""
        kept = np.concatenate([[0], np.cumsum(mask)]).astype(self.matrix.indptr.dtype)
        matrix = csr_array(
            (self.values[mask], self.columns[mask], kept[self.matrix.indptr]), shape=self.matrix.shape
        )
        times = None if self.timestamps is None else self.timestamps[mask]
        return replace(self, matrix=matrix, timestamps=times)

    def joined(self, other: Ratings) -> Ratings:
        """The observed entries of both, which are of the same users and items and share no cell."""
        cells = np.concatenate([part.rows() * part.n_items + part.columns for part in (self, other)])
        order = np.argsort(cells, kind="stable")
        values = np.concatenate([self.values, other.values])[order]
        columns = np.concatenate([self.columns, other.columns])[order]
        times = None
        if self.timestamps is not None and other.timestamps is not None:
            times = np.concatenate([self.timestamps, other.timestamps])[order]
        starts = self.matrix.indptr + other.matrix.indptr
        matrix = csr_array((values, columns, starts), shape=self.matrix.shape)
        return replace(self, matrix=matrix, timestamps=times)

    def with_scale(self, scale: tuple[float, float] | None) -> Ratings:
        """The same ratings, declared to lie between these bounds."""
        return replace(self, scale=scale)

    def transposed(self) -> Ratings:
        """Users and items change places; timestamps follow."""
        order = csr_array(
            (np.arange(self.n_observed), self.columns, self.matrix.indptr), shape=self.matrix.shape
        ).T.tocsr()
        order.sort_indices()
        matrix = csr_array((self.values[order.data], order.indices, order.indptr), shape=order.shape)
        times = None if self.timestamps is None else self.timestamps[order.data]
        return Ratings(matrix, self.items, self.users, times, self.scale, self.feedback)

    def fingerprint(self) -> str:
        """32 hex digits of ids, structure, values, timestamps, declared scale and feedback; the same on every
        machine."""
        digest = hashlib.blake2b(digest_size=16)
        for ids in (self.users.ids, self.items.ids):
            digest.update(json.dumps(ids.tolist()).encode())  # tells 7 from "7", and where an id ends
        for array, dtype in ((self.matrix.indptr, "<i8"), (self.columns, "<i8"), (self.values, "<f4")):
            digest.update(np.ascontiguousarray(array, dtype=dtype).tobytes())
        if self.timestamps is not None:
            digest.update(b"t" + np.ascontiguousarray(self.timestamps, dtype="<i8").tobytes())
        if self.scale is not None or self.feedback != "ratings":
            scale = None if self.scale is None else [float(bound) for bound in self.scale]
            digest.update(json.dumps([scale, self.feedback]).encode())
        return digest.hexdigest()


def ways_out(feedback: Feedback) -> str:
    """What may become of repeated pairs, in words."""
    return "first, last or mean" if feedback == "ratings" else "sum, first, last or mean"


def select_rows(matrix: csr_array, rows: PositionVector) -> csr_array:
    """(len(rows), n_columns) csr_array of the rows; stored zeros stay stored."""
    return matrix[np.asarray(rows)]


def entry_rows(matrix: csr_array) -> PositionVector:
    """(n_observed,) int64 row of each stored entry, in the order of the matrix."""
    return np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))


def _to_csr(cells: PositionVector, values: np.ndarray, shape: tuple[int, int]) -> csr_array:
    """From sorted cells; 32-bit indices where they suffice, which halves the memory of large sets."""
    kind = np.int32 if max(*shape, len(values)) <= np.iinfo(np.int32).max else np.int64
    starts = np.searchsorted(cells, np.arange(shape[0] + 1) * shape[1])
    return csr_array((values, (cells % shape[1]).astype(kind), starts.astype(kind)), shape=shape)


def _once(
    cells: PositionVector,
    values: np.ndarray,
    times: np.ndarray | None,
    begins: BoolVector,
    duplicates: Literal["first", "last", "mean", "sum"],
) -> tuple[PositionVector, np.ndarray, np.ndarray | None]:
    """Each cell once: with its first or last rating in the order of the input (not of the timestamps), or
    with the mean or the sum and the latest timestamp."""
    starts = np.flatnonzero(begins)
    match duplicates:
        case "first":
            kept = starts
        case "last":
            kept = np.append(starts[1:], len(cells)) - 1
        case "mean" | "sum":
            shares = 1 if duplicates == "sum" else np.diff(np.append(starts, len(cells)))
            merged = np.add.reduceat(values.astype(np.float64), starts) / shares
            latest = None if times is None else np.maximum.reduceat(times, starts)
            return cells[starts], merged.astype(np.float32), latest
        case _:
            assert_never(duplicates)
    return cells[kept], values[kept], None if times is None else times[kept]


def _repeated(
    order: PositionVector,
    begins: BoolVector,
    columns: dict[str, IdColumn],
    feedback: Feedback,
    where: Where,
) -> str:
    """The sentence on the first rating in the input whose pair occurred before."""
    n_repeats = int(np.count_nonzero(~begins))
    later = order[~begins].min()
    place = np.flatnonzero(order == later)[0]
    earlier = order[:place][begins[:place]][-1]
    more = f" ({n_repeats} ratings repeat a pair)" if n_repeats > 1 else ""
    return (
        f"{where(later)}: user {brief(columns['user'][later])} has rated item "
        f"{brief(columns['item'][later])} before, at {where(earlier)}{more}; "
        f"set duplicates to {ways_out(feedback)}"
    )
