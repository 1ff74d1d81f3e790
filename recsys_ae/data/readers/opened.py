"""Files as bytes and as text, unpacked on the way where they are compressed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO, TextIO, cast

import pyarrow as pa

from recsys_ae.data.configs import COMPRESSED
from recsys_ae.errors import DataError

DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)  # beside OSError


def is_compressed(path: Path) -> bool:
    """Whether the suffix says that the file must be unpacked."""
    return path.suffix.lower() in COMPRESSED


def suffix_of(path: Path) -> str:
    """The suffix of what is in the file, in lower case: ".csv" of ratings.csv.gz and of a zip with a.csv."""
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            return PurePath(_only_member(archive, path)).suffix.lower()
    return PurePath(path.stem if is_compressed(path) else path.name).suffix.lower()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked. Raises DataError at a zip archive of any number of files but one."""
    match path.suffix.lower():
        case ".gz":
            with gzip.open(path) as file:
                yield cast(BinaryIO, file)
        case ".bz2":
            with bz2.open(path) as file:
                yield cast(BinaryIO, file)
        case ".xz":
            with lzma.open(path) as file:
                yield cast(BinaryIO, file)
        case ".zst":
            with pa.input_stream(str(path), compression="zstd") as stream:
                yield cast(BinaryIO, io.BufferedReader(stream))
        case ".zip":
            with zipfile.ZipFile(path) as archive, archive.open(_only_member(archive, path)) as member:
                yield cast(BinaryIO, member)
        case _:
            with path.open("rb") as plain:
                yield plain


@contextmanager
def opened_text(path: Path, encoding: str) -> Iterator[TextIO]:
    """The lines of a file with their ends; what cannot be decoded becomes U+FFFD."""
    with opened(path) as file:
        yield io.TextIOWrapper(file, encoding=without_mark(encoding), errors="replace", newline="")


def without_mark(encoding: str) -> str:
    """The encoding that also drops a byte order mark, which spreadsheets put before UTF-8."""
    return "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding


def _only_member(archive: zipfile.ZipFile, path: Path) -> str:
    hidden = ("__MACOSX/", ".")
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith(hidden)]
    if len(names) == 1:
        return names[0]
    held = ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")
    raise DataError(
        f"{path}: holds {len(names)} files{f' ({held})' if names else ''} and must hold one; "
        "unpack it and name the file with the ratings"
    )
