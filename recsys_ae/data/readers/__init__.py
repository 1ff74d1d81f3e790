"""Files become triples: one small reader per format, found by the suffix and the first line."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never, get_args

import pyarrow as pa

from recsys_ae.data.configs import ColumnsConfig, Format
from recsys_ae.data.readers.matrix import read_npz
from recsys_ae.data.readers.parquet import in_short, read_parquet
from recsys_ae.data.readers.text import first_line, is_headerless, read_text
from recsys_ae.data.schema import Triples
from recsys_ae.errors import DataError

SUFFIXES: dict[str, Format] = {".parquet": "parquet", ".pq": "parquet", ".npz": "npz", ".inter": "inter"}


def read(path: Path, format: Format | None, columns: ColumnsConfig, *, encoding: str = "utf-8") -> Triples:
    """The rows of one file; `format` None detects it from the suffix and the first line.

    Raises DataError, with file and line or row, where the file cannot be read as such: missing, empty,
    without a needed column, in another encoding, with lines of the wrong width or fields that are no numbers.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name the file with the ratings in it")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    try:
        format = format or _detected(path, encoding)
        match format:
            case "parquet":
                triples = read_parquet(path, columns)
            case "npz":
                triples = read_npz(path)
            case "movielens" | "tab" | "csv" | "tsv" | "inter":
                triples = read_text(path, format, columns, encoding)
            case _:
                assert_never(format)
    except (OSError, pa.ArrowException, NotImplementedError) as error:
        raise DataError(
            f"{path}: cannot be read ({in_short(error)}); see that it is whole and yours to read"
        ) from error
    if len(triples) == 0:
        raise DataError(f"{path}: holds no ratings")
    return triples


def _detected(path: Path, encoding: str) -> Format:
    """Raises DataError where neither suffix nor first line gives a hint."""
    if path.suffix.lower() in SUFFIXES:
        return SUFFIXES[path.suffix.lower()]
    number, line = first_line(path, encoding)
    if "::" in line:
        return "movielens"
    if "\t" in line:
        fields = line.split("\t")
        if is_headerless(fields):
            return "tab"
        return "inter" if all(":" in field for field in fields) else "tsv"
    if "," in line:
        return "csv"
    hint = " (save it with commas or tabs between the fields, not semicolons)" if ";" in line else ""
    raise DataError(
        f"{path}, line {number}: {line[:80]!r} fits no known format; name one of "
        f"{', '.join(get_args(Format))}{hint}"
    )
