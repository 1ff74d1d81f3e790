"""Top-N lists from a stored model."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.config import DataConfig, FiltersConfig
from recsys_ae.data.datasets import DATASETS, item_titles
from recsys_ae.data.ids import IdMap
from recsys_ae.data.load import load_ratings
from recsys_ae.errors import CapabilityError, ConfigError
from recsys_ae.models.storage import StoredModel, load_model
from recsys_ae.recommender import Recommender
from recsys_ae.serving.histories import align, rows_of
from recsys_ae.serving.rows import rows_of_block
from recsys_ae.serving.topn import TopNBlock, recommend
from recsys_ae.serving.writer import write_top_n
from recsys_ae.types import PositionVector

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Which lists. `users`: "all", a file with one id per line, or ids with commas between them; `data`:
    newer ratings to read as histories, None takes those of training."""

    n: int = 10
    users: str = "all"
    data: str | None = None
    exclude_seen: bool = True
    batch_size: int = 1024


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists that are made when asked for, block by block. `history`: (n, n_items) of the users in `users`;
    `positions`: where they stand in the model's user map, -1 unseen; `wanted`: rows of `history`."""

    recommender: Recommender
    users: IdMap
    history: csr_array
    positions: PositionVector
    wanted: PositionVector
    options: ListOptions
    source: str | None
    n_unknown_items: int = 0

    @property
    def n_users(self) -> int:
        return len(self.wanted)

    def blocks(self) -> Iterator[TopNBlock]:
        return recommend(
            self.recommender,
            self.history,
            users=self.wanted,
            positions=self.positions,
            n=self.options.n,
            exclude_seen=self.options.exclude_seen,
            batch_size=self.options.batch_size,
        )

    def write(self, path: Path) -> int:
        """Rows written to a parquet or csv file, whole or not at all."""
        return write_top_n(path, self.blocks(), users=self.users, items=self.recommender.items)

    def rows(self) -> Iterator[dict[str, Any]]:
        """{"user", "rank", "item", "score"} with plain values, best first."""
        for block in self.blocks():
            columns = rows_of_block(block, self.users, self.recommender.items)
            for row in zip(*(column.tolist() for column in columns.values()), strict=True):
                yield dict(zip(columns, row, strict=True))

    def titles(self) -> dict[Any, str] | None:
        """Names of the items, where the model's dataset has them."""
        return None if self.source is None else item_titles(self.source)


def make_lists(folder: Path, options: ListOptions) -> Lists:
    """The lists of a model folder's users. Raises ConfigError or UnknownIdError for users that are not there,
    CapabilityError for a model that does not rank or that cannot fold new users in."""
    stored = load_model(folder)
    if not stored.recommender.ranks:
        raise CapabilityError(
            f"{folder}: this model predicts the same order for every user and ranks nothing; "
            "take another model"
        )
    source = stored.info.get("config", {}).get("data", {}).get("source")
    if options.data is not None:
        return _of_newer_ratings(stored, options, source)
    users = stored.recommender.users
    wanted = chosen_users(options.users, users)
    return Lists(stored.recommender, users, stored.history, np.arange(len(users)), wanted, options, source)


def _of_newer_ratings(stored: StoredModel, options: ListOptions, source: str | None) -> Lists:
    assert options.data is not None
    ratings = load_ratings(_as_in_training(options.data, stored.info.get("config", {}).get("data", {})))
    found = align(ratings, stored.recommender)
    if found.n_unknown_items:
        log.warning(
            "%s: %d items are unknown to the model; their %d ratings are left out",
            options.data,
            found.n_unknown_items,
            found.n_dropped,
        )
    wanted = chosen_users(options.users, found.users)
    n_unseen = int((found.positions[wanted] < 0).sum())
    if n_unseen and not stored.recommender.folds_in:
        raise CapabilityError(
            f"{options.data}: {n_unseen} users were not seen in training, and this model cannot "
            "fold them in; train u-autorec, i-autorec or item-knn, or train again with them"
        )
    return Lists(
        stored.recommender,
        found.users,
        found.history,
        found.positions,
        wanted,
        options,
        source,
        found.n_unknown_items,
    )


def _as_in_training(source: str, trained: Mapping[str, Any]) -> DataConfig:
    """How to read newer ratings: as those of training, but for the scale and the filters by counts, which
    would drop new users."""
    shared = ("duplicates", "encoding") if source in DATASETS else ("duplicates", "encoding", "columns")
    settings = {name: trained[name] for name in shared if name in trained}
    if Path(source).suffix == Path(trained.get("source", "")).suffix and source not in DATASETS:
        settings["format"] = trained.get("format")
    threshold = trained.get("filters", {}).get("threshold")
    return DataConfig(source=source, filters=FiltersConfig(threshold=threshold), **settings)


def chosen_users(text: str, users: IdMap) -> PositionVector:
    """Positions of "all" users, those in a file, or ids with commas between them; each once, in order."""
    if text == "all":
        return np.arange(len(users), dtype=np.int64)
    path = Path(text)
    if path.is_file():
        try:
            words = path.read_text(encoding="utf-8-sig").split("\n")
        except UnicodeDecodeError:
            raise ConfigError(f"--users {text}: not a text file; write one id per line") from None
    elif "," not in text and ("/" in text or path.suffix in (".txt", ".csv")):
        raise ConfigError(f"--users {text}: no such file; give all, a file with one id per line, or ids")
    else:
        words = text.split(",")
    ids = list(dict.fromkeys(word.strip() for word in words if word.strip()))
    if not ids:
        raise ConfigError(f"--users {text}: names no user; give all, a file with one id per line, or ids")
    return rows_of(users, ids)
