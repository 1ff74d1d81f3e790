"""What a client asks of a served model, read and checked: who may be anybody, and may send anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recsys_ae.errors import QUOTED, ConfigError, DataError, brief

DEFAULT_N = 10
MOST_USERS = 100_000  # whose lists are made in one request
MOST_ROWS = 1_000_000  # of an answer


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """`users`: their ids, one for each list, or for each pair with `items`, which is None where lists are
    asked for. `n`: the length of the lists, at most that of the catalogue."""

    users: pd.Series
    items: pd.Series | None
    n: int
    exclude_seen: bool


def read_request(table: Any, params: Mapping[str, Any], *, n_items: int) -> Request:
    """The request that a table with columns user and maybe item, and params, make.

    Raises DataError for a table without users, values that are no ids, and more rows than one answer may
    have; ConfigError for params that do not exist, or have no such value.
    """
    if not isinstance(table, pd.DataFrame):
        raise DataError("a request is a table with a column user, and a column item for pairs")
    for name in ("user", "item"):
        if list(table.columns).count(name) > 1:
            raise DataError(f"the table has the column {name} more than once; send it once")
    if "user" not in table:
        names = ", ".join(map(str, table)) or "none"
        raise DataError(f"the table has no column user; its columns are: {names[:QUOTED]}")
    if unknown := [name for name in params if name not in ("n", "exclude_seen")]:
        raise ConfigError(f"unknown parameter {brief(unknown[0])}; there are n and exclude_seen")
    items = table.get("item")
    n, exclude_seen = _read_n(params.get("n", DEFAULT_N)), params.get("exclude_seen", True)
    if not isinstance(exclude_seen, bool | np.bool_):
        raise ConfigError(f"exclude_seen is {brief(exclude_seen)}; give true or false")
    n = min(n, n_items)
    _check_size(len(table), 1 if items is not None else n, is_lists=items is None)
    _check_ids(table["user"], "user")
    if items is not None:
        _check_ids(items, "item")
    return Request(table["user"], items, n, bool(exclude_seen))


def _read_n(value: Any) -> int:
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if isinstance(value, float | np.floating):
        is_whole = float(value).is_integer()
    if not is_whole or value < 1:
        raise ConfigError(f"n is {brief(value)}; give a whole number of 1 or more")
    return int(value)


def _check_size(n_rows: int, n: int, *, is_lists: bool) -> None:
    if is_lists and n_rows > MOST_USERS:
        raise DataError(f"lists of {n_rows} users in one request; ask for at most {MOST_USERS} at a time")
    if n_rows * n > MOST_ROWS:
        what = f"{n_rows} lists of {n} items" if is_lists else f"{n_rows} pairs"
        raise DataError(f"{what} in one request; an answer has at most {MOST_ROWS} rows, so ask in parts")


def _check_ids(values: pd.Series, word: str) -> None:
    for row, value in enumerate(values.to_list()):
        if not _is_id(value):
            raise DataError(f"column {word} has {brief(value)} in row {row}, which is no id; ids are whole "
                            "numbers or texts")  # fmt: skip


def _is_id(value: Any) -> bool:
    """True is not 1, and no number with a fraction, nor a missing one, is anybody."""
    if isinstance(value, bool | np.bool_):
        return False
    if isinstance(value, float | np.floating):
        return bool(float(value).is_integer())
    return value != "" if isinstance(value, str) else isinstance(value, int | np.integer)
