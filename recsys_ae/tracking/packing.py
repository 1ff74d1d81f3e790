"""Model folders into MLflow: as code plus files, with signature, example and pinned requirements."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import save_model
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from recsys_ae.provenance import installed

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_NAME = "model"
DEFAULT_N = 10
_REQUIRED = ("mlflow", "numpy", "pandas", "pyarrow", "pydantic", "safetensors", "scipy", "numba", "torch")
_CODE = Path(__file__).with_name("served_model.py")


def log_model(client: MlflowClient, run_id: str, folder: Path) -> str:
    """Log the model folder as artifact "model" of the run; the answer is its URI, runs:/ID/model."""
    run = client.get_run(run_id)
    logged = client.create_logged_model(
        run.info.experiment_id, name=MODEL_NAME, source_run_id=run_id, params=run.data.params,
        model_type="recommender",
    )  # fmt: skip
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    uri = f"runs:/{run_id}/{MODEL_NAME}"
    try:
        with tempfile.TemporaryDirectory() as temporary:
            packed = Path(temporary) / MODEL_NAME
            pack(folder, packed, about=Model(
                artifact_path=logged.artifact_location, model_uuid=logged.model_id, run_id=run_id,
                model_id=logged.model_id,
            ))  # fmt: skip
            client.log_model_artifacts(logged.model_id, str(packed))
    except BaseException:
        client.finalize_logged_model(logged.model_id, LoggedModelStatus.FAILED)
        raise
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    return uri


def pack(folder: Path, target: Path, *, about: Model | None = None) -> None:
    """Write an MLflow model at `target` around the model folder: models-from-code, so without any pickle.

    The package itself is no requirement of the model, as it is installed from its own source; the model says
    which version wrote it, and asks for the package in a sentence where it is missing.
    """
    users = pd.read_parquet(folder / "users.parquet")["id"]
    items = pd.read_parquet(folder / "items.parquet")["id"]
    save_model(
        target, python_model=str(_CODE), artifacts={MODEL_NAME: str(folder)}, mlflow_model=about,
        signature=signature(users, items), input_example=pd.DataFrame({"user": users[:3].to_list()}),
        pip_requirements=[f"{name}=={number}" for name, number in installed(_REQUIRED).items()],
        metadata={"recsys_ae": installed(("recsys-ae",)).get("recsys-ae", "")},
    )  # fmt: skip


def signature(users: pd.Series, items: pd.Series) -> ModelSignature:
    """In: user and, for pairs, item. Out: user, rank (of lists), item, score. Params: n, exclude_seen."""
    user, item = ColSpec(_type_of(users), "user"), _type_of(items)
    return ModelSignature(
        inputs=Schema([user, ColSpec(item, "item", required=False)]),
        outputs=Schema([user, ColSpec(DataType.long, "rank", required=False), ColSpec(item, "item"),
                        ColSpec(DataType.float, "score")]),
        params=ParamSchema([ParamSpec("n", DataType.long, DEFAULT_N),
                            ParamSpec("exclude_seen", DataType.boolean, True)]),
    )  # fmt: skip


def _type_of(ids: pd.Series) -> DataType:
    return DataType.long if pd.api.types.is_integer_dtype(ids) else DataType.string
