"""What people ask for by its id: one id or many, as Python, NumPy, pandas, polars or Arrow hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from recsys_ae.data.ids import IdMap
from recsys_ae.errors import ConfigError, DataError, UnknownIdError, brief
from recsys_ae.types import PositionVector

_ADVICE = {
    "user": "ask only for users with ratings",
    "item": "ask only for items that the model knows",
}


def ids_of(given: Any, what: str) -> list[str | int]:
    """The ids that somebody gave: a single one is a list of one. A float without a fraction is the integer
    that it equals, as tables with gaps turn integers into floats.

    Raises DataError, naming the first of them, for what is no id: whatever is neither text nor integer.
    """
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        given = [given]
    elif isinstance(given, Mapping) or hasattr(given, "columns"):
        raise DataError(f"{what}s are asked for by their ids, and this is a {type(given).__name__}")
    elif hasattr(given, "__array__"):  # a list is none: it may hold ids of several kinds
        given = np.atleast_1d(np.asarray(given)).tolist()
    return [_id_of(value) for value in given]


def positions_of(given: Any, known: IdMap, what: str) -> PositionVector:
    """(m,) int64 positions of the ids that somebody gave, in their order, repeats too. `what`: "user" or
    "item".

    Raises DataError for what is no id, and UnknownIdError, naming the first few, for ids that `known` does
    not hold.
    """
    ids = ids_of(given, what)
    if not ids:
        return np.empty(0, dtype=np.int64)
    positions = known.positions(ids, missing="negative")
    unknown = list(dict.fromkeys(brief(id) for id, place in zip(ids, positions, strict=True) if place < 0))
    if unknown:
        shown = ", ".join(unknown[:3]) + (", …" if len(unknown) > 3 else "")
        raise UnknownIdError(
            f"{len(unknown)} of {len(dict.fromkeys(ids))} {what}s are unknown: {shown}; {_ADVICE[what]}"
        )
    return positions


def check_at_least(name: str, number: Any, least: int) -> None:
    """Raises ConfigError for what is no whole number, or one below `least`."""
    if not isinstance(number, Integral) or isinstance(number, bool):
        raise ConfigError(f"{name} must be a whole number, and is {brief(number)}")
    if number < least:
        raise ConfigError(f"{name} is {brief(number)}, but must be at least {least}")


def check_is_bool(name: str, value: Any) -> None:
    """Raises ConfigError for what is neither true nor false."""
    if not isinstance(value, bool | np.bool_):
        raise ConfigError(f"{name} must be True or False, and is {brief(value)}")


def distinct(positions: PositionVector) -> PositionVector:
    """Each once, where it stands first: 7 and "7" are one id."""
    return positions[np.sort(np.unique(positions, return_index=True)[1])]


def _id_of(value: Any) -> str | int:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer():
        return int(float(value))
    raise DataError(f"{brief(value)} is no id of a user or an item: ids are integers or texts")
