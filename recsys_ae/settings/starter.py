"""The configs that come with the package, for folders that are no checkout of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recsys_ae.errors import StorageError
from recsys_ae.files import replaced

CONFIGS = "configs"  # in the package where it was built, beside it in a checkout
_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Started:
    """What `start` has done. `folder`: that of the configs; the others: names of files in it, with slashes.
    `present`: they were there already, and the same; `edited`: they were there, with something else in them.
    """

    folder: Path
    written: tuple[str, ...]
    present: tuple[str, ...]
    edited: tuple[str, ...]


def start(folder: Path) -> Started:
    """Write the configs (experiments, benchmarks, searches) to `folder`/configs. What is there stays as it
    is. Raises StorageError where the folder cannot be written.
    """
    source, target = _source(), folder / CONFIGS
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*.yaml"))
    texts = {name: (source / name).read_bytes() for name in names}
    there = {name: _bytes_of(target / name) for name in names if (target / name).exists()}
    new = [name for name in names if name not in there]
    for name in new:
        with replaced(target / name) as temporary:
            temporary.write_bytes(texts[name])
    present = tuple(name for name, found in there.items() if found == texts[name])
    return Started(target, tuple(new), present, tuple(name for name in there if name not in present))


def _source() -> Path:
    for folder in (_PACKAGE / CONFIGS, _PACKAGE.parent / CONFIGS):
        if folder.is_dir():
            return folder
    raise StorageError(f"{_PACKAGE / CONFIGS}: is missing; install the package again")


def _bytes_of(path: Path) -> bytes | None:
    """None of what is no file."""
    return path.read_bytes() if path.is_file() else None
