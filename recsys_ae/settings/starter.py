"""The configs that come with the package, for folders that are no checkout of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recsys_ae.errors import ConfigError, StorageError
from recsys_ae.files import replaced

CONFIGS = "configs"  # in the package where it was built, beside it in a checkout
_PACKAGE = Path(__file__).parents[1]
_SHOWN = 3  # names in a sentence


@dataclass(frozen=True, slots=True)
class Started:
    """What `start` has done. `folder`: that of the configs; `written` and `present`: names of files in it,
    with slashes; the latter were there already."""

    folder: Path
    written: tuple[str, ...]
    present: tuple[str, ...]


def start(folder: Path) -> Started:
    """Write the configs (experiments, benchmarks, searches) to `folder`/configs. Files that are there and the
    same stay.

    Raises ConfigError, before anything is written, where files of these names hold something else;
    StorageError where the folder cannot be written.
    """
    source, target = _source(), folder / CONFIGS
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*.yaml"))
    texts = {name: (source / name).read_bytes() for name in names}
    present = {name: _bytes_of(target / name) for name in names if (target / name).exists()}
    if other := [name for name, found in present.items() if found != texts[name]]:
        more = f" and {len(other) - _SHOWN} more" if len(other) > _SHOWN else ""
        named = ", ".join(str(target / name) for name in other[:_SHOWN])
        raise ConfigError(f"{named}{more}: not those of this version; move them away, or name another folder")
    new = [name for name in names if name not in present]
    for name in new:
        with replaced(target / name) as temporary:
            temporary.write_bytes(texts[name])
    return Started(target, tuple(new), tuple(present))


def _source() -> Path:
    for folder in (_PACKAGE / CONFIGS, _PACKAGE.parent / CONFIGS):
        if folder.is_dir():
            return folder
    raise StorageError(f"{_PACKAGE / CONFIGS}: is missing; install the package again")


def _bytes_of(path: Path) -> bytes | None:
    """None of what is no file."""
    return path.read_bytes() if path.is_file() else None
