"""What a run tells of itself, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol


class Tracker(AbstractContextManager["Tracker"], Protocol):
    """Hears of one run. Entering opens the run, leaving closes it (as failed on an error).

    `run_id`: the store's id of the run, None where there is no store. A tracker that fails warns once and is
    silent from then on: the run goes on with everything on disk.
    """

    run_id: str | None

    def params(self, values: Mapping[str, Any]) -> None:
        """The flat config: "model.l2" -> 0.0002."""
        ...

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Names are "test/rmse", "validation/score", "train/reconstruction"; `step` is the epoch."""
        ...

    def artifact(self, path: Path) -> None:
        """A file, or a folder with all in it."""
        ...

    def model(self, folder: Path) -> str | None:
        """A model folder as models/storage.py writes it; its URI (runs:/ID/model), None if untracked."""
        ...

    def child(self, name: str) -> Tracker:
        """A nested run."""
        ...
