"""What is read from files before it becomes ratings, and what its values must hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from recsys_ae.data.columns import Reading
from recsys_ae.data.configs import Feedback
from recsys_ae.data.ids import IdColumn
from recsys_ae.errors import DataError
from recsys_ae.types import BoolVector, PositionVector

Where = Callable[[int], str]  # index of a rating as it was read -> where it stands: "ratings.csv, line 7"

LAST_TIMESTAMP = 253_402_300_799  # the end of the year 9999; beyond it stand milliseconds
SHOWN = 3  # offenders that a sentence names


@dataclass(frozen=True, slots=True, eq=False)
class Triples:
    """The rows of one or more files, in their order, not yet checked.

    `values`: (n,) float64, NaN where the rating is missing; None if there is no rating column.
    `timestamps`: (n,) float64 or int64 seconds, NaN where missing; None if they are not read.
    `reading`: what the columns were read as.
    """

    users: IdColumn
    items: IdColumn
    values: np.ndarray | None
    timestamps: np.ndarray | None
    where: Where
    reading: Reading

    def __len__(self) -> int:
        return len(self.users)

    def chosen(self, rows: PositionVector) -> Triples:
        """Only these rows, which are known by where they stand among all."""
        return replace(
            self,
            users=self.users.chosen(rows),
            items=self.items.chosen(rows),
            values=None if self.values is None else self.values[rows],
            timestamps=None if self.timestamps is None else self.timestamps[rows],
            where=lambda index: self.where(int(rows[index])),
        )

    @classmethod
    def joined(cls, parts: Sequence[Triples]) -> Triples:
        """The rows of parts that were read alike, one part after the other."""
        first, *others = parts
        if not others:
            return first
        starts = np.cumsum([0, *(len(part) for part in parts)])

        def where(index: int) -> str:
            number = int(np.searchsorted(starts, index, side="right")) - 1
            return parts[number].where(index - int(starts[number]))

        return cls(
            IdColumn.joined([part.users for part in parts]),
            IdColumn.joined([part.items for part in parts]),
            _joined([part.values for part in parts]),
            _joined([part.timestamps for part in parts]),
            where,
            first.reading,
        )


def _joined(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [array for array in arrays if array is not None]
    return np.concatenate(known) if len(known) == len(arrays) else None


def rating_values(column: pa.ChunkedArray, where: Where, unit: str) -> np.ndarray:
    """(n,) float64. Raises DataError where a rating is empty, which stands in a `unit` of its own."""
    if column.null_count:
        empty = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise DataError(f"{where(empty)}: the rating is empty; give one or remove the {unit}")
    return column.cast(pa.float64()).to_numpy()


def row_of_input(index: int) -> str:
    """Where a rating stands that came from no file; rows are counted from 0."""
    return f"row {index}"


def check_ids(column: IdColumn, role: str, where: Where) -> None:
    """Raises DataError where an id is empty."""
    empty = column.empty_rows()
    if len(empty):
        article = "an" if role == "item" else "a"
        raise DataError(
            f"{where(int(empty[0]))}: the {role} id is empty{_more(len(empty))}; give each rating "
            f"{article} {role}"
        )


def check_values(
    values: np.ndarray, scale: tuple[float, float] | None, where: Where, feedback: Feedback = "ratings"
) -> np.ndarray:
    """(n,) float32 ratings. Raises DataError where one is not finite, too large, or outside `scale`, and at a
    negative count."""
    try:
        ratings = np.asarray(values, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"ratings must be numbers: {error}") from error
    with np.errstate(over="ignore"):
        narrow = ratings.astype(np.float32) + np.float32(0)  # minus zero becomes zero
    bad = np.flatnonzero(~np.isfinite(narrow))
    if len(bad):
        raise DataError(
            _offenders(ratings, bad, where, "ratings must be finite numbers; mend or remove these rows")
        )
    if scale is not None:
        off = np.flatnonzero(outside(narrow, scale))
        if len(off):
            bounds = f"outside the scale {scale[0]:g} to {scale[1]:g}"
            raise DataError(
                _offenders(ratings, off, where, f"{bounds}; mend these rows or declare another scale")
            )
    if feedback == "counts" and len(negative := np.flatnonzero(narrow < 0)):
        advice = "counts must not be negative; mend these rows or set feedback to ratings"
        raise DataError(_offenders(ratings, negative, where, advice, what="count"))
    return narrow


def outside(values: np.ndarray, limits: tuple[float, float]) -> BoolVector:
    """(n,) bool: whether float32 ratings lie below or above the limits, by more than the rounding of 32 bits:
    ratings that were scaled, such as 5 · 0.001, are not off a scale that ends at 0.005."""
    low, high = np.float32(limits[0]), np.float32(limits[1])
    slack = 2 * np.spacing(np.maximum(abs(low), abs(high)))
    return (values < low - slack) | (values > high + slack)


def check_timestamps(timestamps: np.ndarray, where: Where) -> np.ndarray:
    """(n,) int64 seconds, fractions cut off. Raises DataError where one is missing, negative (some sets write
    -1 for "unknown", which must not be taken for a time) or no Unix second at all."""
    times = np.asarray(timestamps)
    if times.dtype.kind not in "iuf":
        raise DataError("timestamps must be numbers: seconds since 1970, UTC")
    bad = np.flatnonzero(~((times >= 0) & (times <= LAST_TIMESTAMP)))
    if not len(bad):
        _check_no_dates(times, where)
        return times.astype(np.int64)
    first = times[bad[0]]
    what = "missing" if first != first else f"{first:.15g}"
    hint = "; milliseconds must be divided by 1000" if first > LAST_TIMESTAMP else ""
    raise DataError(
        f"{where(int(bad[0]))}: the timestamp is {what}{_more(len(bad))}, and not a Unix second since "
        f'1970{hint}; read none (columns.timestamp: "") or another column'
    )


def _check_no_dates(times: np.ndarray, where: Where) -> None:
    """Raises DataError where all are numbers such as 20130403, which are dates rather than seconds."""
    if not len(times) or times.min() < 19_000_101 or times.max() > 21_001_231:
        return
    months, days = times // 100 % 100, times % 100
    if ((months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)).all():
        raise DataError(
            f"{where(0)}: the timestamp is {times[0]:.15g}, which may be a date or Unix seconds; "
            'write dates as 2013-04-03, or read none (columns.timestamp: "")'
        )


def _offenders(
    values: np.ndarray, bad: np.ndarray, where: Where, advice: str, *, what: str = "rating"
) -> str:
    """The first offenders with place and value; after the first, the place without the file."""
    first, *others = (where(int(row)) for row in bad[:SHOWN])
    file = first.partition(", ")[0] + ", "
    shown = [f"{first}: the {what} is {_spelt(values[bad[0]])}"]
    shown += [
        f"{_spelt(values[row])} at {place.removeprefix(file)}"
        for row, place in zip(bad[1:], others, strict=False)
    ]
    return f"{', '.join(shown)}{_more(len(bad), SHOWN)}, {advice}"


def _spelt(value: float) -> str:
    return "not a number (nan)" if value != value else f"{value:.9g}"


def _more(n: int, shown: int = 1) -> str:
    return f" (and {n - shown} more like it)" if n > shown else ""
