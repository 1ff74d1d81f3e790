"""Who gets lists: users with ratings, and those who were named and have none."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recsys_ae.data.histories import Histories
from recsys_ae.errors import DataError, brief
from recsys_ae.serving.asked import distinct, ids_of
from recsys_ae.serving.lists import named_users, rows_of
from recsys_ae.types import BoolVector, IdVector, PositionVector

Fallback = Literal["popular", "none"]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Audience:
    """The users in each of `rows` (m,) of the histories get a list, in this order. `n_left_out`: of how many
    others, without history, it was asked for."""

    histories: Histories
    rows: PositionVector
    n_left_out: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def ids(self) -> IdVector:
        """(m,) external ids."""
        return self.histories.users.ids[self.rows]

    def without_history(self) -> BoolVector:
        """(m,) whose histories are empty."""
        return self.histories.lengths()[self.rows] == 0

    def fingerprint(self) -> str:
        """32 hex digits of whose lists, and in which order."""
        return hashlib.blake2b(json.dumps(self.ids().tolist()).encode(), digest_size=16).hexdigest()


def audience_of(histories: Histories, users: Any, *, fallback: Fallback) -> Audience:
    """The users of the ids `users`, one or many, each once; None: all. Those without history stay for the
    `fallback`, or are left out and counted where that is "none"; a warning says how many they are.

    Raises DataError for what is no id, or could be none of a user.
    """
    if users is None:
        return _sorted_out(histories, np.arange(len(histories)), [], fallback)
    ids = ids_of(users, "user")
    known = histories.users.positions(ids, missing="negative") if ids else np.empty(0, dtype=np.int64)
    strangers = list(dict.fromkeys(str(id) for id, row in zip(ids, known, strict=True) if row < 0))
    if fallback == "none":
        return _sorted_out(histories, distinct(known[known >= 0]), strangers, fallback)
    wider = histories.with_users(strangers)
    return _sorted_out(wider, rows_of(wider.users, ids), [], fallback)


def audience_named(histories: Histories, text: str, *, fallback: Fallback) -> Audience:
    """The same for what --users says: "all", a file with one id per line, or ids with commas between them,
    of which each must have ratings: who types a name by hand may mistype it.

    Raises ConfigError where no user is named, UnknownIdError for users named by hand who are not there.
    """
    if text == "all":
        return audience_of(histories, None, fallback=fallback)
    ids, is_file = named_users(text)
    if not is_file:
        return _sorted_out(histories, rows_of(histories.users, ids), [], fallback)
    try:
        return audience_of(histories, ids, fallback=fallback)
    except DataError as error:
        raise DataError(f"--users {text}: {error}") from None


def _sorted_out(
    histories: Histories, rows: PositionVector, strangers: Sequence[str], fallback: Fallback
) -> Audience:
    """The users of these rows, less those without history where there is no fallback for them. `strangers`:
    others who were asked for, and have none either."""
    is_empty = histories.lengths()[rows] == 0
    nameless = [*histories.users.ids[rows[is_empty]][:1].tolist(), *strangers[:1]]
    if nameless:
        n = int(np.count_nonzero(is_empty)) + len(strangers)
        log.warning(
            "%d of %d users have no ratings that the model knows, such as %s; %s",
            n,
            len(rows) + len(strangers),
            brief(nameless[0]),
            "they get the most popular items" if fallback == "popular" else "no list for them",
        )
    if fallback == "popular":
        return Audience(histories, rows)
    return Audience(histories, rows[~is_empty], int(np.count_nonzero(is_empty)) + len(strangers))
