"""New ratings put on the items of a fitted model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import UnknownIdError
from recsys_ae.recommender import Recommender
from recsys_ae.types import PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """What may be read of some users, on the items of a model.

    `users`: their ids; `positions`: (n_users,) int64 in the model's user map, -1 = unseen in training;
    `history`: (n_users, n_items of the model) csr_array float32; `n_unknown_items`: how many distinct items
    the ratings had that the model does not know, and `n_dropped` how many ratings these were.
    """

    users: IdMap
    positions: PositionVector
    history: csr_array
    n_unknown_items: int
    n_dropped: int


def align(ratings: Ratings, recommender: Recommender) -> Histories:
    """The histories that `ratings` are for `recommender`. Every user stays, even with nothing left to read;
    ratings of items unknown to the model are dropped and counted."""
    places = recommender.items.positions(ratings.items.ids, missing="negative")
    known = places[ratings.columns] >= 0
    kept = ratings.keep(known)
    shape = (ratings.n_users, len(recommender.items))
    history = csr_array((kept.values, places[kept.columns], kept.matrix.indptr), shape=shape)
    history.sort_indices()  # ids as integers and as text are in different orders
    return Histories(
        users=ratings.users,
        positions=recommender.users.positions(ratings.users.ids, missing="negative"),
        history=history,
        n_unknown_items=len(np.unique(ratings.columns[~known])),
        n_dropped=int(np.count_nonzero(~known)),
    )


def rows_of(users: IdMap, ids: Iterable[str | int]) -> PositionVector:
    """(m,) int64 rows of the users with these external ids, in their order, each once.

    Raises UnknownIdError that names the first few unknown ones.
    """
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return np.empty(0, dtype=np.int64)
    rows = users.positions(wanted, missing="negative")
    unknown = [repr(name) for name, row in zip(wanted, rows, strict=True) if row < 0]
    if unknown:
        shown = ", ".join(unknown[:3]) + (", …" if len(unknown) > 3 else "")
        raise UnknownIdError(
            f"{len(unknown)} of {len(wanted)} users are unknown: {shown}; ask only for users with ratings"
        )
    return rows
