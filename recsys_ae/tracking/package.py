"""What a packed model takes along to be loaded where this package is not installed."""

from __future__ import annotations

import re
import zipfile
from importlib import metadata
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
ARCHIVE = "recsys_ae.zip"  # served_model.py knows this name, too
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # that a zip file can say: the same code makes the same bytes
_LOADING = ("mlflow", "numba", "numpy", "pandas", "pyarrow", "pydantic", "pyyaml", "safetensors", "scipy",
            "threadpoolctl")  # fmt: skip


def write_code(folder: Path) -> Path:
    """Write this package's own code as one file, from which Python can import it. One file, as a store
    answers for each that it is sent."""
    with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(_PACKAGE.rglob("*.py")):
            entry = zipfile.ZipInfo(path.relative_to(_PACKAGE.parent).as_posix(), _EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return folder / ARCHIVE


def requirements(*, torch: bool) -> list[str]:
    """The packages that loading and scoring take, as pip reads them, at the versions that are installed here.
    `torch`: the model is a network."""
    names = [*_LOADING, *(["torch"] if torch else [])]
    return [f"{name}{_pin(name)}" for name in names]


def _pin(name: str) -> str:
    """The version that indexes have: without a local label, such as the `+cpu` of torch's own index. Nothing
    for what came from elsewhere, or was built between two releases."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:  # a part of it is here, under another name
        return ""
    version = found.version.partition("+")[0]
    is_elsewhere = found.read_text("direct_url.json") is not None
    return "" if is_elsewhere or re.search(r"dev|git", version) else f"=={version}"
