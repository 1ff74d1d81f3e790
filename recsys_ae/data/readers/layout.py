"""How a text file is laid out: separators, header, lines."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Literal, assert_never

from recsys_ae.data.columns import ROLES, Holds, names_users_and_items
from recsys_ae.data.configs import ColumnsConfig
from recsys_ae.data.readers.opened import lines_of, opened_text
from recsys_ae.data.readers.quoting import Record, quoted_records
from recsys_ae.errors import DataError, brief

TextFormat = Literal["movielens", "tab", "csv", "semicolon", "tsv", "inter"]
SEPARATORS: dict[TextFormat, str] = {
    "movielens": "::", "tab": "\t", "csv": ",", "semicolon": ";", "tsv": "\t", "inter": "\t",
}  # fmt: skip
SAMPLED = 100  # lines that tell of what type a column is
BOOLEANS = frozenset(("true", "false", "yes", "no"))
NO_COLUMNS_NAMED = ColumnsConfig()


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

    def records(self) -> Iterator[Record]:
        """Those of all lines that are not blank, the header left out. Raises DataError at a quote that is
        never closed."""
        with opened_text(self.path, self.encoding) as file:
            lines = lines_of(file, self.path)
            if self.quoted:
                found = quoted_records(lines, self.separator, self.path)
            else:
                found = (
                    Record(number, line.rstrip("\r\n").split(self.separator))
                    for number, line in enumerate(lines, start=1)
                )
            for record in found:
                if record.line > self.skipped and not self._is_blank(record.fields):
                    yield record

    def _is_blank(self, fields: list[str]) -> bool:
        """Whether a line holds nothing but spaces. As many tabs as in any other line make it a rating of
        which all is missing."""
        return len(fields) != len(self.names) and not self.separator.join(fields).strip()

    def where(self, index: int) -> str:
        """Where the rating number `index` (from 0) stands."""
        record = next(islice(self.records(), index, None))
        return f"{self.path}, line {record.line}"

    def sample(self) -> list[list[str]]:
        """The fields of the first lines that have as many as they should."""
        first = islice(self.records(), SAMPLED)
        return [record.fields for record in first if len(record.fields) == len(self.names)]


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
    try:
        fields = fields_of(line, format)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {number}: has a quote that is not closed, or closed amid a text; write quotes "
            "within quotes twice"
        ) from error
    names, has_header = ROLES[: len(fields)], False
    match format:
        case "movielens" | "tab":
            has_header = names_users_and_items(fields, columns) if header is None else header
        case "csv" | "semicolon" | "tsv":
            has_header = not is_headerless(fields) if header is None else header
        case "inter":
            if not all(":" in field for field in fields):
                raise DataError(
                    f"{path}, line {number}: no typed header such as 'user_id:token', but {brief(line)}; "
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
            for number, line in enumerate(lines_of(file, path), start=1):
                if line.strip():
                    check_decoded(line, path, number, encoding)
                    return number, line.rstrip("\r\n")
    except (LookupError, UnicodeError) as error:
        raise DataError(
            f"{path}: cannot be read with the encoding {brief(encoding)} ({error}); "
            "set encoding to that of the file, such as utf-8 or latin-1"
        ) from error
    raise DataError(f"{path}: is empty; it needs at least one rating")


def fields_of(line: str, format: TextFormat) -> list[str]:
    """The fields of a first line. Raises csv.Error where its quotes are not closed."""
    separator = SEPARATORS[format]
    if format in ("csv", "semicolon", "tsv"):
        return next(csv.reader([line], delimiter=separator, strict=True))
    return line.split(separator)


def is_headerless(fields: list[str]) -> bool:
    """Whether a first line is already a rating: two to four numbers, the last perhaps a date."""
    *first, last = fields
    dated = len(fields) == len(ROLES) and last.strip()[:1].isdigit()
    return 2 <= len(fields) <= len(ROLES) and all(map(is_number, first if dated else fields))


def as_number(text: str) -> float:
    """What a text may mean as a number, with whatever decimals."""
    return float(text.replace(",", ".", 1))


def is_number(text: str) -> bool:
    try:
        as_number(text)
    except ValueError:
        return False
    return True


def held_by(texts: Iterable[str]) -> Holds:
    """What texts mean, the empty ones left out: numbers, an index where these count up, nearly numbers where
    more than half are, or all say true or false."""
    said = [text.strip().lower() for text in texts if text.strip()]
    n_numbers = sum(map(is_number, said))
    if not said or (2 * n_numbers <= len(said) and not BOOLEANS.issuperset(said)):
        return "else"
    if n_numbers < len(said):
        return "nearly"
    values = list(map(as_number, said))
    counts_up = all(after == before + 1 for before, after in pairwise(values))
    return "index" if counts_up and values[0].is_integer() else "numbers"


def check_decoded(text: str, path: Path, number: int, encoding: str) -> None:
    """Raises DataError where text has been decoded with errors="replace" and something had to be replaced."""
    if "\ufffd" in text:
        raise DataError(
            f"{path}, line {number}: is no text in {encoding}; set encoding to that of the file, "
            "such as latin-1"
        )
    if "\0" in text:
        raise DataError(
            f"{path}, line {number}: holds a NUL, which no text does; remove it, or set encoding to that of "
            "the file, such as utf-16"
        )
