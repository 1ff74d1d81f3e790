"""Tables of typed columns: parquet, Arrow and Feather files, and tables in memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types
from pyarrow.dataset import IpcFileFormat

from recsys_ae.data.columns import Holds, Reading, read_as
from recsys_ae.data.configs import ColumnsConfig, Feedback
from recsys_ae.data.ids import IdColumn
from recsys_ae.data.readers.counting import check_rows
from recsys_ae.data.readers.layout import SAMPLED, held_by
from recsys_ae.data.readers.numbers import moments
from recsys_ae.data.readers.opened import is_compressed, opened
from recsys_ae.data.readers.unpacked import check_unpacked
from recsys_ae.data.schema import Triples, Where, rating_values
from recsys_ae.errors import DataError, brief, reason

IN_MEMORY = "the table"
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"  # of Arrow; without it rows may be missing


def read_parquet(path: Path, columns: ColumnsConfig, feedback: Feedback | None) -> Triples:
    """Ids may be whole numbers or text, ratings any numbers, timestamps seconds, moments or ISO dates."""
    try:
        with pq.ParquetFile(_whole(path), page_checksum_verification=True) as file:
            reading = reading_of(
                file.schema_arrow, columns, feedback, path, "parquet", first=partial(_first_of, file)
            )
            names = sorted(reading.columns.values())
            n_rows = file.metadata.num_rows
            check_unpacked(path, max(n_rows * _row_bytes(file.schema_arrow, names), _unpacked(file, names)))
        texts = [name for name in names if _is_text(file.schema_arrow.field(name).type)]
        with pq.ParquetFile(_whole(path), read_dictionary=texts, page_checksum_verification=True) as file:
            table = file.read(columns=names)  # texts that repeat stay as short as they are in the file
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last of names of columns
        if isinstance(error, OSError) and error.errno:  # not damaged, but out of reach
            raise
        raise DataError(f"{path}: is no whole parquet file ({reason(error)}); make it again") from error
    check_rows(path, table.num_rows, n_rows)
    return triples_of(table, reading, path)


def read_arrow(path: Path, columns: ColumnsConfig, feedback: Feedback | None) -> Triples:
    """The same of a file or a stream of Arrow's own format, which Feather is too."""
    try:
        source = pa.memory_map(str(path)) if not is_compressed(path) else pa.BufferReader(_whole(path))
        try:
            reader = pa.ipc.open_file(source)
            source.seek(0)
            n_rows = IpcFileFormat().make_fragment(source.read_buffer()).count_rows()
            check_unpacked(path, n_rows * _row_bytes(reader.schema, reader.schema.names))
            batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
            table = _joined(batches, reader.schema, path)
        except pa.ArrowInvalid:
            source.seek(max(0, source.size() - len(END_OF_STREAM)))
            is_whole = source.read() == END_OF_STREAM
            source.seek(0)
            with pa.ipc.open_stream(source) as reader:
                table = _joined(reader, reader.schema, path)
            if not is_whole:
                raise pa.ArrowInvalid("the stream has no end") from None
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last of names of columns
        if isinstance(error, OSError) and error.errno:
            raise
        raise DataError(f"{path}: is no whole Arrow file ({reason(error)}); make it again") from error
    return triples_of(
        table, reading_of(table.schema, columns, feedback, path, "arrow", first=table.column), path
    )


