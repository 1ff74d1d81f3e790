"""Text files: a fast reader, and a slow one that says in which line the trouble is."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from recsys_ae.data.configs import ColumnsConfig
from recsys_ae.data.ids import IdColumn
from recsys_ae.data.readers.layout import Layout, TextFormat, text_layout
from recsys_ae.data.readers.lines import line_of, read_slowly
from recsys_ae.data.schema import Triples, Where, assign_roles
from recsys_ae.errors import DataError

BLOCK_BYTES = 4 << 20  # long lines (reviews) must fit into one block
ID_TYPE = pa.dictionary(pa.int32(), pa.string())
TYPES = {"user": ID_TYPE, "item": ID_TYPE, "rating": pa.float64(), "timestamp": pa.float64()}


def read_text(path: Path, format: TextFormat, columns: ColumnsConfig, encoding: str) -> Triples:
    """Arrow reads what is in order; what it refuses is read again line by line, to name the first offender
    (or to read it after all: line breaks within quotes, lines of spaces, a colon within a field of a `::`
    file)."""
    layout = text_layout(path, format, encoding)
    roles = assign_roles(layout.names, columns, path)
    try:
        found = _read_fast(layout, roles)
    except (pa.ArrowException, UnicodeError):
        found = read_slowly(layout, roles)
    where = partial(line_of, layout)
    return Triples(
        IdColumn.of_arrow(found["user"]),
        IdColumn.of_arrow(found["item"]),
        _numbers(found.get("rating"), where),
        None if "timestamp" not in found else found["timestamp"].to_numpy(),
        where,
    )


def _read_fast(layout: Layout, roles: dict[str, int]) -> dict[str, pa.ChunkedArray]:
    """Role -> column. A `::` file is read with ':' as separator: every second column must be empty."""
    step = len(layout.separator)
    width = step * (len(layout.names) - 1) + 1
    types = {str(step * place): TYPES[role] for role, place in roles.items()}
    between = {str(place): pa.null() for place in range(width) if place % step}
    table = pacsv.read_csv(
        layout.path,
        read_options=pacsv.ReadOptions(
            column_names=[str(place) for place in range(width)],
            skip_rows=layout.skipped,
            block_size=BLOCK_BYTES,
            encoding=layout.encoding,
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=layout.separator[0], quote_char='"' if layout.quoted else False
        ),
        convert_options=pacsv.ConvertOptions(
            column_types=types | between,
            include_columns=[*types, *between],
            null_values=[""],
            strings_can_be_null=False,
        ),
    )
    return {role: table.column(str(step * place)) for role, place in roles.items()}


def _numbers(column: pa.ChunkedArray | None, where: Where) -> np.ndarray | None:
    if column is None:
        return None
    if column.null_count:
        empty = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise DataError(f"{where(empty)}: the rating is empty; give one or remove the line")
    return column.to_numpy()
