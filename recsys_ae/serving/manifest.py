"""What a finished folder of lists says of itself, and whether that is so."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys_ae.errors import StorageError
from recsys_ae.files import replaced
from recsys_ae.seals import FILES, check_files, write_sealed
from recsys_ae.serving.plan import ADVICE, Plan, plan_in, read_document

# Appears last: where it is, the folder is whole. Readers of tables pass over names with an underscore first.
MANIFEST = "_manifest.json"
_COUNTS = ("rows", "empty_lists", "short_lists", "fallback_users")


@dataclass(frozen=True, slots=True, repr=False)
class Manifest:
    """The lists of a folder.

    `plan`: what they were made of. `shards`: of each its file, users, rows and counts, in order. `totals`:
    the same counts of all of them, and what was left out. `checksums`: by the names of the files.
    """

    folder: Path
    plan: Plan
    shards: Sequence[Mapping[str, Any]]
    totals: Mapping[str, int]
    checksums: Mapping[str, str]

    def __repr__(self) -> str:
        top = self.plan.settings["n"]
        return f"Manifest({self.folder}: {self.rows} rows, top {top} of {self.users} users)"

    @property
    def users(self) -> int:
        """How many users the lists are for."""
        return self.totals["users"]

    @property
    def rows(self) -> int:
        return self.totals["rows"]

    @property
    def files(self) -> list[Path]:
        """The shards, in order."""
        return [self.folder / shard["file"] for shard in self.shards]

    def document(self) -> dict[str, Any]:
        return {
            **self.plan.document(),
            "totals": dict(self.totals),
            "shards": [dict(shard) for shard in self.shards],
            FILES: dict(self.checksums),
        }

    def write(self) -> None:
        """Raises StorageError where it cannot be written."""
        with replaced(self.folder / MANIFEST) as temporary:
            write_sealed(temporary, self.document())


def totals_of(shards: Sequence[Mapping[str, Any]], more: Mapping[str, int]) -> dict[str, int]:
    """The counts of all shards together, and others."""
    return {name: sum(shard[name] for shard in shards) for name in ("users", *_COUNTS)} | dict(more)


def read_manifest(folder: Path) -> Manifest:
    """What a folder of lists says of itself. Raises StorageError where it is no such folder, not whole, or of
    a newer program."""
    path = folder / MANIFEST
    if not folder.is_dir():
        raise StorageError(f"{folder}: no such folder of lists")
    if not path.is_file():
        raise StorageError(f"{folder}: holds no {MANIFEST}, so the lists are not whole; make them again")
    document = read_document(path)
    try:
        shards, totals, sums = document["shards"], document["totals"], document[FILES]
        names = [shard["file"] for shard in shards]
        if sorted(sums) != sorted(names) or not {"users", *_COUNTS} <= totals.keys():
            raise ValueError("files and shards differ")
        return Manifest(folder, plan_in(path, document), shards, totals, sums)
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path}: does not describe lists ({error}); {ADVICE}") from error


def check_lists(folder: Path) -> Manifest:
    """The manifest of a folder whose files are those that it names, byte for byte. Raises StorageError,
    naming the first file that is missing, damaged or not of these lists, and what `read_manifest` raises."""
    manifest = read_manifest(folder)
    check_files(folder, manifest.checksums, advice="make the lists again into the same folder")
    check_no_strangers(folder, manifest.checksums)
    return manifest


def check_no_strangers(folder: Path, names: Container[str]) -> None:
    """Raises StorageError where the folder holds anything but files of these `names`: whoever reads it as a
    table would read that, too, unless its name begins with a dot or an underscore."""
    others = (path for path in folder.iterdir() if not path.name.startswith((".", "_")))
    if strange := sorted(path.name for path in others if path.name not in names):
        raise StorageError(
            f"{folder / strange[0]}: is none of the lists of this folder, and would be read with them; move "
            "it away, or choose another folder"
        )
