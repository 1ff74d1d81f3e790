"""What was found out about one fitted model on one split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys_ae.errors import StorageError
from recsys_ae.files import replaced
from recsys_ae.metrics import Metric, Predictions
from recsys_ae.types import FloatVector, IdVector

REPORT = "per_user.parquet"  # its name in the folder of a run
OF_ITEMS = "per_item.parquet"  # that of the values per item
FORMAT = 1
_KEY = b"recsys_ae.report"
_FACTS = ("fallback", "split_name", "seed", "data_fingerprint", "split_fingerprint", "relevant", "status")
Status = Literal["clean", "contaminated", "foreign"]


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Metrics of a model on the holdout of a split, with the values per user they are means of.

    `metrics`: "rmse", "ndcg_at_10", ... -> value. What the model cannot do, and what no user or rating of the
    holdout defines, is left out.
    `users`: (n,) ids of the evaluated users; `per_user`: name -> (n,) float64. Ranking metrics are NaN where
    they are not defined for a user; "squared_error_sum", "absolute_error_sum" and "n_predicted" (and the same
    with "_warm") add a user's predicted ratings up; "n_history" is how many ratings the model could read.
    `items`: (m,) ids of the items with held-out ratings, `per_item`: name -> (m,) float64: "n_train", how
    many training ratings the item has; "squared_error_sum" and "n_predicted" of its held-out ratings;
    "n_relevant", how many of these count as hits, and "hits_at_10", in how many of their users' lists it
    stood (of the first cutoff). Empty in a report that was read from a file, but for `with_items`.
    `counts`: evaluated_users, holdout_ratings, cold_users, cold_items, cold_pairs, outside_scale,
    users_without_relevant.
    `fallback`: how ratings of cold users and items were predicted.
    `relevant`: the least rating that counts as a hit; None: all do.
    `status`: "clean" where the model has learnt from none of the holdout ratings and from the same data,
    "contaminated" where it has learnt from some, "foreign" where it comes of other data; None where it is not
    known what the model was fitted to.
    `predictions`: the predicted ratings behind the errors; None where there are none, and in a report that
    was read from a file.
    """

    metrics: Mapping[str, float]
    users: IdVector
    per_user: Mapping[str, np.ndarray]
    counts: Mapping[str, int]
    fallback: str
    split_name: str
    seed: int
    data_fingerprint: str
    split_fingerprint: str
    relevant: float | None = None
    status: Status | None = None
    predictions: Predictions | None = None
    items: IdVector = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    per_item: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in islice(self.metrics.items(), 3))
        more = ", …" if len(self.metrics) > 3 else ""
        status = f", {self.status}" if self.status else ""
        return f"Report({self.split_name}, seed {self.seed}{status}: {shown}{more})"

    def sums(self, metric: Metric) -> tuple[FloatVector, FloatVector] | None:
        """(n_users,) sums and counts of which the figure of `metric` is made, NaN where a user has none.
        None where the report does not have the metric for each user."""
        known = metric.key in self.metrics and all(name in self.per_user for name in metric.columns)
        if not known or not metric.columns:
            return None
        sums, *counts = (self.per_user[name] for name in metric.columns)
        return sums, counts[0] if counts else np.ones(len(sums))

    @property
    def relevance(self) -> str:
        """What counts as a hit in a list, in words."""
        return "all held out" if self.relevant is None else f"rated {self.relevant:.9g} or more"

    @property
    def summary(self) -> dict[str, Any]:
        """All but the values per user: JSON values only."""
        facts = {name: getattr(self, name) for name in _FACTS}
        return {"metrics": dict(self.metrics), "counts": dict(self.counts), **facts}

    def to_parquet(self, path: Path) -> None:
        """One row per user (column "user"), the summary in the file's metadata; whole or not at all."""
        columns = {"user": pa.array(self.users), **{k: pa.array(v) for k, v in self.per_user.items()}}
        metadata = {_KEY: json.dumps({"format": FORMAT, **self.summary})}
        with replaced(Path(path)) as temporary, temporary.open("wb") as file:
            pq.write_table(pa.table(columns).replace_schema_metadata(metadata), file)

    def items_to_parquet(self, path: Path) -> None:
        """The values per item, one row each (column "item"), for other programs; whole or not at all."""
        columns = {"item": pa.array(self.items), **{k: pa.array(v) for k, v in self.per_item.items()}}
        with replaced(Path(path)) as temporary, temporary.open("wb") as file:
            pq.write_table(pa.table(columns), file)

    def with_items(self, path: Path) -> Report:
        """The same report with the values per item that `items_to_parquet` wrote. Raises StorageError where
        the file holds none."""
        try:
            table = pq.read_table(path)
            per_item = {k: table[k].to_numpy() for k in table.column_names if k != "item"}
            return replace(self, items=_ids(table["item"]), per_item=per_item)
        except (OSError, pa.ArrowInvalid, KeyError) as error:
            raise StorageError(f"{path}: holds no values per item ({error}); train again") from error

    @classmethod
    def from_parquet(cls, path: Path) -> Report:
        """The report that `to_parquet` wrote. Raises StorageError where the file is none."""
        table = _read(Path(path))
        facts = json.loads(table.schema.metadata[_KEY])
        if facts.pop("format") != FORMAT:
            raise StorageError(f"{path}: a report of another version; evaluate the model again")
        per_user = {k: table[k].to_numpy() for k in table.column_names if k != "user"}
        return cls(users=_ids(table["user"]), per_user=per_user, **facts)


def _read(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise StorageError(
            f"{path}: cannot be read as parquet ({error}); name a file written with a report"
        ) from error
    if _KEY not in (table.schema.metadata or {}):
        raise StorageError(f"{path}: parquet, but no report; name a file written with a report")
    return table


def _ids(column: pa.ChunkedArray) -> IdVector:
    if pa.types.is_integer(column.type):
        return column.to_numpy().astype(np.int64)
    return np.array(column.to_pylist(), dtype=object)
