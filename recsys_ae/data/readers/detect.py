"""Which format a file has, from its suffix and its first line."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from recsys_ae.data.configs import Format
from recsys_ae.data.readers.layout import first_line, is_headerless
from recsys_ae.errors import DataError

_SEMICOLONS = " (save it with commas or tabs between the fields, not semicolons)"
SUFFIXES: dict[str, Format] = {".parquet": "parquet", ".pq": "parquet", ".npz": "npz", ".inter": "inter"}


def detect(path: Path, encoding: str) -> Format:
    """Raises DataError where the first line gives no hint."""
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
    raise DataError(
        f"{path}, line {number}: {line[:80]!r} fits no known format; name one of "
        f"{', '.join(get_args(Format))}{_SEMICOLONS if ';' in line else ''}"
    )
