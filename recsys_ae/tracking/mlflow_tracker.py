"""Runs in MLflow: what a run tells, in the calls of a client. Whoever must not wait wraps it (`queue.py`)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from recsys_ae.errors import TrackingError
from recsys_ae.tracking import logged_models, records
from recsys_ae.tracking.address import artifact_root, resolve_uri, shown
from recsys_ae.tracking.machine import Machine
from recsys_ae.tracking.messenger import own_work
from recsys_ae.tracking.processes import has_died, process_tags
from recsys_ae.tracking.runs import INCOMPLETE, PARENT, search
from recsys_ae.tracking.store import connected, tidy
from recsys_ae.tracking.tracker import DatasetRecord, ModelRecord, status_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Metric

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")

_KIND = {"mlflow.experimentKind": "custom_model_development"}  # the page shows runs and models, not traces
_FLUSH_AT = 500  # metrics; MLflow takes 1000 in one call
_FLUSH_AFTER = 10.0  # seconds, so that the page shows a long run's curve while it grows


@dataclass(slots=True)
class _Link:
    """What a run and its nested runs share: the store, and whether it has failed."""

    uri: str
    experiment: str
    folder: Path | None
    on_failure: Literal["warn", "raise"]
    broken: bool = False

    def give_up(self, sentence: str) -> None:
        """What one failure of the store means for all runs that share it: one warning, or an error."""
        if self.on_failure == "raise":
            raise TrackingError(sentence)
        if self.broken:
            return
        self.broken = True
        log.warning("%s; tracking stops here, the run goes on and keeps all results on disk; once %s "
                    "answers, upload them with: recsys-ae upload %s",
                    sentence, shown(self.uri), quote(str(self.folder or "RUN_FOLDER")))  # fmt: skip


class MlflowTracker:
    """One run of an experiment, as `Tracker` promises.

    `uri`: the store; None means MLFLOW_TRACKING_URI, else mlflow.db in the working folder, with artifacts in
    mlartifacts beside it. `tags`: set when the run starts, beside the versions and the git commit. `folder`:
    where the run keeps its files, named by the warning. The first failure of the store is one warning, and
    the tracker is silent from then on; with `on_failure="raise"` it is a TrackingError instead.
    """

    def __init__(
        self,
        experiment: str,
        run_name: str,
        *,
        uri: str | None = None,
        tags: Mapping[str, str] | None = None,
        folder: Path | None = None,
        on_failure: Literal["warn", "raise"] = "warn",
    ) -> None:
        self.run_id: str | None = None
        self.link = _Link(resolve_uri(uri), experiment, folder, on_failure)
        self._name = run_name
        self._tags = dict(tags or {})
        self._parent: MlflowTracker | None = None
        self._experiment_id = ""  # known once the run is open
        self._datasets: dict[str, tuple[str, str]] = {}  # name and digest of each context
        self._model: LoggedModel | None = None
        self._has_files = False  # the model has
        self._machine: Machine | None = None
        self._n_samples = 0
        self._waiting: list[Metric] = []
        self._flushed = time.monotonic()

    def __enter__(self) -> MlflowTracker:
        try:
            self._try("the run could not be opened", self._open)
            if self._parent is None and self.run_id is not None:
                self._in_peace(lambda client: close_dead_runs(client, self._experiment_id))
                with own_work(), suppress(Exception):  # where it cannot be asked nothing is told of it
                    self._machine = Machine()
        except BaseException as error:  # nobody else closes what was opened
            with suppress(TrackingError):
                self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status, self._machine = status_of(kind), None
        if self.run_id is not None and self.link.broken:
            self._close_incomplete(self.run_id, status)
        else:
            self._flush()
            self._log("the run could not be closed", self._close, status)

    def params(self, values: Mapping[str, Any]) -> None:
        self._log("the config was not logged", records.send, params=values)

    def tags(self, values: Mapping[str, str]) -> None:
        self._log("the tags were not logged", records.send, tags=values)

    def dataset(self, record: DatasetRecord) -> None:
        self._log("the dataset was not logged", self._send_dataset, record)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Kept back and sent in batches: a call for each would cost more than many an epoch."""
        if self.link.broken or self.run_id is None:
            return
        self._waiting += records.metrics(values, step)
        if len(self._waiting) >= _FLUSH_AT or time.monotonic() - self._flushed > _FLUSH_AFTER:
            self._flush()

    def sample(self) -> None:
        """Tell how busy the machine is. Nothing where the run is not open."""
        if self._machine is not None:
            self.metrics(self._machine.sample(), self._n_samples)
            self._n_samples += 1

    def artifact(self, path: Path) -> None:
        self._log(f"{path.name} was not logged", records.send_files, path)

    def fitted(self, record: ModelRecord) -> None:
        self._log("the figures of the model were not logged", self._begin_model, record)

    def model(self, folder: Path) -> str | None:
        if self._model is None:
            self.fitted(ModelRecord("model"))
        return self._log("the model was not logged", self._finish_model, folder)

    def child(self, name: str, *, waits: bool = True) -> MlflowTracker:
        nested = MlflowTracker(self.link.experiment, name, uri=self.link.uri)
        nested.link, nested._parent = self.link, self
        return nested

    def _open(self, client: MlflowClient) -> None:
        parent, tags = self._parent, records.system_tags() | process_tags() | self._tags
        if parent is None:
            tidy(self.link.uri)
            self._experiment_id = experiment_id(client, self.link.experiment, self.link.uri)
        elif parent.run_id is None:
            raise TrackingError("the parent run is not open")
        else:
            self._experiment_id = parent._experiment_id
            tags[PARENT] = parent.run_id
        # In one call: of a run without tags nobody could tell that its process has died.
        run = client.create_run(self._experiment_id, run_name=self._name, tags=records.tag_texts(tags))
        self.run_id = run.info.run_id

    def _send_dataset(self, client: MlflowClient, run_id: str, record: DatasetRecord) -> None:
        with own_work():
            from recsys_ae.tracking.datasets import dataset_input, identity

        client.log_inputs(run_id, [dataset_input(record)])
        self._datasets[record.context] = identity(record)

    def _begin_model(self, client: MlflowClient, run_id: str, record: ModelRecord) -> None:
        """Its figures are linked to it, and to the ratings that they were measured on."""
        experiment = self._experiment_id, self.link.experiment
        self._model = made = logged_models.begin(client, run_id, experiment, record)
        for context, values in record.metrics.items():
            measured = records.metrics(values, model_id=made.model_id, dataset=self._datasets.get(context))
            records.send(client, run_id, metrics=measured)

    def _finish_model(self, client: MlflowClient, run_id: str, folder: Path) -> str | None:
        if self._model is None:
            return None
        uri = logged_models.finish(client, run_id, self._model, folder)
        self._has_files = True
        return uri

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._flushed = time.monotonic()
        if waiting:
            self._log("metrics were not logged", records.send, metrics=waiting)

    def _log(self, loss: str, action: Callable[..., Answer], *what: Any, **values: Any) -> Answer | None:
        """Does `action` with a client and the id of the run, which is open."""
        run_id = self.run_id
        return (
            None
            if run_id is None
            else self._try(loss, lambda client: action(client, run_id, *what, **values))
        )

    def _try(self, loss: str, action: Callable[[MlflowClient], Answer]) -> Answer | None:
        """The answer of the store, None if it has failed now or before."""
        if self.link.broken:
            return None
        try:
            with connected(self.link.uri, create=True) as client:
                return action(client)
        except TrackingError as error:
            self.link.give_up(f"{loss}: {error}")
            return None

    def _close_incomplete(self, run_id: str, status: str) -> None:
        """A run that lost something is closed if the store lives, marked, else left as it is."""

        def close(client: MlflowClient) -> None:
            client.set_tag(run_id, INCOMPLETE, "true")
            self._close(client, run_id, status)

        self._in_peace(close)

    def _close(self, client: MlflowClient, run_id: str, status: str) -> None:
        """A model whose files have not come will never have any."""
        client.set_terminated(run_id, status)
        if self._model is not None and not self._has_files:
            logged_models.fail(client, self._model)

    def _in_peace(self, action: Callable[[MlflowClient], None]) -> None:
        """Does what is no loss where it fails."""
        try:
            with connected(self.link.uri) as client:
                action(client)
        except TrackingError as error:
            log.debug("%s", error)


def close_dead_runs(client: MlflowClient, experiment_id: str) -> None:
    """Runs of this user whose process on this host has died are no longer open: they were killed."""
    for run in search(client, [experiment_id], "attributes.status = 'RUNNING'"):
        tags = run.data.tags
        if has_died(run.info.status, tags) and tags.get("mlflow.user") == records.user():
            client.set_terminated(run.info.run_id, "KILLED")


def experiment_id(client: MlflowClient, name: str, uri: str) -> str:
    """The id of the experiment, which is made where it does not exist."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        root = artifact_root(uri)
        location = None if root is None else f"{root}/{records.as_file_name(name)}"
        try:
            return client.create_experiment(name, artifact_location=location, tags=_KIND)
        except MlflowException:  # another run made it in the meantime
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise TrackingError(f"experiment {name!r} is in the trash of the tracking store; restore it (`mlflow "
                            "experiments restore`) or choose another name")  # fmt: skip
    return found.experiment_id
