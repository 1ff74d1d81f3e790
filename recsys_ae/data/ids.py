"""External ids on one side, positions on the other."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recsys_ae.errors import DataError, UnknownIdError, brief
from recsys_ae.types import IdVector, PositionVector

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
PLAIN_INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"  # what int64 holds and prints the same: not '007', '+7' or '7.0'


@dataclass(frozen=True, eq=False)
class IdMap:
    """A frozen, sorted array of external ids; the place of an id in it is its position.

    `ids`: (n,) unique, either int64 or str (object dtype). Sorted, so that the order of the rows of a
    file decides nothing: numbers by size, texts by code point; or, see `IdColumn`, those texts first that are
    numbers, by size. Raises DataError on repeated or unsorted ids.
    """

    ids: IdVector

    def __post_init__(self) -> None:
        if len(self.ids) > 1 and not _in_order(self.ids):
            raise DataError("ids of an IdMap must be unique and sorted; use IdMap.of(values)")
        frozen = self.ids.view()
        frozen.flags.writeable = False
        object.__setattr__(self, "ids", frozen)

    @classmethod
    def of(cls, values) -> IdMap:
        """The distinct ids among `values`: int64 if all are integers, else str. Raises DataError on an empty
        id (None, NaN or '')."""
        column = IdColumn.of(values)
        if len(empty := column.empty_rows()):
            raise DataError(f"the id at place {empty[0]} is empty; give every row an id")
        return column.mapped()[0]

    def __repr__(self) -> str:
        first = ", ".join(brief(id) for id in self.ids[:3].tolist())
        return f"IdMap({len(self.ids)} ids: {first}{', …' if len(self.ids) > 3 else ''})"

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self.ids, dtype=self.ids.dtype)

    def positions(self, ids, *, missing: Literal["error", "negative"] = "error") -> PositionVector:
        """(m,) int64 positions of `ids`; unknown ids raise UnknownIdError or become -1. 7 finds '7' and '7'
        finds 7, but '007' does not find 7."""
        column = IdColumn.of(ids)
        labels = _alike(column.labels, self.ids)
        found = self._index.get_indexer(pd.Index(labels, dtype=labels.dtype))
        positions = np.append(found, -1)[column.codes].astype(np.int64)  # the last answers for empty ids
        if missing == "error" and (positions < 0).any():
            unknown = np.flatnonzero(positions < 0)
            first = column.codes[unknown[0]]
            shown = repr(column.labels[first]) if first >= 0 else "empty"
            raise UnknownIdError(f"{len(unknown)} unknown ids, the first is {shown}")
        return positions


@dataclass(frozen=True, slots=True, eq=False)
class IdColumn:
    """The ids of the rows of a file or an array, each distinct one looked at only once.

    `labels`: (k,) int64, or str as object dtype; distinct unless text was stripped.
    `codes`: (n,) integers, row -> index into `labels`; -1 where the id is empty (None, NaN or '').
    `numbers_first`: labels became text only because others are, so those that are numbers keep their order.
    """

    labels: IdVector
    codes: np.ndarray
    numbers_first: bool = False

    @classmethod
    def of(cls, values) -> IdColumn:
        """Integers (floats without a fraction too) become int64, all else text: of a list with both, all."""
        if isinstance(values, IdColumn):
            return values
        # NumPy's own texts lose a NUL at the end, so that a list becomes an array of objects.
        array = np.asarray(values, dtype=None if hasattr(values, "__array__") else object)
        if array.dtype.kind in "US":
            array = array.astype(str).astype(object)
        codes, labels = pd.factorize(array)
        return cls._blanked(*_as_labels(np.asarray(labels)), np.asarray(codes))

    @classmethod
    def of_arrow(cls, column: pa.ChunkedArray) -> IdColumn:
        """From a column of a file: integers, floats or text, dictionary-encoded or not. Spaces around a text
        id do not belong to it; text stays text until `parsed`."""
        array = column.combine_chunks()
        array = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
        codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        labels = array.dictionary
        if pa.types.is_integer(labels.type) or pa.types.is_floating(labels.type):
            return cls._blanked(*_as_labels(labels.to_numpy(zero_copy_only=False)), codes)
        trimmed = pc.utf8_trim_whitespace(labels.cast(pa.string()))
        return cls._blanked(trimmed.to_numpy(zero_copy_only=False), None, codes)

    @classmethod
    def _blanked(cls, labels: IdVector, blank: np.ndarray | None, codes: np.ndarray) -> IdColumn:
        if labels.dtype == object:
            blank = (labels == "") if blank is None else blank | (labels == "")
        if blank is not None and blank.any():
            codes = np.where(np.append(blank, False)[codes], -1, codes)
        return cls(labels, codes)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> str | int:
        """The id of one row, as Python shows it."""
        label = self.labels[self.codes[row]]
        return label if isinstance(label, str) else int(label)

    def chosen(self, rows: PositionVector) -> IdColumn:
        """The ids of these rows."""
        return replace(self, codes=self.codes[rows])

    def n_distinct(self) -> int:
        """How many different ids there are."""
        return len(pd.unique(self.labels[self._used()]))

    def empty_rows(self) -> PositionVector:
        """Rows whose id is empty."""
        return np.flatnonzero(self.codes < 0)

    def parsed(self) -> IdColumn:
        """The same with int64 labels if every label is a plain integer; one leading zero keeps all text."""
        if self.labels.dtype != object or len(self.labels) == 0:
            return self
        used = self._used()
        texts = pa.array(self.labels[used], type=pa.string())
        if not pc.all(pc.match_substring_regex(texts, PLAIN_INTEGER)).as_py():
            return self
        labels = np.zeros(len(self.labels), dtype=np.int64)
        labels[used] = texts.cast(pa.int64()).to_numpy()
        return IdColumn(labels, self.codes)

    def fraction(self) -> str | None:
        """One of the texts that are numbers with a decimal point or an exponent, where all texts are numbers;
        else None."""
        if self.labels.dtype != object or len(self.labels) == 0:
            return None
        texts = _as_arrow(self.labels[self._used()])
        fractions = pc.filter(texts, pc.match_substring_regex(texts, "[.eE]"))
        if not len(fractions) or not pc.all(pc.match_substring_regex(texts, NUMBER)).as_py():
            return None
        return fractions[0].as_py()

    def _used(self) -> PositionVector:
        """Places of the labels that some row has."""
        return np.flatnonzero(np.bincount(self.codes[self.codes >= 0], minlength=len(self.labels)))

    @staticmethod
    def joined(parts: Sequence[IdColumn]) -> IdColumn:
        """The rows of all parts, one after the other; text if one of them is. The ids of a part that are
        numbers then stay in their order, whatever the ids of another are: a test part decides nothing."""
        labels = [part.labels for part in parts]
        mixed = len({array.dtype for array in labels}) > 1
        if mixed:
            labels = [_as_text(array) for array in labels]
        starts = np.cumsum([0, *(len(array) for array in labels)])
        codes = [
            np.where(part.codes < 0, -1, part.codes + start)
            for part, start in zip(parts, starts[:-1], strict=True)
        ]
        kept = mixed or any(part.numbers_first for part in parts)
        return IdColumn(np.concatenate(labels), np.concatenate(codes), kept)

    def mapped(self) -> tuple[IdMap, PositionVector]:
        """The map of the ids that occur, and the (n,) int64 positions of the rows, none of them empty."""
        used = self._used()
        labels = self.labels[used]
        order = _numbers_first(labels) if self.numbers_first else _sort_order(labels)
        labels = labels[order]
        first = np.ones(len(labels), dtype=bool)
        first[1:] = labels[1:] != labels[:-1]
        place = np.zeros(len(self.labels), dtype=np.int64)
        place[used[order]] = np.cumsum(first) - 1
        return IdMap(labels[first]), place[self.codes]


def _as_labels(labels: np.ndarray) -> tuple[IdVector, np.ndarray | None]:
    """Labels as int64 or text, and which of them are empty."""
    if labels.dtype.kind in "iu":
        fits = labels.dtype != np.uint64 or (labels <= np.iinfo(np.int64).max).all()
        return (labels.astype(np.int64) if fits else _as_text(labels)), None
    if labels.dtype.kind == "f":
        empty = np.isnan(labels)
        filled = np.where(empty, 0, labels)
        is_integer = (filled == np.trunc(filled)) & (np.abs(filled) < 2**53)
        return (filled.astype(np.int64) if is_integer.all() else _as_text(labels)), empty
    kind = pd.api.types.infer_dtype(labels, skipna=False)
    if kind in ("floating", "mixed-integer-float", "empty"):
        return _as_labels(labels.astype(np.float64))
    with suppress(OverflowError):  # numbers beyond int64 become text
        if kind == "integer":
            return labels.astype(np.int64), None
    return _as_text(labels), None


def _as_text(labels: np.ndarray) -> IdVector:
    return np.array([str(label) for label in labels], dtype=object)


def _alike(labels: IdVector, ids: IdVector) -> np.ndarray:
    """Labels in the kind of `ids`, so far as they are exactly that."""
    if ids.dtype == object:
        return _as_text(labels)
    if labels.dtype != object:
        return labels
    numbers = (int(v) if v.lstrip("-").isdecimal() and str(int(v)) == v else v for v in labels)
    return np.array(list(numbers), dtype=object)


def _sort_order(labels: IdVector) -> np.ndarray:
    """By number, or by code point: Arrow sorts UTF-8 bytes, the same order and five times as fast."""
    if labels.dtype != object:
        return np.argsort(labels, kind="stable")
    return pc.sort_indices(_as_arrow(labels)).to_numpy()


def _numbers_first(labels: IdVector) -> np.ndarray:
    """The order of texts: those that are numbers by size, then the others by code point."""
    texts = _as_arrow(labels)
    plain = pc.match_substring_regex(texts, PLAIN_INTEGER).to_numpy(zero_copy_only=False)
    numbers, others = np.flatnonzero(plain), np.flatnonzero(~plain)
    by_size = np.argsort(texts.take(numbers).cast(pa.int64()).to_numpy(), kind="stable")
    return np.concatenate([numbers[by_size], others[pc.sort_indices(texts.take(others)).to_numpy()]])


def _as_arrow(labels: IdVector) -> pa.Array:
    try:
        return pa.array(labels, type=pa.string())
    except UnicodeEncodeError as error:
        raise DataError(f"the id {error.object!r} is no valid Unicode text; clean it") from error


def _in_order(ids: IdVector) -> bool:
    """Whether ids are distinct and in one of the two orders."""
    if (ids[:-1] < ids[1:]).all():
        return True
    is_text = all(isinstance(id, str) for id in ids)
    return is_text and bool(
        (ids[1:] != ids[:-1]).all() and (_numbers_first(ids) == np.arange(len(ids))).all()
    )
