"""A model folder as MLflow keeps it, code plus files, and serves it: users in, top-N lists or ratings out."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel, PythonModelContext, save_model
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType

from recsys_ae.data.ids import IdMap
from recsys_ae.errors import RecsysError, UnknownIdError, brief
from recsys_ae.models.storage import StoredModel, load_model, needs_torch
from recsys_ae.provenance import installed
from recsys_ae.serving.lists import frame_of, recommend, scores_of_pairs
from recsys_ae.tracking.package import requirements, write_code
from recsys_ae.tracking.request import DEFAULT_N, read_request
from recsys_ae.types import PositionVector

log = logging.getLogger(__name__)

_FOLDER = "model"  # how the artifact of the model is named that holds its folder
_CODE = Path(__file__).with_name("served_model.py")


def pack(folder: Path, target: Path, *, about: Model | None = None) -> None:
    """Write an MLflow model at `target` around the model folder: models-from-code, so without any pickle.

    It holds the package's own code, too, for places where that is not installed, and says which version wrote
    it; its requirements are those of loading and scoring this very model.
    """
    users = pd.read_parquet(folder / "users.parquet")["id"]
    items = pd.read_parquet(folder / "items.parquet")["id"]
    with tempfile.TemporaryDirectory() as temporary:
        save_model(
            target, python_model=str(_CODE), artifacts={_FOLDER: str(folder)}, mlflow_model=about,
            signature=signature(users, items), input_example=pd.DataFrame({"user": users[:3].to_list()}),
            pip_requirements=requirements(torch=needs_torch(folder)),
            code_paths=[str(write_code(Path(temporary)))],
            metadata={"recsys_ae": installed(("recsys-ae",)).get("recsys-ae", "")},
        )  # fmt: skip


def signature(users: pd.Series, items: pd.Series) -> ModelSignature:
    """In: user and, for pairs, item. Out: user, rank (of lists), item, score. Params: n, exclude_seen.

    Where ids are integers, any value may come in: MLflow would make 1 of true and of 1.5, and nobody could
    refuse it (`read_request` does). The price: MLflow has no type for such a column of a CSV, and refuses it.
    """
    user, item = _type_of(users), _type_of(items)
    return ModelSignature(
        inputs=Schema([ColSpec(_taken(user), "user"), ColSpec(_taken(item), "item", required=False)]),
        outputs=Schema([ColSpec(user, "user"), ColSpec(DataType.long, "rank", required=False),
                        ColSpec(item, "item"), ColSpec(DataType.float, "score")]),
        params=ParamSchema([ParamSpec("n", DataType.long, DEFAULT_N),
                            ParamSpec("exclude_seen", DataType.boolean, True)]),
    )  # fmt: skip


def _taken(kind: DataType) -> DataType | AnyType:
    return AnyType() if kind == DataType.long else kind


def _type_of(ids: pd.Series) -> DataType:
    return DataType.long if pd.api.types.is_integer_dtype(ids) else DataType.string


class FolderModel(PythonModel):
    """The recommender of a model folder, with the histories that it is stored with.

    `predict` reads column `user`, and `item` where given. Without it: one row per recommendation, columns
    user, rank (1-based), item, score; params n (10, cut to the catalogue) and exclude_seen (true). With it:
    user, item, score for each pair, in the given order. What cannot be answered is an MlflowException of one
    sentence, which a server sends to its client: without paths, without a trace.
    """

    def load_context(self, context: PythonModelContext) -> None:
        self._stored = load_model(Path(context.artifacts[_FOLDER]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        try:
            request = read_request(model_input, params or {}, n_items=len(self._stored.recommender.items))
            if request.items is not None:
                return score_pairs(self._stored, request.users, request.items)
            return top_lists(self._stored, request.users, n=request.n, exclude_seen=request.exclude_seen)
        except RecsysError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from None
        except Exception:
            log.exception("a request was not answered")
            raise MlflowException("the model could not answer this request", INTERNAL_ERROR) from None


def top_lists(stored: StoredModel, users: pd.Series, *, n: int, exclude_seen: bool) -> pd.DataFrame:
    """Columns user, rank (int64, 1-based), item, score (float32); users in the given order."""
    recommender, histories = stored.recommender, stored.histories
    rows = _positions(histories.users, users, "user")
    blocks = recommend(recommender, histories, rows=rows, n=n, exclude_seen=exclude_seen)
    lists = frame_of(blocks, users=histories.users, items=recommender.items)
    return lists.astype({"rank": np.int64})  # as the signature says


def score_pairs(stored: StoredModel, users: pd.Series, items: pd.Series) -> pd.DataFrame:
    """Columns user, item, score (float32): the score of each pair, in the given order."""
    recommender, histories = stored.recommender, stored.histories
    rows, columns = _positions(histories.users, users, "user"), _positions(recommender.items, items, "item")
    scores = scores_of_pairs(recommender, histories, rows, columns)
    return pd.DataFrame({"user": users.to_numpy(), "item": items.to_numpy(), "score": scores})


def _positions(known: IdMap, ids: pd.Series, word: str) -> PositionVector:
    positions = known.positions(ids.to_numpy(), missing="negative")
    unknown = np.flatnonzero(positions < 0)
    if len(unknown):
        raise UnknownIdError(
            f"{len(unknown)} of {len(ids)} values of column {word} are not in the model, the first is "
            f"{brief(ids.to_list()[unknown[0]])} in row {unknown[0]}; leave them out"
        )
    return positions
