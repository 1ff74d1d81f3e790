"""JSON lines: one object on each line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json as pajson

from recsys_ae.data.columns import Reading
from recsys_ae.data.configs import ColumnsConfig, Feedback
from recsys_ae.data.readers.counting import RowsDiffer, check_lines
from recsys_ae.data.readers.opened import lines_of, opened, opened_text, without_mark
from recsys_ae.data.readers.tables import no_id, reading_of, triples_of
from recsys_ae.data.schema import Triples
from recsys_ae.errors import DataError, brief
from recsys_ae.types import Progress, unwatched

BLOCK_BYTES = 16 << 20  # a line (a review) must fit into one block


def read_jsonl(
    path: Path,
    columns: ColumnsConfig,
    feedback: Feedback | None,
    encoding: str,
    on_read: Progress = unwatched,
) -> Triples:
    """Arrow reads what is in order and in UTF-8; what it refuses is read again line by line, to name the
    first offender, or to read it after all (ids of which some are numbers and some text)."""

    def where(index: int) -> str:
        number, _ = next(islice(_lines(path, encoding), index, None))
        return f"{path}, line {number}"

    for number, line in islice(_lines(path, encoding), 1):
        _row(path, encoding, number, line)  # Arrow reads an object over many lines, too
    try:
        if without_mark(encoding) != "utf-8-sig":
            raise UnicodeError
        table = _table(path, on_read=on_read)
        reading = reading_of(table.schema, columns, feedback, path, "jsonl", first=table.column)
        names = [reading.columns[role] for role in ("user", "item")]
        kinds = [table.schema.field(name).type for name in names]
        if any(map(pa.types.is_floating, kinds)):
            raise RowsDiffer  # Arrow rounds whole numbers of more than 53 bits beside others
        if any(map(pa.types.is_timestamp, kinds)):
            table = _table(path, names, on_read=on_read)  # ids that look like dates stay as they are
        check_lines(path, encoding, table.num_rows)
    except MemoryError:  # the slow reader needs far more
        raise
    except (pa.ArrowException, UnicodeError, RowsDiffer):
        table, reading = _read_slowly(path, encoding, columns, feedback)
    return triples_of(table, reading, path, where=where)


def _table(path: Path, texts: list[str] | None = None, *, on_read: Progress = unwatched) -> pa.Table:
    """`texts`: columns that are text, whatever they look like."""
    schema = None if texts is None else pa.schema([(name, pa.string()) for name in texts])
    with opened(path, on_read) as file:
        return pajson.read_json(
            file,
            read_options=pajson.ReadOptions(block_size=BLOCK_BYTES),
            parse_options=pajson.ParseOptions(explicit_schema=schema),
        )


def _lines(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """(number from 1, text) of each line that is not blank."""
    with opened_text(path, encoding) as file:
        for number, line in enumerate(lines_of(file, path), start=1):
            if line.strip():
                yield number, line


def _read_slowly(
    path: Path, encoding: str, columns: ColumnsConfig, feedback: Feedback | None
) -> tuple[pa.Table, Reading]:
    """The table, with ids that are all whole numbers or all text, and what its columns are."""
    lines = [(number, _row(path, encoding, number, line)) for number, line in _lines(path, encoding)]
    names = list(dict.fromkeys(name for _, row in lines for name in row))
    table = pa.table({name: _column([row.get(name) for _, row in lines]) for name in names})
    reading = reading_of(table.schema, columns, feedback, path, "jsonl", first=table.column)
    for role in ("user", "item"):
        name, place = reading.columns[role], reading.places[role]
        ids = [_id(row.get(name), f"{path}, line {number}") for number, row in lines]
        table = table.set_column(place, name, _column(ids))
    return table, reading


def _id(value: Any, where: str) -> int | str | None:
    """A whole number that was written with a point or an exponent is one, where it can be told from its
    neighbours."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if value is None or isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise DataError(f"{where}: {no_id(value)}")


def _row(path: Path, encoding: str, number: int, line: str) -> dict[str, Any]:
    """Raises DataError where a line is no JSON object or no text, or names something twice."""
    if "\ufffd" in line:
        raise DataError(
            f"{path}, line {number}: is no text in {encoding}; set encoding to that of the file, "
            "such as latin-1"
        )
    try:
        row = json.loads(line, object_pairs_hook=_unique)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()  # which halves of characters are not fit for
    except _Twice as error:
        raise DataError(
            f"{path}, line {number}: names {brief(error.args[0])} twice in one object; leave one out"
        ) from None
    except UnicodeEncodeError as error:
        raise DataError(
            f"{path}, line {number}: holds {brief(error.object[error.start])}, half of a character; "
            "remove it, or write whole characters"
        ) from None
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise DataError(
            f"{path}, line {number}: {brief(line.strip())} is no JSON object; write one on each "
            'line, such as {"user": 1, "item": 2, "rating": 3} (in pandas: to_json with orient="records" '
            "and lines=True)"
        )
    return row


class _Twice(Exception):
    """The key that an object has more than once."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(next(key for key in keys if keys.count(key) > 1))
    return row


def _column(values: list[Any]) -> pa.Array:
    """Of one type; of numbers and texts it becomes text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if value is None else str(value) for value in values])
