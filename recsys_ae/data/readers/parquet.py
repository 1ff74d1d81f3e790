"""Parquet files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from recsys_ae.data.configs import ColumnsConfig
from recsys_ae.data.ids import IdColumn
from recsys_ae.data.schema import Triples, Where, assign_roles, rating_values
from recsys_ae.errors import DataError


def read_parquet(path: Path, columns: ColumnsConfig) -> Triples:
    """Ids may be whole numbers or text, ratings any numbers, timestamps seconds or moments."""
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            roles = assign_roles(names, columns, path)
            table = file.read(columns=sorted({names[place] for place in roles.values()}))
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # not damaged, but out of reach
            raise
        raise DataError(f"{path}: is no whole parquet file ({in_short(error)}); make it again") from error
    if table.num_rows == 0:
        raise DataError(f"{path}: holds no ratings")
    found = {role: table.column(names[place]) for role, place in roles.items()}
    called = {role: f"{path}, column {names[place]!r}" for role, place in roles.items()}

    def where(index: int) -> str:
        return f"{path}, row {index + 1}"  # rows of files are counted from 1

    return Triples(
        _ids(found["user"], called["user"]),
        _ids(found["item"], called["item"]),
        _numbers(found["rating"], called["rating"], where) if "rating" in found else None,
        _times(found["timestamp"], called["timestamp"]) if "timestamp" in found else None,
        where,
    )


def _ids(column: pa.ChunkedArray, name: str) -> IdColumn:
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    text = (types.is_string, types.is_large_string, types.is_string_view)
    if not any(test(kind) for test in (types.is_integer, types.is_floating, *text)):
        raise DataError(f"{name}: holds {column.type}; ids must be whole numbers or text")
    return IdColumn.of_arrow(column.cast(pa.string()) if types.is_string_view(kind) else column)


def _numbers(column: pa.ChunkedArray, name: str, where: Where) -> np.ndarray:
    if not (types.is_integer(column.type) or types.is_floating(column.type) or types.is_decimal(column.type)):
        raise DataError(
            f"{name}: holds {column.type} ({column[0].as_py()!r} in row 1) where ratings must be numbers"
        )
    return rating_values(column, where, "row")


def _times(column: pa.ChunkedArray, name: str) -> np.ndarray:
    if types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if types.is_timestamp(column.type):
        seconds = column.cast(pa.timestamp("s", column.type.tz), safe=False)
        column = seconds.cast(pa.int64())
    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        raise DataError(
            f"{name}: holds {column.type} where timestamps must be Unix seconds or "
            'moments; read none (columns.timestamp: "") or another column'
        )
    return column.cast(pa.float64()).to_numpy()


def in_short(error: Exception) -> str:
    """The first line of what a library says, without its full stop."""
    text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return text.splitlines()[0].strip(" .:")[:120]
