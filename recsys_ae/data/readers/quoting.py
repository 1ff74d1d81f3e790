"""Fields in double quotes, read strictly: a quote that should not be there is named, and swallows no rows."""

from __future__ import annotations

import csv
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
    last, opens, is_open = first + len(lines) - 1, first, False
    for number, text in enumerate(lines[:-1], start=first):
        if text.count('"') % 2:
            is_open = not is_open
            opens = number
    many = "field larger" in str(error)
    if "end of data" in str(error) or (many and (is_open or lines[-1].count('"') % 2)):
        within = f" within {csv.field_size_limit():,} characters" if many else ""
        opens = opens if is_open else last
        return f"{opens}: a quote opens here and is not closed{within}; close it or remove it"
    if is_open:
        return (
            f"{opens}: a quote opens here and is closed amid a text in line {last}; remove it, or write each "
            "quote within quotes twice"
        )
    if many:
        return f"{last}: a field has more than {csv.field_size_limit():,} characters; shorten it"
    return f"{last}: a text goes on after the quote that ends it; write each quote within quotes twice"


def _kind(text: str) -> Kind:
    """What may stand where: so ids that are numbers differ from words, and words from sentences."""
    try:
        float(text.replace(",", ".", 1))
        return "number"
    except ValueError:
        return "text" if len(text.split()) != 1 else "word"