def _joined(batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> pa.Table:
    """The table of all batches, which ends where they are too much."""
    read: list[pa.RecordBatch] = []
    n_bytes = 0
    for batch in batches:
        read.append(batch)
        n_bytes += batch.nbytes
        check_unpacked(path, n_bytes)
    return pa.Table.from_batches(read, schema)


def read_table(table: Any, columns: ColumnsConfig, feedback: Feedback | None) -> Triples:
    """The rows of a pandas, polars or Arrow table, or of anything else that hands itself to Arrow. A named
    index of a pandas table is a column, too."""
    if isinstance(table, pd.DataFrame):
        table = _of_pandas(table)
    elif not isinstance(table, pa.Table):
        try:
            table = pa.table(table)
        except pa.ArrowInvalid:
            raise DataError(
                f"{IN_MEMORY}: a {type(table).__name__} has no columns; give a table with users, items and "
                "ratings"
            ) from None
    reading = reading_of(table.schema, columns, feedback, IN_MEMORY, "table", first=table.column)
    return triples_of(table, reading, IN_MEMORY, first=0)


def reading_of(
    schema: pa.Schema,
    columns: ColumnsConfig,
    feedback: Feedback | None,
    path: object,
    format: str,
    *,
    first: Callable[[int], pa.ChunkedArray | pa.Array],
) -> Reading:
    """What the columns of a table are. `first`: at least the first values of the column at a place."""

    def holds(place: int) -> Holds:
        kind = _plain_type(schema.field(place).type)
        if types.is_integer(kind) and not schema.names[place]:
            return held_by(str(value) for value in first(place)[:SAMPLED].to_pylist())
        if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
            return "numbers"
        if types.is_boolean(kind):
            return "nearly"
        if not _is_text(kind):
            return "else"
        means = held_by(text for text in first(place)[:SAMPLED].to_pylist() if text is not None)
        return "nearly" if means in ("numbers", "index") else means

    return read_as(schema.names, columns, feedback, path, holds=holds, format=format)


def triples_of(
    table: pa.Table, reading: Reading, path: object, *, first: int = 1, where: Where | None = None
) -> Triples:
    """The columns of a table that `reading` names. Rows are counted from `first`, unless `where` says where
    they stand. Raises DataError where a column holds something else than it must."""

    def row(index: int) -> str:
        return f"{path}, row {index + first}"

    place = where or row
    found = {role: table.column(name) for role, name in reading.columns.items()}
    called = {role: f"{path}, column {brief(name)}" for role, name in reading.columns.items()}
    return Triples(
        _ids(found["user"], called["user"], place),
        _ids(found["item"], called["item"], place),
        _numbers(found["rating"], called["rating"], place) if "rating" in found else None,
        _times(found["timestamp"], called["timestamp"], place) if "timestamp" in found else None,
        place,
        reading,
    )


def _first_of(file: pq.ParquetFile, place: int) -> pa.Array:
    name = file.schema_arrow.names[place]
    rows = next(file.iter_batches(batch_size=SAMPLED, columns=[name]), None)
    return pa.array([], pa.string()) if rows is None else rows.column(0)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """That of the values of a dictionary, such as a categorical column of pandas."""
    return kind.value_type if types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _row_bytes(schema: pa.Schema, names: list[str]) -> int:
    """At least how many bytes a row of these columns takes in memory."""

    def width(kind: pa.DataType) -> int:
        try:
            return -(-kind.bit_width // 8)
        except ValueError:  # of no fixed width
            return 4

    return sum(width(field.type) for field in schema if field.name in names)


def _unpacked(file: pq.ParquetFile, names: list[str]) -> int:
    """The size of the pages of these columns, as a parquet file states it."""
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    chunks = (group.column(place) for group in groups for place in range(group.num_columns))
    return sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in names)


def _whole(path: Path) -> Any:
    """What Arrow opens: the path, or the bytes of a compressed file."""
    if not is_compressed(path):
        return path
    with opened(path) as file:
        return pa.BufferReader(file.read())


def _of_pandas(frame: pd.DataFrame) -> pa.Table:
    named = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
    columns = [_arrow_column(named.iloc[:, place]) for place in range(named.shape[1])]
    return pa.Table.from_arrays(columns, names=[str(name) for name in named.columns])


def _arrow_column(series: pd.Series) -> pa.Array:
    """Ids of several types, such as 7 and 'x', become text; so do objects that Arrow has no type for. What
    nobody could look up, such as a list among texts, makes a column of lists, which hold no ids."""
    convert: Callable[..., pa.Array] = pa.Array.from_pandas
    try:
        return convert(series)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        if not all(isinstance(value, Hashable) for value in series):
            return pa.array([[str(value)] for value in series])
        return convert(series.map(str, na_action="ignore"), type=pa.string())


def _ids(column: pa.ChunkedArray, name: str, where: Where) -> IdColumn:
    """Raises DataError at a number that is not whole, or so large that another may have been rounded to it,
    and at a text that holds a NUL."""
    kind = _plain_type(column.type)
    if types.is_null(kind):
        return IdColumn.of_arrow(column.cast(pa.string()))
    if not (types.is_integer(kind) or types.is_floating(kind) or _is_text(kind)):
        raise DataError(f"{name}: holds {column.type}; ids must be whole numbers or text")
    if types.is_floating(kind):
        values = column.cast(kind).to_numpy()
        exact = 2.0 ** (np.finfo(values.dtype).nmant + 1)
        for row in np.flatnonzero((values != np.trunc(values)) & (values == values) | (abs(values) >= exact))[
            :1
        ]:
            raise DataError(f"{where(int(row))}: {no_id(float(values[row]))}")
    ids = IdColumn.of_arrow(column.cast(pa.string()) if types.is_string_view(kind) else column)
    if _is_text(kind) and (wrong := [code for code, label in enumerate(ids.labels) if "\0" in label]):
        row = int(np.flatnonzero(np.isin(ids.codes, wrong))[0])
        raise DataError(f"{where(row)}: the id {brief(ids[row])} holds a NUL, which no text does; remove it")
    return ids


def no_id(value: Any) -> str:
    """The end of a sentence on an id that is none."""
    advice = "write ids as whole numbers below 2^53 or as text"
    return f"the id {brief(value)} is neither text nor a number that is surely whole; {advice}"


def _numbers(column: pa.ChunkedArray, name: str, where: Where) -> np.ndarray:
    kind = _plain_type(column.type)
    if kind != column.type:
        column = column.cast(kind)
    if types.is_null(kind):
        column = column.cast(pa.float64())
    elif not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
        raise DataError(
            f"{name}: holds {kind} ({brief(column[0].as_py())} in row 1) where ratings must be numbers"
        )
    return rating_values(column, where, "row")


def _times(column: pa.ChunkedArray, name: str, where: Where) -> np.ndarray:
    if _is_text(_plain_type(column.type)):
        return moments(column.cast(pa.string()), where)
    if types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if types.is_timestamp(column.type):
        seconds = column.cast(pa.timestamp("s", column.type.tz), safe=False)
        column = seconds.cast(pa.int64())
    if not (types.is_integer(column.type) or types.is_floating(column.type) or types.is_null(column.type)):
        raise DataError(
            f"{name}: holds {column.type} where timestamps must be Unix seconds or "
            'moments; read none (columns.timestamp: "") or another column'
        )
    return column.cast(pa.float64()).to_numpy()
