"""A model folder as MLflow serves it: a table of users in, top-N lists or predicted ratings out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

from recsys_ae.data.ids import IdMap
from recsys_ae.errors import DataError, UnknownIdError
from recsys_ae.models.storage import StoredModel, load_model
from recsys_ae.serving.lists import frame_of, recommend
from recsys_ae.tracking.packing import DEFAULT_N
from recsys_ae.types import PositionVector


class FolderModel(PythonModel):
    """The recommender of a model folder, with the histories that it is stored with.

    `predict` reads column `user`, and `item` where given. Without it: one row per recommendation, columns
    user, rank (1-based), item, score; params n (10) and exclude_seen (true). With it: user, item, score for
    each pair, in the given order. Ids that the model does not know raise UnknownIdError.
    """

    def load_context(self, context: PythonModelContext) -> None:
        self._stored = load_model(Path(context.artifacts["model"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        params = params or {}
        if "user" not in model_input:
            raise DataError(
                f"the table has no column user; its columns are: {', '.join(map(str, model_input))}"
            )
        if "item" in model_input:
            return score_pairs(self._stored, model_input["user"], model_input["item"])
        n, exclude_seen = int(params.get("n", DEFAULT_N)), bool(params.get("exclude_seen", True))
        return top_lists(self._stored, model_input["user"], n=n, exclude_seen=exclude_seen)


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
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    scores = np.empty(len(rows), dtype=np.float32)
    for chosen, batch in histories.batches(rows=np.unique(rows)):
        pairs = slice(*np.searchsorted(ordered, [chosen[0], chosen[-1] + 1]))
        of_batch = np.searchsorted(chosen, ordered[pairs])
        scores[order[pairs]] = recommender.score_pairs(batch, of_batch, columns[order[pairs]])
    return pd.DataFrame({"user": users.to_numpy(), "item": items.to_numpy(), "score": scores})


def _positions(known: IdMap, ids: pd.Series, word: str) -> PositionVector:
    positions = known.positions(ids.to_numpy(), missing="negative")
    unknown = np.flatnonzero(positions < 0)
    if len(unknown):
        raise UnknownIdError(
            f"{len(unknown)} of {len(ids)} values of column {word} are not in the model, the first is "
            f"{ids.to_list()[unknown[0]]!r} in row {unknown[0]}; leave them out"
        )
    return positions
