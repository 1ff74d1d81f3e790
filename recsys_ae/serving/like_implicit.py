"""A model that is asked as those of the library implicit are: by positions, with answers in arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from recsys_ae.data.histories import Histories
from recsys_ae.data.ids import IdMap
from recsys_ae.errors import DataError, UnknownIdError, brief
from recsys_ae.ranking import TopN
from recsys_ae.recommender import Recommender
from recsys_ae.serving.lists import TopNBlock, recommend
from recsys_ae.serving.similar import similar_items
from recsys_ae.types import BoolVector, PositionVector

NO_SCORE = np.finfo(np.float32).min  # of a place at the end of a list for which no item is left
Answer = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class LikeImplicit:
    """Names, arguments and answers are those of implicit 0.7, so that code written for it runs unchanged, its
    `implicit.evaluation` too.

    Users and items are rows and columns of the matrix, from 0: the positions of ids in `model.users.ids` and
    `model.items.ids`. An answer is a pair of int32 item positions and float32 scores, each (N,) for one user
    or item and (b, N) for many; places for which nothing is left hold -1 and the lowest float32. N is the
    length of the catalogue, or of `items`, at most. `histories`: of the model's users, in their order.
    """

    recommender: Recommender
    histories: Histories

    def recommend(
        self,
        userid: Any,
        user_items: Any = None,
        N: int = 10,
        filter_already_liked_items: bool = True,
        filter_items: Any = None,
        recalculate_user: bool = False,
        items: Any = None,
    ) -> Answer:
        """The N best items of users. `user_items`: (b, n_items) sparse, what may be read of each, stored
        zeros too; None: what the model was trained with. `filter_already_liked_items`: what is stored there
        is in no list. `recalculate_user`: reads users from `user_items` as if training had not seen them.

        Raises UnknownIdError for positions that are not there, DataError for a matrix of other users or
        items, CapabilityError for a model that does not rank, or does not fold in the users that it should.
        """
        rows = _positions(userid, self.recommender.users, "user")
        read = self.histories.matrix[rows] if user_items is None else self._history(user_items, len(rows))
        seen = np.full(len(rows), -1) if recalculate_user else self.histories.positions[rows]
        allowed, longest = self._allowed(items, filter_items)
        histories = Histories(IdMap(np.arange(len(rows))), seen, read)
        blocks = recommend(
            self.recommender,
            histories,
            n=min(N, longest),
            exclude_seen=filter_already_liked_items,
            allowed=allowed,
        )
        answer = _filled(blocks, len(rows), min(N, longest))
        return _first(answer) if np.ndim(userid) == 0 else answer

    def similar_items(
        self,
        itemid: Any,
        N: int = 10,
        recalculate_item: bool = False,
        item_users: Any = None,
        filter_items: Any = None,
        items: Any = None,
    ) -> Answer:
        """The N items most like each item by the cosine of what the model has learnt of them, the item itself
        among them. Items cannot be recalculated.

        Raises UnknownIdError for positions that are not there, CapabilityError for a model that has learnt
        nothing of items but how much they are liked.
        """
        if recalculate_item or item_users is not None:
            raise DataError(
                "items are compared as training left them; leave out recalculate_item, item_users"
            )
        places = _positions(itemid, self.recommender.items, "item")
        allowed, longest = self._allowed(items, filter_items)
        distinct, of_asked = np.unique(places, return_inverse=True)
        found = similar_items(self.recommender, distinct, n=min(N, longest), allowed=allowed, itself=True)
        rows = (TopNBlock(np.searchsorted(distinct, block.rows), block.top) for block in found)
        ids, scores = _filled(rows, len(distinct), min(N, longest))
        answer = ids[of_asked], scores[of_asked]
        return _first(answer) if np.ndim(itemid) == 0 else answer

    def _history(self, user_items: Any, n_users: int) -> csr_array:
        shape = n_users, len(self.recommender.items)
        if not issparse(user_items) or user_items.shape != shape:
            found = f"has shape {user_items.shape}" if issparse(user_items) else f"is {brief(user_items)}"
            raise DataError(f"user_items {found}; give a sparse matrix of {shape}, a row for each user")
        return csr_array(user_items, dtype=np.float32)

    def _allowed(self, items: Any, filter_items: Any) -> tuple[BoolVector | None, int]:
        """Which items lists may hold, and of how many these are."""
        n_items = len(self.recommender.items)
        allowed = np.full(n_items, items is None)
        if items is not None:
            allowed[_positions(items, self.recommender.items, "item")] = True
        longest = max(1, int(np.count_nonzero(allowed)))
        if filter_items is not None:
            allowed[_positions(filter_items, self.recommender.items, "item")] = False
        return (None if allowed.all() else allowed), longest


def _positions(given: Any, known: IdMap, what: str) -> PositionVector:
    positions = np.atleast_1d(np.asarray(given))
    if positions.size == 0:
        return np.empty(0, dtype=np.int64)
    if positions.ndim > 1 or positions.dtype.kind not in "iu":
        raise DataError(f"{brief(given)} is no position of a {what}, or of many; see the model's {what}s.ids")
    strange = positions[(positions < 0) | (positions >= len(known))]
    if len(strange):
        raise UnknownIdError(
            f"there is no {what} {strange[0]}: positions of {what}s go from 0 to {len(known) - 1}"
        )
    return positions.astype(np.int64)


def _filled(blocks: Iterable[TopNBlock], n_rows: int, n: int) -> Answer:
    """The lists of all blocks in arrays (n_rows, n)."""
    whole = TopN(np.full((n_rows, n), -1), np.full((n_rows, n), NO_SCORE, dtype=np.float32))
    for block in blocks:
        is_item = block.top.items >= 0
        whole.items[block.rows] = block.top.items
        whole.scores[block.rows] = np.where(is_item, block.top.scores, NO_SCORE)
    return whole.items.astype(np.int32), whole.scores


def _first(answer: Answer) -> Answer:
    return answer[0][0], answer[1][0]
