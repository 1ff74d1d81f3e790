"""Files as bytes and as text, unpacked on the way where they are compressed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from typing import Any, BinaryIO, TextIO, cast

import pyarrow as pa

from recsys_ae.data.configs import COMPRESSED
from recsys_ae.data.readers.unpacked import Limited, Unpacked
from recsys_ae.errors import DataError
from recsys_ae.types import Progress, unwatched

DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)  # beside OSError
BUFFER_BYTES = 1 << 18
LONGEST_LINE = 16 << 20  # characters


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
def opened(path: Path, on_read: Progress = unwatched) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked. `on_read`: told how many bytes of the file have been read, of how many,
    but of a `.zst` file. Raises DataError at a zip archive of any number of files but one, and at what
    unpacks to more than `MOST_UNPACKED` bytes, or to more than `MOST_RATIO` times its size."""
    with ExitStack() as stack:
        entered = stack.enter_context
        packed = entered(io.BufferedReader(_Watched(path, on_read), BUFFER_BYTES))
        match path.suffix.lower():
            case ".gz":
                source: Any = entered(gzip.GzipFile(fileobj=packed))
            case ".bz2":
                source = Unpacked(packed, bz2.BZ2Decompressor)
            case ".xz":
                source = Unpacked(packed, lzma.LZMADecompressor)
            case ".zst":
                source = entered(pa.input_stream(str(path), compression="zstd"))
            case ".zip":
                archive = entered(zipfile.ZipFile(packed))
                source = entered(archive.open(_only_member(archive, path)))
            case _:
                yield packed
                return
        yield cast(BinaryIO, io.BufferedReader(Limited(source, path), BUFFER_BYTES))


@contextmanager
def opened_text(path: Path, encoding: str) -> Iterator[TextIO]:
    """The lines of a file with their ends; what cannot be decoded becomes U+FFFD."""
    with opened(path) as file:
        yield io.TextIOWrapper(file, encoding=without_mark(encoding), errors="replace", newline="")


def lines_of(file: TextIO, path: Path) -> Iterator[str]:
    """The lines of a file, with their ends. Raises DataError at one that no file of ratings has: a text
    without line ends would fill the memory."""
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), ""), start=1):
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"{path}, line {number}: is longer than {LONGEST_LINE:,} characters; write one rating a line"
            )
        yield line


def without_mark(encoding: str) -> str:
    """The encoding that also drops a byte order mark, which spreadsheets put before UTF-8."""
    return "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding


class _Watched(io.FileIO):
    """A file that tells how far it has been read."""

    def __init__(self, path: Path, on_read: Progress) -> None:
        super().__init__(path)
        self._on_read, self._size = on_read, path.stat().st_size

    def readinto(self, buffer: Any) -> int | None:
        n = super().readinto(buffer)
        self._on_read(self.tell(), self._size)
        return n


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
