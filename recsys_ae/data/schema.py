"""What columns mean, how they are usually called, and what their values must hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from recsys_ae.data.configs import ColumnsConfig
from recsys_ae.data.ids import IdColumn
from recsys_ae.errors import DataError

Where = Callable[[int], str]  # index of a rating as it was read -> where it stands: "ratings.csv, line 7"

ROLES = ("user", "item", "rating", "timestamp")  # also the order of the columns of files without a header
USUAL_NAMES = {  # lower case, without anything but letters and digits
    "user": ("user", "userid", "uid", "reviewerid", "customerid"),
    "item": (
        "item",
        "itemid",
        "iid",
        "movieid",
        "bookid",
        "artistid",
        "songid",
        "trackid",
        "productid",
        "asin",
    ),
    "rating": ("rating", "ratings", "weight", "score", "stars", "value"),
    "timestamp": ("timestamp", "time", "ts", "unixtime", "unixreviewtime"),
}
LAST_TIMESTAMP = 253_402_300_799  # the end of the year 9999; beyond it stand milliseconds
SHOWN = 3  # offenders that a sentence names


@dataclass(frozen=True, slots=True, eq=False)
class Triples:
    """The rows of one or more files, in their order, not yet checked.

    `values`: (n,) float64, NaN where the rating is missing; None if there is no rating column.
    `timestamps`: (n,) float64 or int64 seconds, NaN where missing; None if they are not read.
    """

    users: IdColumn
    items: IdColumn
    values: np.ndarray | None
    timestamps: np.ndarray | None
    where: Where

    def __len__(self) -> int:
        return len(self.users)


def assign_roles(names: Sequence[str], columns: ColumnsConfig, path: object) -> dict[str, int]:
    """Role -> place of its column among `names`; without rating or timestamp where there is none, or where
    `columns` says "". Raises DataError where a named or needed column is missing, or two could be meant."""
    found = {}
    for role in ROLES:
        wanted = getattr(columns, role)
        if wanted == "":
            continue
        places = _places(names, role, wanted)
        if len(places) > 1:
            could = [repr(names[place]) for place in places]
            differ = len(set(could)) == len(could)
            advice = f"choose one with columns.{role}" if differ else "rename one of them"
            raise DataError(f"{path}: the columns {', '.join(could)} could all hold the {role}; {advice}")
        if places:
            found[role] = places[0]
        elif wanted is not None or role in ("user", "item"):
            raise DataError(_missing(names, role, wanted, path))
    return found


def _places(names: Sequence[str], role: str, wanted: str | None) -> list[int]:
    if wanted is not None:
        return [place for place, name in enumerate(names) if name == wanted]
    plain = ["".join(c for c in name.lower() if c.isalnum()) for name in names]
    return [place for place, name in enumerate(plain) if name in USUAL_NAMES[role]]


def _missing(names: Sequence[str], role: str, wanted: str | None, path: object) -> str:
    present = ", ".join(repr(name) for name in names[:20]) + (", …" if len(names) > 20 else "")
    what = f"no column {wanted!r}" if wanted else f"no column that is usually called {role}"
    return f"{path}: {what} for the {role}; its columns are {present}: name one with columns.{role}"


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
        raise DataError(
            f"{where(int(empty[0]))}: the {role} id is empty{_more(len(empty))}; give each rating a {role}"
        )


def check_values(values: np.ndarray, scale: tuple[float, float] | None, where: Where) -> np.ndarray:
    """(n,) float32 ratings. Raises DataError where one is not finite, too large, or outside `scale`."""
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
        outside = np.flatnonzero((ratings < scale[0]) | (ratings > scale[1]))
        if len(outside):
            bounds = f"outside the scale {scale[0]:g} to {scale[1]:g}"
            raise DataError(
                _offenders(ratings, outside, where, f"{bounds}; mend these rows or declare another scale")
            )
    return narrow


def check_timestamps(timestamps: np.ndarray, where: Where) -> np.ndarray:
    """(n,) int64 seconds, fractions cut off. Raises DataError where one is missing, negative (some sets write
    -1 for "unknown", which must not be taken for a time) or no Unix second at all."""
    times = np.asarray(timestamps)
    if times.dtype.kind not in "iuf":
        raise DataError("timestamps must be numbers: seconds since 1970, UTC")
    bad = np.flatnonzero(~((times >= 0) & (times <= LAST_TIMESTAMP)))
    if not len(bad):
        return times.astype(np.int64)
    first = times[bad[0]]
    what = "missing" if first != first else f"{first:.15g}"
    hint = "; milliseconds must be divided by 1000" if first > LAST_TIMESTAMP else ""
    raise DataError(
        f"{where(int(bad[0]))}: the timestamp is {what}{_more(len(bad))}, and not a Unix second since "
        f'1970{hint}; read none (columns.timestamp: "") or another column'
    )


def _offenders(values: np.ndarray, bad: np.ndarray, where: Where, what: str) -> str:
    """The first offenders with place and value; after the first, the place without the file."""
    first, *others = (where(int(row)) for row in bad[:SHOWN])
    file = first.partition(", ")[0] + ", "
    shown = [f"{first}: the rating is {_spelt(values[bad[0]])}"]
    shown += [
        f"{_spelt(values[row])} at {place.removeprefix(file)}"
        for row, place in zip(bad[1:], others, strict=False)
    ]
    return f"{', '.join(shown)}{_more(len(bad), SHOWN)}, {what}"


def _spelt(value: float) -> str:
    return "not a number (nan)" if value != value else f"{value:.9g}"


def _more(n: int, shown: int = 1) -> str:
    return f" (and {n - shown} more like it)" if n > shown else ""
