"""Parquet files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from recsys_ae.data.configs import ColumnsConfig
from recsys_ae.data.ids import IdColumn
from recsys_ae.data.schema import Triples, assign_roles
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
    found = {role: table.column(names[place]) for role, place in roles.items()}
    where = partial(row_of, path)
    return Triples(
        _ids(found["user"], names[roles["user"]], path),
        _ids(found["item"], names[roles["item"]], path),
        _numbers(found["rating"], names[roles["rating"]], path) if "rating" in found else None,
        _times(found["timestamp"], names[roles["timestamp"]], path) if "timestamp" in found else None,
        where,
    )


def row_of(path: Path, index: int) -> str:
    """Where the rating number `index` (from 0) stands; rows of files are counted from 1."""
    return f"{path}, row {index + 1}"


def _ids(column: pa.ChunkedArray, name: str, path: Path) -> IdColumn:
    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    tests = (
        types.is_integer,
        types.is_floating,
        types.is_string,
        types.is_large_string,
        types.is_string_view,
    )
    if not any(test(kind) for test in tests):
        raise DataError(f"{path}, column {name!r}: holds {column.type}; ids must be whole numbers or text")
    return IdColumn.of_arrow(column.cast(pa.string()) if types.is_string_view(kind) else column)


def _numbers(column: pa.ChunkedArray, name: str, path: Path) -> np.ndarray:
    if not (types.is_integer(column.type) or types.is_floating(column.type) or types.is_decimal(column.type)):
        raise DataError(
            f"{path}, column {name!r}: holds {column.type} ({column[0].as_py()!r} in row 1) "
            "where ratings must be numbers"
            if len(column)
            else f"{path}: holds no ratings"
        )
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise DataError(f"{row_of(path, row)}: the rating is empty; give one or remove the row")
    return column.cast(pa.float64()).to_numpy()


def _times(column: pa.ChunkedArray, name: str, path: Path) -> np.ndarray:
    if types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if types.is_timestamp(column.type):
        seconds = column.cast(pa.timestamp("s", column.type.tz), safe=False)
        column = seconds.cast(pa.int64())
    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        raise DataError(
            f"{path}, column {name!r}: holds {column.type} where timestamps must be Unix seconds or "
            'moments; read none (columns.timestamp: "") or another column'
        )
    return column.cast(pa.float64()).to_numpy()


def in_short(error: Exception) -> str:
    """The first line of what a library says, without its full stop."""
    text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return text.splitlines()[0].strip(" .:")[:120]
