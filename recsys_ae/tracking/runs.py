"""What the store tells of past runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_ae.errors import TrackingError, brief, cut
from recsys_ae.evaluation.report import REPORT
from recsys_ae.tracking.address import database_of, local_path, resolve_uri, shown
from recsys_ae.tracking.processes import has_died
from recsys_ae.tracking.store import asked, temporary_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

_MOST_PAGES = 1000  # of up to 1000 runs each
_MOST_EXPERIMENTS = 10_000
PARENT = "mlflow.parentRunId"
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
        found = _experiment(client, experiment, uri)
        return [_tracked(run) for run in search(client, [found.experiment_id])]

    return asked(uri, find)


def _experiment(client: MlflowClient, name: str, uri: str | None) -> Experiment:
    found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage == "deleted":
        names = (cut(other.name) for other in client.search_experiments() if other.name != "Default")
        known = ", ".join(sorted(names)) or "none"
        raise TrackingError(f"the tracking store {shown(resolve_uri(uri))} has no experiment "
                            f"{brief(name)}; it has: {known}")  # fmt: skip
    return found


def page_of(experiment: str | None, *, uri: str | None = None) -> str:
    """Where on MLflow's page the runs of an experiment are, as machine learning looks at them; without a name
    those of the experiment that got the latest run, and "" where there is none.

    Raises TrackingError where the store fails or knows no such experiment.
    """

    def find(client: MlflowClient) -> str:
        if experiment is not None:
            return _page(_experiment(client, experiment, uri).experiment_id)
        ids = [each.experiment_id for each in client.search_experiments(max_results=_MOST_EXPERIMENTS)]
        latest = client.search_runs(ids, order_by=["attributes.start_time DESC"], max_results=1)
        return _page(latest[0].info.experiment_id) if latest else ""

    return asked(uri, find)


def _page(experiment_id: str) -> str:
    return f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning"


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

    return asked(uri, find) if _is_there(uri) else None


def incomplete_runs(
    ids: Sequence[str | None], tag: Mapping[str, str], *, uri: str | None = None
) -> list[str]:
    """The ids of what the store has of a result, in part only: the runs with these ids, those that have the
    tag of the result, and those nested in them.

    Raises TrackingError where it has the result, which the first id is of, whole: nothing is tracked twice.
    """
    named = [None if run_id is None else find_run(run_id, uri=uri) for run_id in ids]
    tagged = tagged_runs(tag, uri=uri)
    for run in (*named[:1], *tagged):
        if run is not None and run.is_complete:
            store = shown(resolve_uri(uri))
            raise TrackingError(f"the run is tracked already as {run.run_id} in {store}; to track it anew, "
                                "delete that run first")  # fmt: skip
    nested = [inner for run in tagged for inner in tagged_runs({PARENT: run.run_id}, uri=uri)]
    return list(dict.fromkeys(run.run_id for run in (*named, *tagged, *nested) if run is not None))


def tagged_runs(tag: Mapping[str, str], *, uri: str | None = None) -> list[TrackedRun]:
    """The runs that have all of these tags, in whichever experiments; none of those in the trash, and none
    where no tag is named."""
    text = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tag.items())

    def find(client: MlflowClient) -> list[TrackedRun]:
        known = [
            experiment.experiment_id
            for experiment in client.search_experiments(max_results=_MOST_EXPERIMENTS)
        ]
        return [_tracked(run) for run in search(client, known, text)]

    return asked(uri, find) if text and _is_there(uri) else []


def _is_there(uri: str | None) -> bool:
    """Not so of a local database that is not made yet."""
    database = database_of(resolve_uri(uri))
    return database is None or database.exists()


def delete_run(run_id: str, *, uri: str | None = None) -> None:
    """Put a run into the store's trash."""
    asked(uri, lambda client: client.delete_run(run_id))


def search(client: MlflowClient, experiment_ids: Sequence[str], text: str = "") -> Iterator[Run]:
    """All runs of some experiments for which a filter holds, oldest first. Raises TrackingError for a store
    that always has one more page."""
    token = None
    for _ in range(_MOST_PAGES):
        page = client.search_runs(list(experiment_ids), text, order_by=["attributes.start_time ASC"],
                                  page_token=token)  # fmt: skip
        yield from page
        token = page.token
        if not token or not page:
            return
    raise TrackingError(f"the tracking store {shown(client.tracking_uri)} lists more than {_MOST_PAGES} "
                        "pages of runs; is it one of MLflow?")  # fmt: skip


def download_report(run: TrackedRun, *, uri: str | None = None) -> Path:
    """The per-user values of a run as a local parquet file, as `download_files`. NoReportError where the run
    has none."""
    path = download_files(run, [REPORT], uri=uri) / REPORT
    if not path.exists():
        raise NoReportError(f"run {cut(run.name)} ({run.run_id}, status {run.status}) has no {REPORT}; "
                            "only runs that reached the evaluation can be compared in pairs")  # fmt: skip
    return path


def download_files(run: TrackedRun, names: Collection[str], *, uri: str | None = None) -> Path:
    """A local folder with those of the files of a run that it has: where they lie in a local store, else
    copies in a temporary folder that goes with the process."""

    def fetch(client: MlflowClient) -> Path:
        here = local_path(run.artifact_uri)
        if here is not None:
            return here
        target = temporary_folder()
        for entry in client.list_artifacts(run.run_id):
            if entry.path in names:
                client.download_artifacts(run.run_id, entry.path, target)
        return Path(target)

    return asked(uri, fetch, downloads=True)


def runs_named(name: str, *, uri: str | None = None) -> list[TrackedRun]:
    """The runs of this name in all experiments, oldest first; none of those in the trash."""
    if "'" in name:  # which no name of ours has, and no filter could quote
        return []

    def find(client: MlflowClient) -> list[TrackedRun]:
        known = [each.experiment_id for each in client.search_experiments(max_results=_MOST_EXPERIMENTS)]
        return [_tracked(run) for run in search(client, known, f"attributes.run_name = '{name}'")]

    return asked(uri, find) if _is_there(uri) else []


def _tracked(run: Run) -> TrackedRun:
    info, tags = run.info, run.data.tags
    status = "DIED" if has_died(info.status, tags) else info.status
    seconds = None if info.end_time is None else (info.end_time - info.start_time) / 1000
    return TrackedRun(
        run_id=info.run_id, name=info.run_name, status=status,
        started=datetime.fromtimestamp(info.start_time / 1000, UTC), seconds=seconds,
        params=run.data.params, metrics=run.data.metrics, tags=tags, parent_id=tags.get(PARENT),
        artifact_uri=info.artifact_uri,
    )  # fmt: skip
