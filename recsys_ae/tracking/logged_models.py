"""Models as MLflow 3 lists them: made when a model is fitted, ready once their files are there."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_ae.tracking import records
from recsys_ae.tracking.address import local_path
from recsys_ae.tracking.messenger import own_work
from recsys_ae.tracking.tracker import ModelRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

TYPE = "recommender"


def begin(client: MlflowClient, run_id: str, experiment: tuple[str, str], record: ModelRecord) -> LoggedModel:
    """A new model, an output of the run, that waits for its files. `experiment`: id and name."""
    from mlflow.entities import LoggedModelOutput

    experiment_id, name = experiment
    logged = client.create_logged_model(
        experiment_id,
        name=records.model_name(record.kind, name),
        source_run_id=run_id,
        params=records.param_texts(record.params),
        tags=records.tag_texts({**records.source_tags(), **record.tags}),
        model_type=TYPE,
    )
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return logged


def finish(client: MlflowClient, run_id: str, model: LoggedModel, folder: Path) -> str:
    """Send the files of a model folder; the answer is the URI of the model, models:/ID."""
    from mlflow.entities import LoggedModelStatus
    from mlflow.models import Model

    with own_work():
        from recsys_ae.tracking.pyfunc import pack

    place, model_id = model.artifact_location, model.model_id
    with tempfile.TemporaryDirectory() as temporary:
        packed = Path(temporary) / "packed"
        about = Model(artifact_path=place, model_uuid=model_id, run_id=run_id, model_id=model_id)
        with own_work():
            pack(folder, packed, about=about)
        with nullcontext() if local_path(place) is None else own_work():
            client.log_model_artifacts(model_id, str(packed))
    client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    return f"models:/{model_id}"


def fail(client: MlflowClient, model: LoggedModel) -> None:
    """Say that the files of a model never came."""
    from mlflow.entities import LoggedModelStatus

    client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
