"""Nothing half-written: outputs appear whole or not at all."""

from __future__ import annotations

import glob
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from recsys_ae.errors import ConfigError, StorageError


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, for a file or a folder; takes its name when the block ends well,
    and disappears when it does not. An existing file or folder of that name is replaced.

    Raises StorageError where the parent folder cannot be made or written to.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _take_place(temporary, path)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror or error}); choose another place"
        ) from error
    finally:
        _remove(temporary)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """A safetensors file. Raises OSError where it cannot be written, such as on a full disk."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # written as it lies
    try:
        save_file(contiguous, path)
    except SafetensorError as error:
        raise OSError(f"{error}") from error


def check_writable(path: Path, option: str) -> None:
    """Raises ConfigError, which names the option, where no file or folder could be made at `path`."""
    parent = next(place for place in path.absolute().parents if place.exists())
    try:
        with TemporaryFile(dir=parent):
            return
    except OSError as error:
        reason = error.strerror or error
    raise ConfigError(
        f"{option} {path}: {parent} is no folder that can be written to ({reason}); choose another"
    )


def remove_leftovers(path: Path) -> None:
    """Remove what writers of `path` left beside it when they were killed. None may be at work now."""
    for suffix in ("tmp", "old"):
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.{suffix}"):
            _remove(left)


def _take_place(temporary: Path, path: Path) -> None:
    if not path.is_dir():
        temporary.replace(path)
        return
    old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")  # no rename onto a folder that has files
    path.replace(old)
    temporary.replace(path)
    shutil.rmtree(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):  # what went wrong before is the news, e.g. a file where a folder should be
            path.unlink()
