"""Documents and files that say themselves whether they are as they were written.

A sealed document is JSON whose last key, "checksum", is that of its own text; its key "files" has the
checksums of the files that lie beside it. Checksums are BLAKE2b of 128 bits, in hexadecimal: they find what
disks and copies do to files, not what a person does on purpose. Arrays lie beside it as safetensors.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from recsys_ae.errors import StorageError

FILES, CHECKSUM = "files", "checksum"
_SIZE = 16  # bytes
_OPEN = "0" * (2 * _SIZE)  # stands where the checksum will be, while that is computed


def write_sealed(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document that has its own checksum."""
    text = json.dumps({**document, CHECKSUM: _OPEN}, indent=2) + "\n"
    path.write_text(_with_last(text, _OPEN, _checksum_of(text)), encoding="utf-8")


def read_sealed(path: Path, *, advice: str) -> Any:
    """A JSON document, less its checksum; one of older programs has none, and is read as it is.

    Raises StorageError where it is not as it was written, ValueError or RecursionError where it is no JSON.
    """
    text = path.read_text(encoding="utf-8")
    document = json.loads(text)
    if not isinstance(document, dict) or not document.keys() & {CHECKSUM, FILES}:
        return document
    checksum = document.pop(CHECKSUM, None)
    if not isinstance(checksum, str) or _checksum_of(_with_last(text, checksum, _OPEN)) != checksum:
        raise StorageError(f"{path}: damaged, as its checksum does not hold; {advice}")
    return document


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """A safetensors file. Raises OSError where it cannot be written, such as on a full disk."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # written as it lies
    path.touch()
    may_read = path.stat().st_mode  # as any new file here; the library lets nobody but the owner read it
    try:
        save_file(contiguous, path)
        with suppress(OSError):  # some file systems know no rights
            path.chmod(may_read)
    except SafetensorError as error:
        code = re.search(r"\(os error (\d+)\)", str(error))  # of the system, after three layers
        if code is None:
            raise OSError(str(error)) from error
        raise OSError(int(code[1]), os.strerror(int(code[1]))) from error


def checksums(folder: Path, names: Collection[str] | None = None) -> dict[str, str]:
    """The checksum of each file of a folder by its name, with slashes; `names`: those wanted, None: all, with
    those of the folders below."""
    found = sorted(path for path in folder.rglob("*") if path.is_file()) if names is None else (
        folder / name for name in sorted(names)
    )  # fmt: skip
    return {path.relative_to(folder).as_posix(): checksum_of_file(path) for path in found}


def check_files(folder: Path, expected: Mapping[str, str], *, advice: str) -> None:
    """Raises StorageError, naming the first file that is missing or not as it was written."""
    for name, checksum in expected.items():
        try:
            found = checksum_of_file(folder / name)
        except OSError as error:
            raise StorageError(
                f"{folder / name}: cannot be read ({error.strerror or error}); {advice}"
            ) from error
        if found != checksum:
            raise StorageError(f"{folder / name}: damaged, as its checksum does not hold; {advice}")


def _checksum_of(text: str) -> str:
    return checksum_of(text.encode())


def checksum_of(data: bytes | memoryview) -> str:
    """Of bytes, however they are held."""
    return hashlib.blake2b(data, digest_size=_SIZE).hexdigest()


def checksum_of_file(path: Path) -> str:
    """Of a file's bytes. Raises OSError where they cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_SIZE)).hexdigest()


def _with_last(text: str, old: str, new: str) -> str:
    before, _, after = text.rpartition(old)
    return before + new + after
