"""Text files line by line: slow, but it knows where it is."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice

import pyarrow as pa

from recsys_ae.data.readers.layout import Layout, check_decoded, without_mark
from recsys_ae.errors import DataError


def records(layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, fields) of each line that is not blank, the header left out."""
    with layout.path.open(encoding=without_mark(layout.encoding), errors="replace", newline="") as file:
        lines = _quoted(file, layout) if layout.quoted else _plain(file, layout)
        for number, fields in lines:
            if number > layout.skipped and not _is_blank(fields, layout):
                yield number, fields


def _is_blank(fields: list[str], layout: Layout) -> bool:
    """Whether a line holds nothing but spaces. As many tabs as in any other line make it a rating of which
    all is missing."""
    return len(fields) != len(layout.names) and not layout.separator.join(fields).strip()


def line_of(layout: Layout, index: int) -> str:
    """Where the rating number `index` (from 0) stands."""
    number, _ = next(islice(records(layout), index, None))
    return f"{layout.path}, line {number}"


def read_slowly(layout: Layout, roles: dict[str, int]) -> dict[str, pa.ChunkedArray]:
    """Role -> column. Raises DataError at the first line with undecodable bytes, another number of fields
    than the first one, or a field that is no number."""
    found: dict[str, list] = {role: [] for role in roles}
    for number, fields in records(layout):
        check_decoded("".join(fields), layout.path, number, layout.encoding)
        if len(fields) != len(layout.names):
            raise DataError(
                f"{layout.path}, line {number}: has {len(fields)} fields instead of {len(layout.names)}"
            )
        for role, place in roles.items():
            found[role].append(_value(fields[place], role, layout, number))
    types = {role: pa.string() if role in ("user", "item") else pa.float64() for role in roles}
    return {role: pa.chunked_array([values], type=types[role]) for role, values in found.items()}


def _value(text: str, role: str, layout: Layout, number: int) -> str | float | None:
    if role in ("user", "item"):
        return text
    if not text.strip():
        return None
    try:
        if "_" in text:  # Python reads 1_0 as ten
            raise ValueError
        return float(text)
    except ValueError:
        raise DataError(f"{layout.path}, line {number}: the {role} {text!r} is not a number") from None


def _plain(file, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(_universal(file), start=1):
        yield number, line.split(layout.separator) if line else []


def _universal(file) -> Iterator[str]:
    for line in file:
        yield line.rstrip("\r\n")


def _quoted(file, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(file, delimiter=layout.separator)
    number = 1
    try:
        for fields in reader:
            yield number, fields
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{layout.path}, line {number}: is no line of a CSV file ({error})") from error
