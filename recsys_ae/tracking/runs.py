"""What the store tells of past runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_ae.errors import TrackingError
from recsys_ae.evaluation.report import REPORT
from recsys_ae.tracking.store import connected, resolve_uri, shown

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run as the store has it; `metrics` are the last values, `params` texts, `parent_id` None at the top.

    `started`: UTC; `seconds`: None while it runs.
    """

    run_id: str
    name: str
    status: str
    started: datetime
    seconds: float | None
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    parent_id: str | None
    artifact_uri: str


def experiment_runs(experiment: str, *, uri: str | None = None) -> list[TrackedRun]:
    """All runs of an experiment, nested ones too, oldest first.

    Raises TrackingError where the store fails or knows no such experiment; the sentence names those it knows.
    """
    with connected(uri) as client:
        found = client.get_experiment_by_name(experiment)
        if found is None or found.lifecycle_stage == "deleted":
            names = (other.name for other in client.search_experiments() if other.name != "Default")
            raise TrackingError(f"the tracking store {shown(resolve_uri(uri))} has no experiment "
                                f"{experiment!r}; it has: {', '.join(sorted(names)) or 'none'}")  # fmt: skip
        runs, token = [], None
        while True:
            page = client.search_runs([found.experiment_id], order_by=["attributes.start_time ASC"],
                                      page_token=token)  # fmt: skip
            runs += [_tracked(run) for run in page]
            token = page.token
            if not token:
                return runs


def download_report(run: TrackedRun, *, uri: str | None = None) -> Path:
    """The per-user values of a run as a local parquet file: where it lies in a local store, else a copy in a
    temporary folder. TrackingError where the run has none."""
    with connected(uri) as client:
        if all(entry.path != REPORT for entry in client.list_artifacts(run.run_id)):
            raise TrackingError(f"run {run.name} ({run.run_id}, status {run.status}) has no {REPORT}; "
                                "only runs that reached the evaluation can be compared in pairs")  # fmt: skip
        return Path(client.download_artifacts(run.run_id, REPORT))


def _tracked(run: Run) -> TrackedRun:
    info, tags = run.info, run.data.tags
    seconds = None if info.end_time is None else (info.end_time - info.start_time) / 1000
    return TrackedRun(
        run_id=info.run_id, name=info.run_name, status=info.status,
        started=datetime.fromtimestamp(info.start_time / 1000, UTC), seconds=seconds,
        params=run.data.params, metrics=run.data.metrics, tags=tags, parent_id=tags.get("mlflow.parentRunId"),
        artifact_uri=info.artifact_uri,
    )  # fmt: skip
