"""How a text file is laid out, told from its first line."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

from recsys_ae.data.schema import ROLES
from recsys_ae.errors import DataError

TextFormat = Literal["movielens", "tab", "csv", "tsv", "inter"]
SEPARATORS: dict[TextFormat, str] = {"movielens": "::", "tab": "\t", "csv": ",", "tsv": "\t", "inter": "\t"}


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


def text_layout(path: Path, format: TextFormat, encoding: str) -> Layout:
    """Raises DataError where the first line does not fit the format."""
    number, line = first_line(path, encoding)
    separator = SEPARATORS[format]
    fields = _split(line, separator, quoted=format in ("csv", "tsv"))
    match format:
        case "movielens" | "tab":
            return Layout(
                path, encoding, separator, _by_place(fields, path, number, format), False, number - 1
            )
        case "csv" | "tsv":
            if is_headerless(fields):
                return Layout(path, encoding, separator, ROLES[: len(fields)], True, number - 1)
            return Layout(path, encoding, separator, tuple(field.strip() for field in fields), True, number)
        case "inter":
            if not all(":" in field for field in fields):
                raise DataError(
                    f"{path}, line {number}: no typed header such as 'user_id:token', but {line[:80]!r}; "
                    "name another format"
                )
            return Layout(
                path, encoding, separator, tuple(f.partition(":")[0] for f in fields), False, number
            )
        case _:
            assert_never(format)


def first_line(path: Path, encoding: str) -> tuple[int, str]:
    """(line number from 1, text) of the first line that is not empty. Raises DataError where there is none,
    and where it is no text in this encoding."""
    try:
        with path.open(encoding=without_mark(encoding), errors="replace") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    check_decoded(line, path, number, encoding)
                    return number, line.rstrip("\n")
    except (LookupError, UnicodeError) as error:
        raise DataError(
            f"{path}: cannot be read with the encoding {encoding!r} ({error}); "
            "set encoding to that of the file, such as utf-8 or latin-1"
        ) from error
    raise DataError(f"{path}: is empty; it needs at least one rating")


def check_decoded(text: str, path: Path, number: int, encoding: str) -> None:
    """Raises DataError where text has been decoded with errors="replace" and something had to be replaced."""
    if "\ufffd" in text or "\0" in text:
        raise DataError(
            f"{path}, line {number}: is no text in {encoding}; set encoding to that of the file, "
            "such as latin-1"
        )


def without_mark(encoding: str) -> str:
    """The encoding that also drops a byte order mark, which spreadsheets put before UTF-8."""
    return "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding


def is_headerless(fields: list[str]) -> bool:
    """Whether a first line is already a rating: two to four numbers."""
    return 2 <= len(fields) <= len(ROLES) and all(_is_number(field) for field in fields)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _split(line: str, separator: str, *, quoted: bool) -> list[str]:
    return next(csv.reader([line], delimiter=separator)) if quoted else line.split(separator)


def _by_place(fields: list[str], path: Path, number: int, format: TextFormat) -> tuple[str, ...]:
    if not 2 <= len(fields) <= len(ROLES):
        raise DataError(
            f"{path}, line {number}: has {len(fields)} fields; the format {format!r} has user, item, and "
            f"perhaps rating and timestamp, with {SEPARATORS[format]!r} between them"
        )
    return ROLES[: len(fields)]
