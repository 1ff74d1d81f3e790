"""Top-N lists become files, whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_ae.data.ids import IdMap
from recsys_ae.errors import ConfigError, StorageError
from recsys_ae.files import replaced
from recsys_ae.serving.lists import LIST_COLUMNS, TopNBlock, columns_of

Write = Callable[[pa.Table], None]

_ROWS_AT_ONCE = 1 << 17  # a row group


def write_top_n(
    path: Path,
    blocks: Iterable[TopNBlock],
    *,
    users: IdMap,
    items: IdMap,
    names: Sequence[str] = LIST_COLUMNS,
) -> int:
    """Writes columns user, rank (int32, from 1), item, score (float32), or of other `names`, and returns the
    number of rows.

    `users`: ids of the rows that the blocks name; ids are int64 or text, as in their map. Padding is left
    out. By suffix a .parquet or a .csv file (UTF-8, header, text quoted where it must be). Lists are taken
    block by block and the file's bytes do not depend on how they are cut into blocks. The file appears under
    its name when complete; after an error or an interruption nothing is left and an older file stays.
    Raises ConfigError for another suffix, before the first block is made, StorageError where it cannot write.
    """
    path = Path(path)
    opened: Callable[[Path, pa.Schema], AbstractContextManager[Write]]
    match path.suffix.lower():
        case ".parquet":
            opened = parquet_at
        case ".csv":
            opened = _csv
        case suffix:
            raise ConfigError(
                f"{path}: lists are written as .parquet or .csv, not {suffix!r}; rename the output"
            )
    if path.is_dir():
        raise StorageError(f"{path}: is a folder; choose the name of a file")
    schema = lists_schema(users, items, names)
    tables = (pa.table(columns_of(block, users, items, names), schema=schema) for block in blocks)
    n_rows = 0
    with replaced(path) as temporary, opened(temporary, schema) as write:
        for table in evenly(tables):
            write(table)
            n_rows += len(table)
    return n_rows


def lists_schema(users: IdMap, items: IdMap, names: Sequence[str] = LIST_COLUMNS) -> pa.Schema:
    """Of lists as a table: ids as in their maps, rank int32, score float32."""
    types = (_id_type(users), pa.int32(), _id_type(items), pa.float32())
    return pa.schema(list(zip(names, types, strict=True)))


def _id_type(ids: IdMap) -> pa.DataType:
    return pa.int64() if ids.ids.dtype == np.int64 else pa.string()


def evenly(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, so many at once that a file does not depend on the size of blocks."""
    waiting: list[pa.Table] = []
    n_waiting = 0
    for table in tables:
        waiting.append(table)
        n_waiting += len(table)
        while n_waiting >= _ROWS_AT_ONCE:
            together = pa.concat_tables(waiting)
            yield together[:_ROWS_AT_ONCE].combine_chunks()
            waiting = [together[_ROWS_AT_ONCE:]]
            n_waiting -= _ROWS_AT_ONCE
    if n_waiting:
        yield pa.concat_tables(waiting).combine_chunks()


@contextmanager
def parquet_at(place: Path | pa.NativeFile, schema: pa.Schema) -> Iterator[Write]:
    """What writes tables to a parquet file there, each as a row group."""
    with ExitStack() as stack:
        file = stack.enter_context(place.open("wb")) if isinstance(place, Path) else place
        writer = stack.enter_context(pq.ParquetWriter(file, schema, write_page_checksum=True))
        yield writer.write_table


@contextmanager
def _csv(path: Path, schema: pa.Schema) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(schema.names)

        def write(table: pa.Table) -> None:
            *names, last = schema.names
            columns = [table[name].to_pylist() for name in names]
            scores = table[last].to_numpy().astype(str)  # the shortest that reads back as this float32
            writer.writerows(zip(*columns, scores, strict=True))

        yield write
