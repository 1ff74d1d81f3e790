"""Text files: how they are laid out, a fast reader, and a slow one that says in which line the trouble is."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, TextIO, assert_never

import pyarrow as pa
import pyarrow.csv as pacsv

from recsys_ae.data.columns import ROLES, Reading, names_users_and_items, read_as
from recsys_ae.data.configs import ColumnsConfig, Feedback
from recsys_ae.data.ids import IdColumn
from recsys_ae.data.readers.numbers import Decimal, decimals, moments
from recsys_ae.data.readers.opened import opened, opened_text
from recsys_ae.data.schema import LAST_TIMESTAMP, Triples, rating_values
from recsys_ae.errors import DataError

TextFormat = Literal["movielens", "tab", "csv", "semicolon", "tsv", "inter"]
SEPARATORS: dict[TextFormat, str] = {
    "movielens": "::", "tab": "\t", "csv": ",", "semicolon": ";", "tsv": "\t", "inter": "\t",
}  # fmt: skip
BLOCK_BYTES = 4 << 20  # long lines (reviews) must fit into one block
SAMPLED = 100  # lines that tell of what type a column is
NO_COLUMNS_NAMED = ColumnsConfig()
LEAST_MOMENT = 1e8  # the year 1973; no rating is as large
ID_TYPE = pa.dictionary(pa.int32(), pa.string())
TYPES = {"user": ID_TYPE, "item": ID_TYPE, "rating": pa.float64(), "timestamp": pa.float64()}
Columns = dict[str, pa.ChunkedArray]


@dataclass(frozen=True, slots=True)
class Layout:
    """`names`: of the fields of each line; `quoted`: fields may stand in double quotes; `skipped`: lines
    before the first rating; `has_header`: whether one of these names the fields."""

    path: Path
    encoding: str
    separator: str
    names: tuple[str, ...]
    quoted: bool
    skipped: int
    has_header: bool

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """(line number from 1, fields) of each line that is not blank, the header left out."""
        with opened_text(self.path, self.encoding) as file:
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

    def sample(self) -> list[list[str]]:
        """The fields of the first lines that have as many as they should."""
        first = islice(self.records(), SAMPLED)
        return [fields for _, fields in first if len(fields) == len(self.names)]


def read_text(
    path: Path,
    format: TextFormat,
    columns: ColumnsConfig,
    feedback: Feedback | None,
    *,
    encoding: str = "utf-8",
    header: bool | None = None,
    decimal: Decimal | None = None,
) -> Triples:
    """Arrow reads what is in order; what it refuses is read again line by line, to name the first offender
    (or to read it after all: line breaks within quotes, lines of spaces, a colon within a field of a `::`
    file)."""
    layout = text_layout(path, format, encoding, header, columns)
    sample = layout.sample()
    reading = _reading(layout, sample, columns, feedback, format)
    as_text = set()
    if decimal == "," or (decimal is None and format == "semicolon"):
        as_text.add("rating")
    if "timestamp" in reading.places and not _is_number_of(sample, reading.places["timestamp"]):
        as_text.add("timestamp")
    try:
        found = _read_fast(layout, reading.places, as_text)
    except (pa.ArrowException, UnicodeError):
        found = read_slowly(layout, reading.places, as_text)
    if "rating" in found and "rating" in as_text:
        found["rating"] = decimals(found["rating"], decimal, layout.where)
    times = found.get("timestamp")
    if times is not None:
        times = moments(times, layout.where) if "timestamp" in as_text else times.to_numpy()
    return Triples(
        IdColumn.of_arrow(found["user"]),
        IdColumn.of_arrow(found["item"]),
        rating_values(found["rating"], layout.where, "line") if "rating" in found else None,
        times,
        layout.where,
        reading,
    )


def text_layout(
    path: Path,
    format: TextFormat,
    encoding: str,
    header: bool | None = None,
    columns: ColumnsConfig = NO_COLUMNS_NAMED,
) -> Layout:
    """Raises DataError where the first line does not fit the format. `header`: whether there is one; None
    looks."""
    number, line = first_line(path, encoding)
    separator, quoted = SEPARATORS[format], format in ("csv", "semicolon", "tsv")
    fields = fields_of(line, format)
    names, has_header = ROLES[: len(fields)], False
    match format:
        case "movielens" | "tab":
            has_header = names_users_and_items(fields, columns) if header is None else header
        case "csv" | "semicolon" | "tsv":
            has_header = not is_headerless(fields) if header is None else header
        case "inter":
            if not all(":" in field for field in fields):
                raise DataError(
                    f"{path}, line {number}: no typed header such as 'user_id:token', but {line[:80]!r}; "
                    "name another format"
                )
            fields, has_header = [field.partition(":")[0] for field in fields], True
        case _:
            assert_never(format)
    if has_header:
        names = tuple(field.strip() for field in fields)
    elif not 2 <= len(fields) <= len(ROLES):
        raise DataError(
            f"{path}, line {number}: has {len(fields)} fields; the format {format!r} has user, item, "
            f"and perhaps rating and timestamp, with {separator!r} between them"
        )
    return Layout(path, encoding, separator, names, quoted, number if has_header else number - 1, has_header)


def first_line(path: Path, encoding: str) -> tuple[int, str]:
    """(line number from 1, text) of the first line that is not empty. Raises DataError where there is none,
    and where it is no text in this encoding."""
    try:
        with opened_text(path, encoding) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    _check_decoded(line, path, number, encoding)
                    return number, line.rstrip("\r\n")
    except (LookupError, UnicodeError) as error:
        raise DataError(
            f"{path}: cannot be read with the encoding {encoding!r} ({error}); "
            "set encoding to that of the file, such as utf-8 or latin-1"
        ) from error
    raise DataError(f"{path}: is empty; it needs at least one rating")


def fields_of(line: str, format: TextFormat) -> list[str]:
    """The fields of a first line."""
    separator = SEPARATORS[format]
    if format in ("csv", "semicolon", "tsv"):
        return next(csv.reader([line], delimiter=separator))
    return line.split(separator)


def is_headerless(fields: list[str]) -> bool:
    """Whether a first line is already a rating: two to four numbers, the last perhaps a date."""
    *first, last = fields
    dated = len(fields) == len(ROLES) and last.strip()[:1].isdigit()
    return 2 <= len(fields) <= len(ROLES) and all(map(_is_number, first if dated else fields))


def read_slowly(layout: Layout, places: dict[str, int], as_text: Collection[str] = ()) -> Columns:
    """Role -> column. Raises DataError at the first line with undecodable bytes, another number of fields
    than the first one, or a field that is no number. Columns named in `as_text` stay text."""
    found: dict[str, list] = {role: [] for role in places}
    for number, fields in layout.records():
        _check_decoded("".join(fields), layout.path, number, layout.encoding)
        if len(fields) != len(layout.names):
            raise DataError(
                f"{layout.path}, line {number}: has {len(fields)} fields instead of {len(layout.names)}"
            )
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
        is_numeric=lambda place: _is_number_of(sample, place),
        format=format,
        has_header=layout.has_header,
    )
    if not layout.has_header and columns.rating is None and (place := reading.places.get("rating")):
        values = [_number(row[place]) for row in sample if _is_number(row[place])]
        if values and min(values) >= LEAST_MOMENT and max(values) <= 1000 * LAST_TIMESTAMP:
            raise DataError(
                f"{layout.where(0)}: without a header the third field is the rating, and it looks like a "
                "timestamp; set columns.timestamp to rating, and columns.rating to timestamp (or feedback to "
                "events where there is no rating)"
            )
    return reading


def _read_fast(layout: Layout, places: dict[str, int], as_text: Collection[str]) -> Columns:
    """Role -> column. A `::` file is read with ':' as separator: every second column must be empty."""
    step = len(layout.separator)
    width = step * (len(layout.names) - 1) + 1
    types = {
        str(step * place): pa.string() if role in as_text else TYPES[role] for role, place in places.items()
    }
    between = {str(place): pa.null() for place in range(width) if place % step}
    with opened(layout.path) as file:
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


def _quoted(file: TextIO, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(file, delimiter=layout.separator)
    number = 1
    try:
        for fields in reader:
            yield number, fields
            number = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{layout.path}, line {number}: is no line of a CSV file ({error})") from error


def _value(text: str, role: str, layout: Layout, number: int) -> float | None:
    if not text.strip():
        return None
    try:
        if "_" in text:  # Python reads 1_0 as ten
            raise ValueError
        return float(text)
    except ValueError:
        comma = '; set decimal to "," where the comma is meant as one' if "," in text else ""
        raise DataError(f"{layout.path}, line {number}: the {role} {text!r} is not a number{comma}") from None


def _number(text: str) -> float:
    """What a text may mean as a number, with whatever decimals."""
    return float(text.replace(",", ".", 1))


def _is_number(text: str) -> bool:
    try:
        _number(text)
    except ValueError:
        return False
    return True


def _is_number_of(sample: list[list[str]], place: int) -> bool:
    """Whether all fields at a place that are not empty are numbers, and one is there."""
    texts = [row[place] for row in sample if row[place].strip()]
    return bool(texts) and all(map(_is_number, texts))


def _check_decoded(text: str, path: Path, number: int, encoding: str) -> None:
    """Raises DataError where text has been decoded with errors="replace" and something had to be replaced."""
    if "\ufffd" in text or "\0" in text:
        raise DataError(
            f"{path}, line {number}: is no text in {encoding}; set encoding to that of the file, "
            "such as latin-1"
        )
