"""Compressed streams: read to their last byte, and not beyond what a file of ratings can hold."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from recsys_ae.errors import DataError

MOST_UNPACKED = 64 << 30  # bytes of one file
MOST_RATIO = 200  # unpacked to packed; text of ratings has 3 to 50
UNSUSPICIOUS = 256 << 20  # bytes below which the ratio does not matter
BLOCK_BYTES = 1 << 18


def check_unpacked(path: Path, n_bytes: int, n_packed: int | None = None) -> None:
    """Raises DataError where the bytes that a file unpacks to are beyond the limits above. `n_packed`: its
    size, looked up where it is None."""
    if n_bytes > MOST_UNPACKED:
        raise DataError(f"{path}: unpacks to more than {MOST_UNPACKED >> 30} GiB; split it")
    if n_bytes <= UNSUSPICIOUS:
        return
    if n_bytes > MOST_RATIO * (path.stat().st_size if n_packed is None else n_packed):
        raise DataError(
            f"{path}: unpacks to more than {MOST_RATIO} times its size, as no file of ratings "
            "does; where it is meant so, unpack it and name what was in it"
        )


class Unpacked:
    """What a file of one or more compressed streams holds; the library's own readers leave out, without a
    word, what follows the first of them and is damaged. Raises EOFError at a stream that has no end, OSError
    or LZMAError at what is none."""

    def __init__(self, file: BinaryIO, decompressor: Callable[[], Any]) -> None:
        self._file, self._make = file, decompressor
        self._stream: Any = decompressor()
        self._left, self._begun = b"", False

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        while True:
            if self._stream.eof and not self._next():
                return b""
            block = b""
            if self._stream.needs_input:
                block, self._left = self._left or self._file.read(BLOCK_BYTES), b""
                if not block and self._begun:
                    raise EOFError("a compressed stream has no end")
                if not block:
                    return b""
                self._begun = True
            if found := self._stream.decompress(block, size):
                return found

    def _next(self) -> bool:
        """Whether another stream follows; zeros may stand between them and at the end."""
        left = self._stream.unused_data or self._file.read(BLOCK_BYTES)
        while left and not (left := left.lstrip(b"\0")):
            left = self._file.read(BLOCK_BYTES)
        self._left = left
        self._stream = self._make() if left else self._stream
        return bool(left)


class Limited(io.RawIOBase):
    """A stream that was unpacked from a file, up to the limits above, beyond which it raises DataError."""

    def __init__(self, source: Any, path: Path) -> None:
        self._source, self._path = source, path
        self._n_packed, self._n = path.stat().st_size, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._source.read(len(buffer))
        buffer[: len(found)] = found
        self._n += len(found)
        check_unpacked(self._path, self._n, self._n_packed)
        return len(found)
