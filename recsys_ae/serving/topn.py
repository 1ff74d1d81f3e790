"""Top-N lists of many users, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ratings import select_rows
from recsys_ae.errors import CapabilityError, ConfigError, DataError
from recsys_ae.ranking import TopN, top_n
from recsys_ae.recommender import Recommender
from recsys_ae.types import PositionVector

_CELLS_AT_ONCE = 1 << 26  # 256 MiB of float32 scores


@dataclass(frozen=True, slots=True, eq=False)
class TopNBlock:
    """The lists of some users: `users` (b,) rows of the histories, `top` their b lists."""

    users: PositionVector
    top: TopN


def recommend(
    recommender: Recommender,
    history: csr_array,
    *,
    users: PositionVector,
    positions: PositionVector | None = None,
    n: int = 10,
    exclude_seen: bool = True,
    batch_size: int = 1024,
) -> Iterator[TopNBlock]:
    """The `n` best items of each of `users` (rows of `history`), in their order.

    `history`: (n_rows, n_items) what the model may read; its stored entries, zeros too, are left out of the
    lists if `exclude_seen`. `positions`: (n_rows,) where each row stands in the model's user map, -1 unseen;
    None: the rows are the model's users. A block has `batch_size` users, fewer of a catalogue so large that
    their scores would not fit into 256 MiB: memory grows neither with the users nor with the catalogue.

    Raises, before the first block, CapabilityError for a model that does not rank, or that is asked for users
    unseen in training and does not fold in; ConfigError for `n` or `batch_size` below 1; DataError for
    histories that are not of the model's users and items. A list does not depend on the users it shares a
    block with, as far as the model's scores do not (products of other shapes round differently).
    """
    rows = np.asarray(users, dtype=np.int64)
    _check_sizes(n, batch_size)
    _check_shape(recommender, history, positions)
    places = np.arange(history.shape[0]) if positions is None else np.asarray(positions, dtype=np.int64)
    _check_capable(recommender, places[rows])
    size = max(1, min(batch_size, _CELLS_AT_ONCE // max(1, history.shape[1])))
    return (
        _block(recommender, history, rows[start : start + size], places, n, exclude_seen)
        for start in range(0, len(rows), size)
    )


def _block(
    recommender: Recommender,
    history: csr_array,
    rows: PositionVector,
    places: PositionVector,
    n: int,
    exclude_seen: bool,
) -> TopNBlock:
    batch = UserBatch(places[rows], select_rows(history, rows))
    return TopNBlock(rows, top_n(recommender.score(batch), n, batch.history if exclude_seen else None))


def _check_sizes(n: int, batch_size: int) -> None:
    for name, value in (("n", n), ("batch_size", batch_size)):
        if value < 1:
            raise ConfigError(f"{name} is {value}, but must be at least 1; give a positive number")


def _check_shape(recommender: Recommender, history: csr_array, positions: PositionVector | None) -> None:
    n_items, n_rows = len(recommender.items), len(recommender.users) if positions is None else len(positions)
    if history.shape != (n_rows, n_items):
        raise DataError(
            f"histories of shape {history.shape} for {n_rows} users and the model's {n_items} items; align "
            "the ratings with the model first"
        )


def _check_capable(recommender: Recommender, wanted: PositionVector) -> None:
    if not recommender.ranks:
        raise CapabilityError(
            "this model does not rank items: every user would get the same list; choose another model"
        )
    n_unseen = np.count_nonzero(wanted < 0)
    if n_unseen and not recommender.folds_in:
        raise CapabilityError(
            f"{n_unseen} of {len(wanted)} users were not seen in training, and this model does not fold them "
            "in; leave them out, or choose a model that does (u-autorec, i-autorec, item-knn)"
        )
