"""Text files: how they are laid out, a fast reader, and a slow one that says in which line the trouble is."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, assert_never

import pyarrow as pa
import pyarrow.csv as pacsv

from recsys_ae.data.configs import ColumnsConfig
from recsys_ae.data.ids import IdColumn
from recsys_ae.data.schema import ROLES, Triples, assign_roles, rating_values
from recsys_ae.errors import DataError

TextFormat = Literal["movielens", "tab", "csv", "tsv", "inter"]
SEPARATORS: dict[TextFormat, str] = {"movielens": "::", "tab": "\t", "csv": ",", "tsv": "\t", "inter": "\t"}
BLOCK_BYTES = 4 << 20  # long lines (reviews) must fit into one block
ID_TYPE = pa.dictionary(pa.int32(), pa.string())
TYPES = {"user": ID_TYPE, "item": ID_TYPE, "rating": pa.float64(), "timestamp": pa.float64()}


@dataclass(frozen=True, slots=True)
class Layout:
    """`names`: of the fields of each line; `quoted`: fields may stand in double quotes; `skipped`: lines
    before the first rating."""

    path: Path
    encoding: str
    separator: str
    names: tuple[str, ...]
    quoted: bool
    skipped: int

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """(line number from 1, fields) of each line that is not blank, the header left out."""
        with self.path.open(encoding=_without_mark(self.encoding), errors="replace", newline="") as file:
            plain = (line.rstrip("\r\n").split(self.separator) for line in file)
            for number, fields in _quoted(file, self) if self.quoted else enumerate(plain, start=1):
                if number > self.skipped and not self._is_blank(fields):
                    yield number, fields

    def _is_blank(self, fields: list[str]) -> bool:
        """Whether a line holds nothing but spaces. As many tabs as in any other line make it a rating of
        which all is missing."""
        return len(fields) != len(self.names) and not self.separator.join(fields).strip()

    def where(self, index: int) -> str:
        """Where the rating number `index` (from 0) stands."""
        number, _ = next(islice(self.records(), index, None))
        return f"{self.path}, line {number}"


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
    return Triples(
        IdColumn.of_arrow(found["user"]),
        IdColumn.of_arrow(found["item"]),
        rating_values(found["rating"], layout.where, "line") if "rating" in found else None,
        found["timestamp"].to_numpy() if "timestamp" in found else None,
        layout.where,
    )


def text_layout(path: Path, format: TextFormat, encoding: str) -> Layout:
    """Raises DataError where the first line does not fit the format."""
    number, line = first_line(path, encoding)
    separator, quoted = SEPARATORS[format], format in ("csv", "tsv")
    fields = next(csv.reader([line], delimiter=separator)) if quoted else line.split(separator)
    names, skipped = ROLES[: len(fields)], number - 1  # unless there is a header
    match format:
        case "movielens" | "tab":
            if not 2 <= len(fields) <= len(ROLES):
                raise DataError(
                    f"{path}, line {number}: has {len(fields)} fields; the format {format!r} has user, item, "
                    f"and perhaps rating and timestamp, with {separator!r} between them"
                )
        case "csv" | "tsv":
            if not is_headerless(fields):
                names, skipped = tuple(field.strip() for field in fields), number
        case "inter":
            if not all(":" in field for field in fields):
                raise DataError(
                    f"{path}, line {number}: no typed header such as 'user_id:token', but {line[:80]!r}; "
                    "name another format"
                )
            names, skipped = tuple(field.partition(":")[0] for field in fields), number
        case _:
            assert_never(format)
    return Layout(path, encoding, separator, names, quoted, skipped)


def first_line(path: Path, encoding: str) -> tuple[int, str]:
    """(line number from 1, text) of the first line that is not empty. Raises DataError where there is none,
    and where it is no text in this encoding."""
    try:
        with path.open(encoding=_without_mark(encoding), errors="replace") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    _check_decoded(line, path, number, encoding)
                    return number, line.rstrip("\n")
    except (LookupError, UnicodeError) as error:
        raise DataError(
            f"{path}: cannot be read with the encoding {encoding!r} ({error}); "
            "set encoding to that of the file, such as utf-8 or latin-1"
        ) from error
    raise DataError(f"{path}: is empty; it needs at least one rating")


def is_headerless(fields: list[str]) -> bool:
    """Whether a first line is already a rating: two to four numbers."""
    try:
        return 2 <= len([float(field) for field in fields]) <= len(ROLES)
    except ValueError:
        return False


def read_slowly(layout: Layout, roles: dict[str, int]) -> dict[str, pa.ChunkedArray]:
    """Role -> column. Raises DataError at the first line with undecodable bytes, another number of fields
    than the first one, or a field that is no number."""
    found: dict[str, list] = {role: [] for role in roles}
    for number, fields in layout.records():
        _check_decoded("".join(fields), layout.path, number, layout.encoding)
        if len(fields) != len(layout.names):
            raise DataError(
                f"{layout.path}, line {number}: has {len(fields)} fields instead of {len(layout.names)}"
            )
        for role, place in roles.items():
            found[role].append(_value(fields[place], role, layout, number))
    return {role: pa.chunked_array([values], type=TYPES[role]) for role, values in found.items()}


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


def _quoted(file, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(file, delimiter=layout.separator)
    number = 1
    try:
        for fields in reader:
            yield number, fields
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{layout.path}, line {number}: is no line of a CSV file ({error})") from error


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


def _check_decoded(text: str, path: Path, number: int, encoding: str) -> None:
    """Raises DataError where text has been decoded with errors="replace" and something had to be replaced."""
    if "\ufffd" in text or "\0" in text:
        raise DataError(
            f"{path}, line {number}: is no text in {encoding}; set encoding to that of the file, "
            "such as latin-1"
        )


def _without_mark(encoding: str) -> str:
    """The encoding that also drops a byte order mark, which spreadsheets put before UTF-8."""
    return "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
