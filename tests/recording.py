"""A tracker that tests can ask what it was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from recsys_ae.tracking.tracker import DatasetRecord, ModelRecord, Status, status_of


@dataclass(slots=True)
class RecordingTracker:
    """Keeps all that it hears.

    `logged_metrics`: (name, value, step) in the order of arrival; `artifacts` and `models`: names of what was
    there when it was logged; `children`: the nested runs; `status`: None while the run is open.
    """

    name: str = "run"
    run_id: str | None = None
    logged_params: dict[str, Any] = field(default_factory=dict)
    logged_tags: dict[str, str] = field(default_factory=dict)
    datasets: list[DatasetRecord] = field(default_factory=list)
    logged_metrics: list[tuple[str, float, int | None]] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    fitted_models: list[ModelRecord] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    children: list[RecordingTracker] = field(default_factory=list)
    status: Status | None = None

    def params(self, values: Mapping[str, Any]) -> None:
        self.logged_params.update(values)

    def tags(self, values: Mapping[str, str]) -> None:
        self.logged_tags.update(values)

    def dataset(self, record: DatasetRecord) -> None:
        self.datasets.append(record)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self.logged_metrics.extend((name, float(value), step) for name, value in values.items())

    def artifact(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(path)
        self.artifacts.append(path.name)

    def fitted(self, record: ModelRecord) -> None:
        self.fitted_models.append(record)
        for metrics in record.metrics.values():
            self.metrics(metrics)

    def model(self, folder: Path) -> str | None:
        if not folder.is_dir():
            raise FileNotFoundError(folder)
        self.models.append(folder.name)
        return None

    def child(self, name: str, *, waits: bool = True) -> RecordingTracker:
        self.children.append(RecordingTracker(name))
        return self.children[-1]

    def __enter__(self) -> RecordingTracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.status = status_of(kind)
