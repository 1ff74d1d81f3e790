"""How many rows a file holds, counted without the readers: none may be lost in silence."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from recsys_ae.data.readers.opened import opened, without_mark
from recsys_ae.errors import DataError
from recsys_ae.types import Progress, unwatched

BLOCK_BYTES = 1 << 20  # what the arrays of a block take stays in the processor's cache
LINE_FEED, RETURN, QUOTE = b'\n\r"'


class RowsDiffer(Exception):
    """A fast reader gave other rows than the lines of the file, or these are not for it to read."""


def check_lines(
    path: Path, encoding: str, n_read: int, quoted_by: str = "", *, on_read: Progress = unwatched
) -> None:
    """Raises RowsDiffer unless the file has `n_read` lines that are not empty, each of which is a record of
    its own: none holds a NUL nor, where fields between separators `quoted_by` may be quoted, double quotes
    but in pairs around whole fields. Takes about
    a second for 25 million lines. `on_read`: told how many bytes have been read, of how many."""
    n_lines = 0
    for block in _whole_lines(path, encoding, on_read):
        if 0 in block:
            raise RowsDiffer
        cells = np.frombuffer(block, dtype=np.uint8)
        is_end = cells == LINE_FEED
        if RETURN in block:
            is_end |= cells == RETURN
        n_lines += int(np.count_nonzero(is_end[1:] & ~is_end[:-1]))
        if quoted_by and QUOTE in block:
            _check_quotes(cells, is_end, ord(quoted_by))
    if n_lines != n_read:
        raise RowsDiffer


def _check_quotes(cells: np.ndarray, is_end: np.ndarray, separator: int) -> None:
    """Of whole lines: quotes open after a separator or a line end, close before one, or come in twos. What
    comes before the first cell is the last one, a line end."""
    quotes = np.flatnonzero(cells == QUOTE)
    is_border = is_end | (cells == separator)
    is_border[quotes] = True
    opening, closing = quotes[::2], quotes[1::2]
    n_before = np.cumsum(cells == QUOTE)[is_end]
    if (n_before % 2).any() or not (is_border[opening - 1].all() and is_border[closing + 1].all()):
        raise RowsDiffer


def check_rows(path: Path, n_read: int, n_held: int) -> None:
    """Raises DataError where a table gave another number of rows than the file says that it holds."""
    if n_read != n_held:
        raise DataError(f"{path}: holds {n_held} rows, of which {n_read} can be read; make it again")


def _whole_lines(path: Path, encoding: str, on_read: Progress) -> Iterator[bytes]:
    """The file in blocks that end where a line ends."""
    rest = b""
    for block in _blocks(path, encoding, on_read):
        block = rest + block
        end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        rest = block[end:]
        if end:
            yield block[:end]
    if rest:
        yield rest + b"\n"


def _blocks(path: Path, encoding: str, on_read: Progress) -> Iterator[bytes]:
    """The file in UTF-8 or in another encoding in which line ends, quotes and NUL are what they are there."""
    with opened(path, on_read) as file:
        source = file if _is_like_ascii(encoding) else _in_utf_8(file, encoding)
        yield from iter(lambda: source.read(BLOCK_BYTES), b"")


def _is_like_ascii(encoding: str) -> bool:
    return '\n\r"\0'.encode(without_mark(encoding).removesuffix("-sig")) == b'\n\r"\0'


class _in_utf_8:
    """Reads a file in UTF-8 that was written in another encoding."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")

    def read(self, size: int) -> bytes:
        return self._text.read(size).encode()
