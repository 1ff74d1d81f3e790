"""What the store tells of past runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_ae.errors import TrackingError
from recsys_ae.evaluation.report import REPORT
from recsys_ae.tracking.address import database_of, resolve_uri, shown
from recsys_ae.tracking.processes import has_died
from recsys_ae.tracking.store import asked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_MOST_PAGES = 1000  # of up to 1000 runs each
INCOMPLETE = "recsys_ae.incomplete"  # the tag of a run of which the store did not get everything


class NoReportError(TrackingError):
    """A run that has no values per user; its store is all right."""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run as the store has it; `metrics` are the last values, `params` texts, `parent_id` None at the top.

    `status`: DIED where the process ended without closing the run. `started`: UTC; `seconds`: None while it
    runs.
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

    @property
    def is_complete(self) -> bool:
        """It was closed as finished, and the store got everything."""
        return self.status == "FINISHED" and INCOMPLETE not in self.tags


def experiment_runs(experiment: str, *, uri: str | None = None) -> list[TrackedRun]:
    """All runs of an experiment, nested ones too, oldest first.

    Raises TrackingError where the store fails or knows no such experiment; the sentence names those it knows.
    """

    def find(client: MlflowClient) -> list[TrackedRun]:
        found = client.get_experiment_by_name(experiment)
        if found is None or found.lifecycle_stage == "deleted":
            names = (other.name for other in client.search_experiments() if other.name != "Default")
            raise TrackingError(f"the tracking store {shown(resolve_uri(uri))} has no experiment "
                                f"{experiment!r}; it has: {', '.join(sorted(names)) or 'none'}")  # fmt: skip
        return [_tracked(run) for run in search(client, found.experiment_id)]

    return asked(uri, find)


def find_run(run_id: str, *, uri: str | None = None) -> TrackedRun | None:
    """The run with this id; None where the store has none, or has it in the trash."""
    from mlflow.exceptions import MlflowException

    def find(client: MlflowClient) -> TrackedRun | None:
        try:
            run = client.get_run(run_id)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return _tracked(run) if run.info.lifecycle_stage == "active" else None

    address = resolve_uri(uri)
    database = database_of(address)
    if database is not None and not database.exists():
        return None
    return asked(address, find)


def incomplete_runs(ids: Sequence[str | None], *, uri: str | None = None) -> list[str]:
    """Those of the runs with these ids that the store has, the first of them in part only.

    Raises TrackingError where it has the first whole: nothing is tracked twice.
    """
    found = {run_id: find_run(run_id, uri=uri) for run_id in ids if run_id is not None}
    first = found.get(ids[0]) if ids[0] is not None else None
    if first is not None and first.is_complete:
        store = shown(resolve_uri(uri))
        raise TrackingError(
            f"the run is tracked already as {first.run_id} in {store}; to track it anew, delete that run "
            "first"
        )
    return [run_id for run_id, run in found.items() if run is not None]


def delete_run(run_id: str, *, uri: str | None = None) -> None:
    """Put a run into the store's trash."""
    asked(uri, lambda client: client.delete_run(run_id))


def search(client: MlflowClient, experiment_id: str, text: str = "") -> Iterator[Run]:
    """All runs of an experiment for which a filter holds, oldest first. Raises TrackingError for a store that
    always has one more page."""
    token = None
    for _ in range(_MOST_PAGES):
        page = client.search_runs([experiment_id], text, order_by=["attributes.start_time ASC"],
                                  page_token=token)  # fmt: skip
        yield from page
        token = page.token
        if not token or not page:
            return
    raise TrackingError(f"the tracking store {shown(client.tracking_uri)} lists more than {_MOST_PAGES} pages "
                        "of runs; is it one of MLflow?")  # fmt: skip


def download_report(run: TrackedRun, *, uri: str | None = None) -> Path:
    """The per-user values of a run as a local parquet file: where it lies in a local store, else a copy in a
    temporary folder. NoReportError where the run has none."""

    def fetch(client: MlflowClient) -> Path:
        if all(entry.path != REPORT for entry in client.list_artifacts(run.run_id)):
            raise NoReportError(f"run {run.name} ({run.run_id}, status {run.status}) has no {REPORT}; "
                                "only runs that reached the evaluation can be compared in pairs")  # fmt: skip
        return Path(client.download_artifacts(run.run_id, REPORT))

    return asked(uri, fetch, downloads=True)


def _tracked(run: Run) -> TrackedRun:
    info, tags = run.info, run.data.tags
    status = "DIED" if has_died(info.status, tags) else info.status
    seconds = None if info.end_time is None else (info.end_time - info.start_time) / 1000
    return TrackedRun(
        run_id=info.run_id, name=info.run_name, status=status,
        started=datetime.fromtimestamp(info.start_time / 1000, UTC), seconds=seconds,
        params=run.data.params, metrics=run.data.metrics, tags=tags, parent_id=tags.get("mlflow.parentRunId"),
        artifact_uri=info.artifact_uri,
    )  # fmt: skip
