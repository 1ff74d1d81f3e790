"""What a run tells of itself, and to whom."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

Status = Literal["FINISHED", "FAILED", "KILLED"]
Context = Literal["training", "test"]
NOTE = "mlflow.note.content"  # the tag that is shown as the description of a run, in Markdown


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """Which ratings a run used, and for what.

    `fingerprint`: tells them from others of the same name, at most 36 characters; `profile`: JSON values,
    such as how many users, items and ratings there are; `source`: the path or the name that they came from;
    `split` and `split_fingerprint`: how they were divided; `columns`: their types, "long", "string" or
    "float".
    """

    name: str
    fingerprint: str
    profile: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    split: str = ""
    split_fingerprint: str = ""
    context: Context = "training"
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """The model that a run has fitted. `kind`: such as "i-autorec", by which and the experiment a store names
    it; `params`: its settings; `metrics`: what was measured of it on the ratings of each context."""

    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[Context, Mapping[str, float]] = field(default_factory=dict)


class Tracker(AbstractContextManager["Tracker"], Protocol):
    """Hears of one run. Entering opens the run, leaving closes it (as failed on an error).

    `run_id`: the store's id of the run, None where there is no store. A tracker that fails warns once and is
    silent from then on: the run goes on with everything on disk.
    """

    run_id: str | None

    def params(self, values: Mapping[str, Any]) -> None:
        """The config: {"model.l2": 0.0002}, or nested, {"model": {"l2": 0.0002}}. Each name once per run."""
        ...

    def tags(self, values: Mapping[str, str]) -> None:
        """What is known of the run beside its config: seed, fingerprints, device."""
        ...

    def dataset(self, record: DatasetRecord) -> None:
        """Ratings that the run used. Of each context one."""
        ...

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Names are "test/rmse", "validation/rmse", "train/reconstruction"; `step` is the epoch."""
        ...

    def artifact(self, path: Path) -> None:
        """A file, or a folder with all in it, under its own name."""
        ...

    def fitted(self, record: ModelRecord) -> None:
        """The model of the run, once. Its metrics are those of the run, too; its files follow, as `model`."""
        ...

    def model(self, folder: Path) -> str | None:
        """The files of that model, as models/storage.py writes them; its URI (models:/ID), None untracked."""
        ...

    def child(self, name: str, *, waits: bool = True) -> Tracker:
        """A nested run, to be entered in its turn. `waits`: until the store has opened and closed it, so that
        its `run_id` is known; one of many small runs need not."""
        ...


class NullTracker:
    """Tells nobody."""

    run_id: str | None = None

    def params(self, values: Mapping[str, Any]) -> None: ...

    def tags(self, values: Mapping[str, str]) -> None: ...

    def dataset(self, record: DatasetRecord) -> None: ...

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None: ...

    def artifact(self, path: Path) -> None: ...

    def fitted(self, record: ModelRecord) -> None: ...

    def model(self, folder: Path) -> str | None:
        return None

    def child(self, name: str, *, waits: bool = True) -> NullTracker:
        return self

    def __enter__(self) -> NullTracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def status_of(error: type[BaseException] | None) -> Status:
    """How a run ended, told by the exception that it left with."""
    if error is None:
        return "FINISHED"
    return "KILLED" if issubclass(error, KeyboardInterrupt | SystemExit) else "FAILED"
