"""Fields in double quotes, read strictly: a quote that should not be there is named, and swallows no rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from recsys_ae.errors import DataError

Kind = Literal["number", "word", "text", "empty"]


@dataclass(slots=True)
class Record:
    """The `fields` of a rating that begins in `line` (from 1); `lines`: of which it is made, where quotes
    make it go on over several."""

    line: int
    fields: list[str]
    lines: list[str] = field(default_factory=list)


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
        yield Record(line, fields, pending[:] if len(pending) > 1 else [])
        line = reader.line_num + 1
        pending.clear()


def check_breaks(record: Record, separator: str, places: Mapping[str, int], path: object) -> None:
    """Raises DataError where a record of several lines has a line break in one of the fields at `places`
    (role -> place), which are read, or where one of its lines may be a record of its own, see `_is_row`. So
    look the rows between two stray quotes."""
    for place in places.values():
        if "\n" in (value := record.fields[place]) or "\r" in value:
            raise DataError(
                f"{path}, line {record.line}: a line break stands within quotes in a field that is read; "
                "close the quotes, or write the field in one line"
            )
    before = record.fields[: min(places.values())]
    its_own = sum(len(re.findall("\r\n|\r|\n", value)) for value in before)  # where what is read stands
    for number, text in enumerate(record.lines):
        if number != its_own and _is_row(text.rstrip("\r\n"), record.fields, separator, places):
            raise DataError(
                f"{path}, line {record.line}: a quote opens in this row and takes in line "
                f"{record.line + max(number, 1)}, which looks like a row of its own; remove the stray "
                "quotes, or, where it is text, write the file without that column"
            )


def _is_row(text: str, fields: Sequence[str], separator: str, places: Mapping[str, int]) -> bool:
    """Whether a line within the quotes of a record with these `fields` may be a row: it has as many fields,
    and the right ones at their places, counted from the left or, as one more separator before them would
    shift them, from the right."""
    for own in (next(csv.reader([text], delimiter=separator), []), text.split(separator)):
        if (extra := len(own) - len(fields)) < 0:
            continue
        for shift in {0, extra}:
            if _fits({role: own[place + shift] for role, place in places.items()}, fields, places):
                return True
    return False


def _fits(found: Mapping[str, str], fields: Sequence[str], places: Mapping[str, int]) -> bool:
    """Whether texts by their roles may be those of a row. One without a rating is a row, and so is one with
    other ids than its neighbours; text is what reads like a sentence: with spaces after its commas and no
    such ids as the record around it has, or with several words where an id should be and no rating."""
    kinds = {role: _kind(value) for role, value in found.items()}
    usual = {role: _kind(fields[place]) for role, place in places.items()}
    ids, has_ratings = ("user", "item"), "rating" in places
    is_rated = not has_ratings or kinds["rating"] in ("number", "empty")
    if any(found[role][:1] == " " != fields[places[role]][:1] for role in ids):
        alike = [kinds[role] == usual[role] for role in ids]
        return is_rated and (any(alike) if has_ratings else all(alike))
    if any(kinds[role] == "text" != usual[role] for role in ids):
        return is_rated and has_ratings
    return True


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
    """What may stand where: so ids differ from sentences, and ratings from both."""
    words = text.strip('" ').split()
    if len(words) != 1:
        return "text" if words else "empty"
    try:
        float(words[0].replace(",", ".", 1))
    except ValueError:
        return "word"
    return "number"
