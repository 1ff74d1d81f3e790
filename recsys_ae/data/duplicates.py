"""What becomes of a user's second rating of the same item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np

from recsys_ae.data.configs import Duplicates
from recsys_ae.types import BoolVector, PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Checked triples: (n,) int64 positions `rows` and `columns`, float32 `values`, int64 `times` or None."""

    rows: PositionVector
    columns: PositionVector
    values: np.ndarray
    times: np.ndarray | None

    def take(self, chosen: PositionVector) -> Cells:
        times = None if self.times is None else self.times[chosen]
        return Cells(self.rows[chosen], self.columns[chosen], self.values[chosen], times)


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """`order`: (n,) places by user, item, then place in the input; `first`: (n,) bool, a pair begins."""

    order: PositionVector
    first: BoolVector

    @classmethod
    def of(cls, cells: Cells) -> Grouping:
        width = int(cells.columns.max(initial=0)) + 1
        key = cells.rows * width + cells.columns
        order = np.argsort(key, kind="stable")
        first = np.ones(len(order), dtype=bool)
        first[1:] = np.diff(key[order]) != 0
        return cls(order, first)

    @property
    def n_repeats(self) -> int:
        """How many triples repeat an earlier pair."""
        return len(self.first) - int(self.first.sum())

    def first_repeat(self) -> tuple[int, int]:
        """(earlier, later) places in the input: the first triple whose pair occurred before, and where."""
        later = int(self.order[~self.first].min())
        place = np.flatnonzero(self.order == later)[0]
        return int(self.order[: place + 1][self.first[: place + 1]][-1]), later

    def once(self, cells: Cells, duplicates: Duplicates) -> Cells:
        """The triples by user, then item, each pair once: its first or last rating in the order of the input
        (not of the timestamps), or the mean with the latest timestamp. `error` expects no repeats."""
        starts = np.flatnonzero(self.first)
        match duplicates:
            case "error" | "first":
                return cells.take(self.order[starts])
            case "last":
                return cells.take(
                    self.order[np.flatnonzero(np.append(self.first[1:], True)[: len(self.order)])]
                )
            case "mean":
                return _averaged(cells.take(self.order), starts)
            case _:
                assert_never(duplicates)


def _averaged(cells: Cells, starts: PositionVector) -> Cells:
    if len(starts) == len(cells.rows):
        return cells
    counts = np.diff(np.append(starts, len(cells.rows)))
    means = np.add.reduceat(cells.values.astype(np.float64), starts) / counts
    times = None if cells.times is None else np.maximum.reduceat(cells.times, starts)
    return replace(cells.take(starts), values=means.astype(np.float32), times=times)
