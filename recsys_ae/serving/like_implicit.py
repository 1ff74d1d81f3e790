"""A model that is asked as those of the library implicit are: by numbers, with answers in arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from recsys_ae.data.histories import Histories
from recsys_ae.data.ids import IdMap
from recsys_ae.errors import ConfigError, DataError, UnknownIdError, brief
from recsys_ae.recommender import Recommender
from recsys_ae.serving.asked import check_at_least
from recsys_ae.serving.lists import TopNBlock, recommend
from recsys_ae.serving.rules import Rules
from recsys_ae.serving.similar import similar_items
from recsys_ae.types import BoolVector, PositionMatrix, PositionVector

NO_SCORE = np.finfo(np.float32).min  # of a place at the end of a list for which no item is left
Answer = tuple[np.ndarray, np.ndarray]
_WHAT = ("user", "item")


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers by which code of implicit knows users or items: rows or columns of its matrices.

    `known`: their ids. `are_ids`: a number is an id, of which some may be missing; else a position. `what`:
    "user" or "item".
    """

    known: IdMap
    are_ids: bool
    what: str

    def positions(self, given: Any) -> PositionVector:
        """(m,) int64 of one number or many; -1 for an id that is not known. Raises DataError for what is no
        number, UnknownIdError for a position that is not there."""
        numbers = np.atleast_1d(np.asarray(given))
        if numbers.size == 0:
            return np.empty(0, dtype=np.int64)
        if numbers.ndim > 1 or numbers.dtype.kind not in "iu":
            raise DataError(
                f"{brief(given)} is no position of a {self.what}, or of many; see the model's "
                f"{self.what}s.ids"
            )
        if self.are_ids:
            return self.known.positions(numbers, missing="negative")
        strange = numbers[(numbers < 0) | (numbers >= len(self.known))]
        if len(strange):
            raise UnknownIdError(
                f"there is no {self.what} {strange[0]}: positions of {self.what}s go from 0 to "
                f"{len(self.known) - 1}"
            )
        return numbers.astype(np.int64)

    def known_positions(self, given: Any) -> PositionVector:
        """The same. Raises UnknownIdError for ids that are not known, too."""
        positions = self.positions(given)
        if len(unknown := np.flatnonzero(positions < 0)):
            first = np.atleast_1d(np.asarray(given))[unknown[0]]
            raise UnknownIdError(f"there is no {self.what} {first}: the model was trained without it")
        return positions

    def of(self, positions: PositionMatrix) -> np.ndarray:
        """int32, of positions of any shape; -1 stays what it is."""
        if not self.are_ids:
            return positions.astype(np.int32)
        return np.append(self.known.ids, -1)[positions].astype(np.int32)  # the last answers for -1


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LikeImplicit:
    """Names and arguments are those of implicit 0.7, and answers have its shapes and types, so that code
    written for it runs unchanged, its `implicit.evaluation` too.

    Users and items are rows and columns of its matrices; what these mean is said when the adapter is made
    (`Model.as_implicit`). An answer is a pair of int32 item numbers and float32 scores, each (N,) for one
    user or item and (b, N) for many; with `items` N is their number at most. It differs from implicit's in
    three things: places for which nothing is left hold -1 beside the lowest float32, where implicit has items
    that were filtered out; `items` and `filter_items` may be given together; and `user_items` may be left
    out, even where what is in it is to be filtered. `histories`: of the model's users, in their order.
    """

    recommender: Recommender
    histories: Histories
    users: Numbers
    items: Numbers

    @classmethod
    def of(cls, recommender: Recommender, histories: Histories, by: str | None) -> LikeImplicit:
        """See `Model.as_implicit`."""
        maps = recommender.users, recommender.items
        are_numbers = all(known.ids.dtype == np.int64 and (known.ids >= 0).all() for known in maps)
        are_places = are_numbers and all(np.array_equal(known.ids, np.arange(len(known))) for known in maps)
        if by not in ("ids", "positions", None):
            raise ConfigError(f'as_implicit: by is {brief(by)}; give "ids" or "positions"')
        if by == "ids" and not are_numbers:
            raise ConfigError('as_implicit: by="ids" needs ids that are numbers from 0 on; give "positions"')
        if by is None and are_numbers and not are_places:
            raise ConfigError(
                "as_implicit: the ids of users and items are numbers, but not 0, 1, 2 and so on without a "
                'gap; say whether those of implicit are the same, by="ids", or their places in users.ids and '
                'items.ids, by="positions"'
            )
        users, items = (Numbers(known, by == "ids", what) for known, what in zip(maps, _WHAT, strict=True))
        return cls(recommender, histories, users, items)

    def __repr__(self) -> str:
        by = "ids" if self.users.are_ids else "positions"
        return f"LikeImplicit({len(self.users.known)} users and {len(self.items.known)} items by {by})"

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
        is in no list. `recalculate_user`: reads users from `user_items` as if training had not seen them,
        and then `userid` may be anybody's. By ids, so are users whom training has not seen.

        Raises UnknownIdError for numbers that are not there, DataError for a matrix of other users or
        items, CapabilityError for a model that does not rank, or does not fold in the users that it should.
        """
        check_at_least("N", N, 1)
        seen, read = self._read(userid, user_items, anybody=recalculate_user)
        allowed, n = self._allowed(items, filter_items, N)
        blocks = recommend(
            self.recommender,
            Histories(IdMap(np.arange(len(seen))), seen, read),
            n=n,
            exclude_seen=filter_already_liked_items,
            rules=Rules(allowed),
        )
        answer = self._filled(blocks, len(seen), n)
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

        Raises UnknownIdError for numbers that are not there, CapabilityError for a model that has learnt
        nothing of items but how much they are liked.
        """
        check_at_least("N", N, 1)
        if recalculate_item or item_users is not None:
            raise DataError(
                "items are compared as training left them; leave out recalculate_item, item_users"
            )
        places = self.items.known_positions(itemid)
        allowed, n = self._allowed(items, filter_items, N)
        distinct, of_asked = np.unique(places, return_inverse=True)
        found = similar_items(self.recommender, distinct, n=n, allowed=allowed, itself=True)
        rows = (TopNBlock(np.searchsorted(distinct, block.rows), block.top) for block in found)
        ids, scores = self._filled(rows, len(distinct), n)
        answer = ids[of_asked], scores[of_asked]
        return _first(answer) if np.ndim(itemid) == 0 else answer

    def _read(self, userid: Any, user_items: Any, *, anybody: bool) -> tuple[PositionVector, csr_array]:
        """(b,) positions of the users, -1 for those whom the model is not to know, and their histories."""
        if user_items is None:
            rows = self.users.known_positions(userid)
            seen = np.full(len(rows), -1) if anybody else self.histories.positions[rows]
            return seen, self.histories.matrix[rows]
        if anybody:
            seen = np.full(np.size(userid), -1)
        else:
            rows = self.users.positions(userid)
            seen = np.where(rows < 0, -1, self.histories.positions[rows])
        return seen, self._history(user_items, len(seen))

    def _history(self, user_items: Any, n_users: int) -> csr_array:
        """`user_items` on the items of the model; by ids, those that it does not know are left out."""
        n_items = len(self.items.known)
        fits = issparse(user_items) and user_items.shape[0] == n_users
        if not fits or (user_items.shape[1] != n_items and not self.items.are_ids):
            found = f"has shape {user_items.shape}" if issparse(user_items) else f"is {brief(user_items)}"
            columns = "n_items" if self.items.are_ids else n_items
            raise DataError(
                f"user_items {found}; give a sparse matrix of ({n_users}, {columns}), a row for each user"
            )
        given = csr_array(user_items, dtype=np.float32)
        if not self.items.are_ids:
            return given
        places = self.items.positions(np.arange(given.shape[1]))[given.indices]
        kept = places >= 0
        starts = np.append(0, np.cumsum(kept))[given.indptr]
        return csr_array((given.data[kept], places[kept], starts), shape=(n_users, n_items))

    def _allowed(self, items: Any, filter_items: Any, n: int) -> tuple[BoolVector | None, int]:
        """Which items lists may hold, and how many are asked for."""
        allowed = np.full(len(self.items.known), items is None)
        if items is not None:
            allowed[self.items.known_positions(items)] = True
            n = min(n, max(1, int(np.count_nonzero(allowed))))
        if filter_items is not None:
            places = self.items.positions(filter_items)
            allowed[places[places >= 0]] = False
        return (None if allowed.all() else allowed), n

    def _filled(self, blocks: Iterable[TopNBlock], n_rows: int, n: int) -> Answer:
        """The lists of all blocks in arrays (n_rows, n)."""
        items, scores = np.full((n_rows, n), -1), np.full((n_rows, n), NO_SCORE, dtype=np.float32)
        for block in blocks:
            width = block.top.items.shape[1]
            items[block.rows, :width] = block.top.items
            scores[block.rows, :width] = np.where(block.top.items >= 0, block.top.scores, NO_SCORE)
        return self.items.of(items), scores


def _first(answer: Answer) -> Answer:
    return answer[0][0], answer[1][0]
