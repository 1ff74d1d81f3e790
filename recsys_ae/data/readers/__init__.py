"""Files become triples: one small reader per format, found by the suffix and the first line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import assert_never, get_args

import pyarrow as pa

from recsys_ae.data.columns import ROLES, names_users_and_items
from recsys_ae.data.configs import COMPRESSED, ColumnsConfig, DataConfig, Feedback, Format
from recsys_ae.data.names import names_values
from recsys_ae.data.readers.jsonl import read_jsonl
from recsys_ae.data.readers.layout import TextFormat, fields_of, first_line, is_headerless
from recsys_ae.data.readers.matrix import read_npz
from recsys_ae.data.readers.opened import DAMAGED, suffix_of
from recsys_ae.data.readers.tables import read_arrow, read_parquet
from recsys_ae.data.readers.text import read_text
from recsys_ae.data.schema import Triples
from recsys_ae.errors import DataError, brief, reason
from recsys_ae.types import Progress, unwatched

SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet", ".pq": "parquet", ".npz": "npz", ".inter": "inter", ".arrow": "arrow",
    ".feather": "arrow", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
}  # fmt: skip
PARTS = {*SUFFIXES, ".csv", ".tsv", ".dat", ".data", ".txt"} - {".npz"}  # what a folder may hold


def read(
    files: Sequence[Path],
    format: Format | None,
    columns: ColumnsConfig,
    feedback: Feedback | None,
    config: DataConfig,
    on_read: Progress = unwatched,
) -> Triples:
    """The rows of one or more files of the same columns, one after the other. `format` None detects it from
    the suffix and the first line. `on_read`: told how many bytes have been read, of how many.

    Raises DataError, with file and line or row, where a file cannot be read as such: missing, empty, without
    a needed column, in another encoding, with lines of the wrong width or fields that are no numbers; and
    where the files differ in their columns.
    """
    if repeated := [file for number, file in enumerate(files) if file in files[:number]]:
        raise DataError(f"{repeated[0]}: is named twice; name each file once")
    sizes = [file.stat().st_size if file.is_file() else 0 for file in files]
    triples: list[Triples] = []
    for file, size in zip(files, sizes, strict=True):
        tell = partial(_tell, on_read, sum(sizes[: len(triples)]), sum(sizes))
        triples.append(_read(file, format, columns, feedback, config, tell))
        tell(size, size)
    for file, part in zip(files, triples, strict=True):
        if part.reading.feedback == "events":
            _check_partition(file, columns, feedback)
        if part.reading != triples[0].reading:
            first = triples[0].reading.sentence(files[0], len(triples[0]))
            raise DataError(
                f"{part.reading.sentence(file, len(part))}, but {first}; parts must have the same "
                "columns: name the files that do, or a pattern such as 'ratings*.csv'"
            )
    joined = Triples.joined(triples)
    if len(joined) == 0:
        raise DataError(f"{files[0]}: holds no ratings")
    return joined


def _tell(on_read: Progress, before: int, whole: int, done: int, total: int) -> None:
    """Of the bytes of a file, among those of files before it and after."""
    on_read(before + done, whole)


def parts_of(path: Path) -> list[Path]:
    """The files that a path means, in the order of their names: a folder means those in it, a pattern those
    that match. Raises DataError where there are none, or a folder holds several kinds."""
    if path.exists() and not path.is_dir():
        if not path.is_file():
            raise DataError(f"{path}: is no regular file; write the ratings into one")
        return [path]
    if path.is_dir():
        return _parts_in(path)
    if set(str(path)) & set("*?["):
        root = Path(path.anchor or ".")
        pattern = str(path.relative_to(path.anchor)) if path.anchor else str(path)
        if found := sorted(file for file in root.glob(pattern) if file.is_file()):
            return found
        raise DataError(f"{path}: no file matches this pattern")
    raise DataError(f"{path}: no such file")


def _parts_in(folder: Path) -> list[Path]:
    found = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(p.startswith((".", "_")) for p in file.relative_to(folder).parts)
    )
    kinds: dict[str, list[Path]] = {}
    for file in found:
        suffixes = [suffix.lower() for suffix in file.suffixes]
        if suffixes and suffixes[-1] in COMPRESSED:
            suffixes.pop()
        kind = suffixes[-1] if suffixes else ""
        if kind in PARTS or (not kind and file.suffix.lower() == ".zip"):
            kinds.setdefault(kind, []).append(file)
    if len(kinds) == 1:
        return next(iter(kinds.values()))
    if not kinds:
        raise DataError(
            f"{folder}: is a folder without files of ratings; name the file with the ratings in it"
        )
    named = ", ".join(f"{len(files)} {kind or '.zip'}" for kind, files in kinds.items())
    raise DataError(
        f"{folder}: is a folder with files of several kinds ({named}); name the file with the ratings, or a "
        f"pattern such as '{folder / '*.csv'}'"
    )


def _check_partition(file: Path, columns: ColumnsConfig, feedback: Feedback | None) -> None:
    """Raises DataError where the values of events may stand in the name of a folder, such as rating=5."""
    if feedback == "events" or columns.rating == "":
        return
    for folder in file.parts[:-1]:
        name, equals, _ = folder.partition("=")
        if equals and names_values(name):
            raise DataError(
                f"{file}: the folder {brief(folder)} has {brief(name)} in its name, where it is not read; "
                "write the table with that column into files, or read each row as an event with --set "
                "data.feedback=events"
            )


def _read(
    path: Path,
    format: Format | None,
    columns: ColumnsConfig,
    feedback: Feedback | None,
    config: DataConfig,
    on_read: Progress,
) -> Triples:
    try:
        format = format or _detected(path, config)
        match format:
            case "parquet":
                triples = read_parquet(path, columns, feedback)
            case "arrow":
                triples = read_arrow(path, columns, feedback)
            case "jsonl":
                triples = read_jsonl(path, columns, feedback, config.encoding, on_read)
            case "npz":
                triples = read_npz(path, feedback)
            case "movielens" | "tab" | "csv" | "semicolon" | "tsv" | "inter":
                triples = read_text(
                    path,
                    format,
                    columns,
                    feedback,
                    encoding=config.encoding,
                    header=config.header,
                    decimal=config.decimal,
                    on_read=on_read,
                )
            case _:
                assert_never(format)
    except MemoryError:  # which Arrow's own is, too
        raise
    except (OSError, pa.ArrowException, NotImplementedError, *DAMAGED) as error:
        raise DataError(
            f"{path}: cannot be read ({reason(error)}); see that it is whole and yours to read"
        ) from error
    return triples


def _detected(path: Path, config: DataConfig) -> Format:
    """Raises DataError where neither suffix nor first line gives a hint."""
    suffix = suffix_of(path)
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    number, line = first_line(path, config.encoding)
    if line.lstrip().startswith(("{", "[")):
        return "jsonl"
    if "::" in line:
        return "movielens"
    if "\t" in line:
        fields = line.split("\t")
        if config.header is not True and is_headerless(fields):
            return "tab"
        return "inter" if all(":" in field for field in fields) else "tsv"
    candidates: dict[str, TextFormat] = {",": "csv", ";": "semicolon"}
    possible = [format for separator, format in candidates.items() if separator in line]
    if len(possible) > 1:
        possible = [format for format in possible if _makes_sense(line, format, config)]
        if len(possible) != 1:
            raise DataError(
                f"{path}, line {number}: {brief(line)} may have commas or semicolons between its fields; set "
                "format to csv or semicolon"
            )
    if possible:
        return possible[0]
    raise DataError(
        f"{path}, line {number}: {brief(line)} fits no known format; name one of "
        f"{', '.join(get_args(Format))}"
    )


def _makes_sense(line: str, format: TextFormat, config: DataConfig) -> bool:
    """Whether a first line in this format is a rating, or names a user and an item."""
    try:
        fields = fields_of(line, format)
    except csv.Error:
        return False
    if config.header is False or (config.header is None and is_headerless(fields)):
        return 2 <= len(fields) <= len(ROLES)
    return names_users_and_items([field.strip() for field in fields], config.columns)
