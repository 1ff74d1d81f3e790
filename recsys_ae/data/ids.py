"""External ids on one side, positions on the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from recsys_ae.errors import DataError, UnknownIdError
from recsys_ae.types import IdVector, PositionVector


@dataclass(frozen=True, eq=False)
class IdMap:
    """A frozen, sorted array of external ids; the place of an id in it is its position.

    `ids`: (n,) unique, either int64 or str (object dtype). Sorted, so that the order of the rows of a
    file decides nothing. Raises DataError on repeated or unsorted ids.
    """

    ids: IdVector

    def __post_init__(self) -> None:
        if len(self.ids) > 1 and not (self.ids[:-1] < self.ids[1:]).all():
            raise DataError("ids of an IdMap must be unique and sorted; use IdMap.of(values)")
        self.ids.flags.writeable = False

    @classmethod
    def of(cls, values) -> IdMap:
        """The distinct ids among `values`: int64 if all are integers, else str."""
        return cls(np.unique(as_ids(values)))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self.ids)

    def positions(self, ids, *, missing: Literal["error", "negative"] = "error") -> PositionVector:
        """(m,) int64 positions of `ids`; unknown ids raise UnknownIdError or become -1."""
        wanted = as_ids(ids, like=self.ids)
        found = self._index.get_indexer(pd.Index(wanted)).astype(np.int64)
        if missing == "error" and (found < 0).any():
            unknown = wanted[found < 0]
            raise UnknownIdError(f"{len(unknown)} unknown ids, the first is {unknown[0]!r}")
        return found


def as_ids(values, *, like: IdVector | None = None) -> IdVector:
    """(n,) int64 or object-of-str array; `like` asks for the kind of an existing map, so that 7 finds '7'
    and '7' finds 7. A text that is no plain integer ('007', 'x') stays text."""
    array = np.asarray(values)
    if like is not None and like.dtype == np.int64:
        return _integers_where_exact(array)
    if array.dtype.kind in "iu" and like is None:
        return array.astype(np.int64)
    return np.array([str(value) for value in array], dtype=object)


def _integers_where_exact(array: np.ndarray) -> IdVector:
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    return np.array([int(v) if str(v).lstrip("-").isdecimal() and str(int(v)) == str(v) else str(v)
                     for v in array], dtype=object)
