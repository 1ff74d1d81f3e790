"""Fields in double quotes, read strictly: a quote that should not be there is named, and swallows no rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from recsys_ae.errors import DataError

Kind = Literal["number", "word", "text"]


@dataclass(slots=True)
class Record:
    """The `fields` of a rating that begins in `line` (from 1); `further`: where quotes make it go on, its
    other lines."""

    line: int
    fields: list[str]
    further: list[str] = field(default_factory=list)


def quoted_records(lines: Iterable[str], separator: str, path: object) -> Iterator[Record]:
    """The records of a file whose fields may stand in double quotes, and then hold line breaks. Raises
    DataError at a quote that is never closed, or is closed amid a text, with the line where it opens."""
    pending: list[str] = []

    def passing() -> Iterator[str]:
        for line in lines:
            pending.append(line)
            yield line

    reader = csv.reader(passing(), delimiter=separator, strict=True)
    line = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}, line {_wrong(error, line, pending)}") from error
        yield Record(line, fields, pending[1:])
        line = reader.line_num + 1
        pending.clear()


def check_breaks(record: Record, separator: str, places: Sequence[int], path: object) -> None:
    """Raises DataError where a record of several lines has a line break in one of the fields at `places`,
    which are read, or where one of its lines looks like a record of its own: as many fields, and at these
    places as much a number, a word or a longer text. So look the rows between two stray quotes."""
    for place in places:
        if "\n" in (value := record.fields[place]) or "\r" in value:
            raise DataError(
                f"{path}, line {record.line}: a line break stands within quotes in a field that is read; "
                "close the quotes, or write the field in one line"
            )
    kinds = [_kind(record.fields[place]) for place in places]
    for number, text in enumerate(record.further, start=record.line + 1):
        own = next(csv.reader([text.rstrip("\r\n")], delimiter=separator), [])
        if len(own) == len(record.fields) and [_kind(own[place]) for place in places] == kinds:
            raise DataError(
                f"{path}, line {record.line}: a quote opens in this row and takes in line {number}, which "
                "looks like a row of its own; remove the stray quotes, or, where it is text, write the file "
                "without that column"
            )


def _wrong(error: csv.Error, first: int, lines: Sequence[str]) -> str:
    """The line number, and what is wrong, of a record that begins in line `first`."""
    last, limit = first + len(lines) - 1, f"{csv.field_size_limit():,} characters"
    is_long = "field larger" in str(error)
    if "end of data" in str(error) or (is_long and _opened(lines) is not None):
        within = f" within {limit}" if is_long else ""
        place = first + (_opened(lines) or 0)
        return f"{place}: a quote opens here and is not closed{within}; close it or remove it"
    if is_long:
        return f"{last}: a field has more than {limit}; shorten it"
    if (opened := _opened(lines[:-1])) is not None:
        return (
            f"{first + opened}: a quote opens here and is closed amid a text in line {last}; remove it, or "
            "write each quote within quotes twice"
        )
    return f"{last}: a text goes on after the quote that ends it; write each quote within quotes twice"


def _opened(lines: Sequence[str]) -> int | None:
    """The number, from 0, of the line with the last quote that is still open after all of them. Two quotes
    within quotes are one that belongs to the text."""
    opened = None
    for number, text in enumerate(lines):
        for quotes in re.findall('"+', text):
            if opened is None:
                opened = number if len(quotes) % 2 else None
            elif len(quotes) % 2:
                opened = None
    return opened


def _kind(text: str) -> Kind:
    """What may stand where: so ids that are numbers differ from words, and words from sentences."""
    try:
        float(text.replace(",", ".", 1))
        return "number"
    except ValueError:
        return "text" if len(text.split()) != 1 else "word"
