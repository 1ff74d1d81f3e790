"""Text files: a fast reader, and a slow one that says in which line the trouble is."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from recsys_ae.data.columns import Reading, check_decided, read_as
from recsys_ae.data.configs import ColumnsConfig, Feedback
from recsys_ae.data.ids import IdColumn
from recsys_ae.data.readers.counting import RowsDiffer, check_lines
from recsys_ae.data.readers.layout import (
    Layout,
    TextFormat,
    as_number,
    check_decoded,
    held_by,
    is_number,
    text_layout,
)
from recsys_ae.data.readers.numbers import Decimal, decimals, moments
from recsys_ae.data.readers.opened import opened
from recsys_ae.data.readers.quoting import check_breaks
from recsys_ae.data.schema import LAST_TIMESTAMP, Triples, rating_values
from recsys_ae.errors import DataError, brief
from recsys_ae.types import Progress, unwatched

BLOCK_BYTES = 4 << 20  # long lines (reviews) must fit into one block
LEAST_MOMENT = 1e8  # the year 1973; no rating is as large
ID_TYPE = pa.dictionary(pa.int32(), pa.string())
TYPES = {"user": ID_TYPE, "item": ID_TYPE, "rating": pa.float64(), "timestamp": pa.float64()}
Columns = dict[str, pa.ChunkedArray]


def read_text(
    path: Path,
    format: TextFormat,
    columns: ColumnsConfig,
    feedback: Feedback | None,
    *,
    encoding: str = "utf-8",
    header: bool | None = None,
    decimal: Decimal | None = None,
    on_read: Progress = unwatched,
) -> Triples:
    """Arrow reads what is in order. What it refuses, or reads as other rows than the lines of the file, is
    read again line by line, to name the first offender (or to read it after all: line breaks within quotes,
    lines of spaces, a colon within a field of a `::` file). `on_read`: told of bytes; half of them are read
    when Arrow has read all, the rest while the lines are counted."""
    layout = text_layout(path, format, encoding, header, columns)
    sample = layout.sample()
    reading = _reading(layout, sample, columns, feedback, format)
    as_text = set()
    if decimal == "," or (decimal is None and format == "semicolon"):
        as_text.add("rating")
    if "timestamp" in reading.places:
        texts = [row[reading.places["timestamp"]] for row in sample]
        if not all(is_number(text) for text in texts if text.strip()):
            as_text.add("timestamp")
    try:
        found = _read_fast(layout, reading.places, as_text, lambda done, total: on_read(done // 2, total))
        n_lines = len(found["user"]) + layout.has_header
        check_lines(
            path,
            encoding,
            n_lines,
            layout.separator if layout.quoted else "",
            on_read=lambda done, total: on_read((total + done) // 2, total),
        )
    except MemoryError:  # the slow reader needs far more
        raise
    except (pa.ArrowException, UnicodeError, RowsDiffer):
        found = read_slowly(layout, reading.places, as_text)
    if "rating" in found and "rating" in as_text:
        found["rating"] = decimals(found["rating"], decimal, layout.where)
    values = rating_values(found["rating"], layout.where, "line") if "rating" in found else None
    if values is not None and not layout.has_header and feedback is None and columns.rating is None:
        check_decided(values, path)
    times = found.get("timestamp")
    if times is not None:
        times = moments(times, layout.where) if "timestamp" in as_text else times.to_numpy()
    return Triples(
        IdColumn.of_arrow(found["user"]),
        IdColumn.of_arrow(found["item"]),
        values,
        times,
        layout.where,
        reading,
    )


def read_slowly(layout: Layout, places: dict[str, int], as_text: Collection[str] = ()) -> Columns:
    """Role -> column. Raises DataError at the first line with undecodable bytes, another number of fields
    than the first one, or a field that is no number. Columns named in `as_text` stay text."""
    found: dict[str, list] = {role: [] for role in places}
    for record in layout.records():
        number, fields = record.line, record.fields
        check_decoded("".join(fields), layout.path, number, layout.encoding)
        if len(fields) != len(layout.names):
            raise DataError(
                f"{layout.path}, line {number}: has {len(fields)} fields instead of {len(layout.names)}"
            )
        if record.lines:
            check_breaks(record, layout.separator, places, layout.path)
        for role, place in places.items():
            text = fields[place]
            is_text = role in ("user", "item") or role in as_text
            found[role].append(text if is_text else _value(text, role, layout, number))
    return {
        role: pa.chunked_array([values], type=pa.string() if role in as_text else TYPES[role])
        for role, values in found.items()
    }


def _reading(
    layout: Layout,
    sample: list[list[str]],
    columns: ColumnsConfig,
    feedback: Feedback | None,
    format: TextFormat,
) -> Reading:
    """What the fields are. Raises DataError where ratings without a header look like timestamps."""
    reading = read_as(
        layout.names,
        columns,
        feedback,
        layout.path,
        holds=lambda place: held_by(row[place] for row in sample),
        format=format,
        has_header=layout.has_header,
    )
    if not layout.has_header and columns.rating is None and (place := reading.places.get("rating")):
        values = [as_number(row[place]) for row in sample if is_number(row[place])]
        if values and min(values) >= LEAST_MOMENT and max(values) <= 1000 * LAST_TIMESTAMP:
            raise DataError(
                f"{layout.where(0)}: without a header the third field is the rating, and it looks like a "
                "timestamp; set columns.timestamp to rating, and columns.rating to timestamp (or feedback to "
                "events where there is no rating)"
            )
    return reading


def _read_fast(
    layout: Layout, places: dict[str, int], as_text: Collection[str], on_read: Progress
) -> Columns:
    """Role -> column. A `::` file is read with ':' as separator: every second column must be empty."""
    step = len(layout.separator)
    width = step * (len(layout.names) - 1) + 1
    types = {
        str(step * place): pa.string() if role in as_text else TYPES[role] for role, place in places.items()
    }
    between = {str(place): pa.null() for place in range(width) if place % step}
    with opened(layout.path, on_read) as file, _signals_left_to_python():
        table = pacsv.read_csv(
            file,
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
    return {role: table.column(str(step * place)) for role, place in places.items()}


@contextmanager
def _signals_left_to_python() -> Iterator[None]:
    """Arrow would take signals over for as long as it reads a file, and loses some of them."""
    pa.enable_signal_handlers(False)
    try:
        yield
    finally:
        pa.enable_signal_handlers(True)


def _value(text: str, role: str, layout: Layout, number: int) -> float | None:
    if not text.strip():
        return None
    try:
        if "_" in text:  # Python reads 1_0 as ten
            raise ValueError
        return float(text)
    except ValueError:
        comma = '; set decimal to "," where the comma is meant as one' if "," in text else ""
        raise DataError(
            f"{layout.path}, line {number}: the {role} {brief(text)} is not a number{comma}"
        ) from None
