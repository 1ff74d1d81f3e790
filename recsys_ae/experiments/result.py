"""What a run found, as a value and as a JSON document."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recsys_ae.errors import StorageError


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run. `metrics` are named "test/rmse", ...; `model` is the tracked URI, or the folder where there is
    none; times in seconds, memory in MB; `best_epoch` is the epoch whose model was kept; `device` ("cpu" or
    "cuda") and `threads` are those of the fitting."""

    name: str
    run_id: str | None
    model: str
    folder: str
    metrics: dict[str, float]
    counts: dict[str, int]
    fallback: str
    fit_seconds: float
    evaluate_seconds: float
    peak_memory_mb: float
    epochs_run: int
    best_epoch: int | None
    interrupted: bool
    seed: int
    device: str
    threads: int
    data_fingerprint: str
    split_fingerprint: str
    versions: dict[str, str]
    git_commit: str | None

    def to_json(self) -> dict[str, Any]:
        """JSON values only; a metric that is undefined is null."""
        return json_values(asdict(self))

    @classmethod
    def from_folder(cls, folder: Path) -> RunResult:
        """The result that a run folder holds. Raises StorageError where the folder is none."""
        document = read_json(folder)
        try:
            metrics = {
                name: math.nan if value is None else value for name, value in document["metrics"].items()
            }
            return cls(**{**document, "metrics": metrics})
        except (KeyError, TypeError, AttributeError):
            raise no_run(folder) from None


def read_json(folder: Path) -> Any:
    """What result.json holds in a folder of results. Raises StorageError where it cannot be read."""
    try:
        return json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise no_run(folder) from None


def no_run(folder: Path) -> StorageError:
    """What to raise for a folder without a result that can be read."""
    return StorageError(
        f"{folder}: no run folder (it holds no readable result.json); "
        "give a folder that train or benchmark has written"
    )


def json_values(value: Any) -> Any:
    """The same value with NaN and infinity as null, tuples as lists and NumPy scalars as numbers."""
    if isinstance(value, Mapping):
        return {str(key): json_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(inner) for inner in value]
    if hasattr(value, "tolist"):
        return json_values(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, document: Any) -> None:
    """A JSON file without NaN, indented."""
    path.write_text(json.dumps(json_values(document), indent=2, allow_nan=False) + "\n", encoding="utf-8")
