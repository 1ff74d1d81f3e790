"""Top-N lists of many users: whose, made a block at a time, and as tables of ids."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys_ae.data.histories import Histories, blocks_of
from recsys_ae.data.ids import IdMap
from recsys_ae.errors import CapabilityError, ConfigError, DataError, UnknownIdError, cut
from recsys_ae.ranking import TopN
from recsys_ae.recommender import Recommender
from recsys_ae.serving.asked import check_at_least, check_is_bool, distinct, ids_of, positions_of
from recsys_ae.serving.rules import NO_RULES, Rules
from recsys_ae.types import BoolVector, FloatVector, PositionVector, Progress, unwatched

LONGEST_NAME = 255  # bytes that a file system allows; a longer text is a list of users
LIST_COLUMNS = ("user", "rank", "item", "score")
Mapped = Callable[[Callable[..., Any], Iterable[Any]], Iterable[Any]]  # as `map` is
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class TopNBlock:
    """The lists of some users: `rows` (b,) of the histories, `top` their b lists."""

    rows: PositionVector
    top: TopN


def recommend(
    recommender: Recommender,
    histories: Histories,
    *,
    rows: PositionVector | None = None,
    n: int = 10,
    exclude_seen: bool = True,
    rules: Rules = NO_RULES,
    batch_size: int = 1024,
    mapped: Mapped = map,
) -> Iterator[TopNBlock]:
    """The `n` best items of the users in each of `rows` of the histories (None: all), in their order.

    The stored entries of a history, zeros too, are left out of its list if `exclude_seen`; `rules` say what
    else a list may not hold, and may put it in another order. A block has at most `batch_size` users (see
    `Histories.batches`). A list does not depend on the users that it shares a block with, as far as the
    model's scores do not (products of other shapes round differently). `mapped` goes through the blocks: one
    after the other, or several at once (see `workers.in_order`).

    Raises, before the first block, CapabilityError for a model that does not rank, or that is asked for users
    unseen in training and does not fold in; ConfigError for `n` or `batch_size` below 1; DataError for
    histories on other items than the model's.
    """
    check_at_least("n", n, 1)
    check_at_least("batch_size", batch_size, 1)
    if histories.matrix.shape[1] != len(recommender.items):
        raise DataError(
            f"histories of {histories.matrix.shape[1]} items for a model of {len(recommender.items)}; align "
            "the ratings with the model first"
        )
    check_capable(recommender, histories.positions if rows is None else histories.positions[rows])

    def listed(chosen: PositionVector) -> TopNBlock:
        batch = histories.batch(chosen)
        seen = batch.history if exclude_seen else None
        return TopNBlock(chosen, rules.lists(recommender.score(batch), n, chosen, seen))

    wanted = np.arange(len(histories)) if rows is None else np.asarray(rows, dtype=np.int64)
    return iter(mapped(listed, blocks_of(wanted, len(recommender.items), batch_size)))


def lists_of(
    recommender: Recommender,
    histories: Histories,
    users: Any = None,
    *,
    n: int,
    exclude_seen: bool,
    filter_items: Any = None,
    items: Any = None,
    rules: Rules = NO_RULES,
    on_listed: Progress = unwatched,
) -> pd.DataFrame:
    """The lists of `recommend` in a table: columns user, rank (from 1), item, score. Users and items are
    named by ids, one or many; `users` None: all, `items`: nothing else is listed, `filter_items`: are not.
    All of `rules` hold beside them.

    Raises, besides what `recommend` does, UnknownIdError for users and `items` who are not there.
    """
    check_is_bool("exclude_seen", exclude_seen)
    rows = np.arange(len(histories)) if users is None else rows_of(histories.users, users)
    rules = rules.also(allowed_items(recommender.items, only=items, without=filter_items))
    blocks = recommend(recommender, histories, rows=rows, n=n, exclude_seen=exclude_seen, rules=rules)
    return frame_of(passing(blocks, len(rows), on_listed), users=histories.users, items=recommender.items)


def scores_of_pairs(
    recommender: Recommender,
    histories: Histories,
    rows: PositionVector,
    items: PositionVector,
    on_scored: Progress = unwatched,
) -> FloatVector:
    """(m,) float32 scores of the users in `rows` (m,) of the histories for the items at `items` (m,), pair
    by pair. `on_scored`: told how many users are done, of how many."""
    distinct_rows, of_pairs = np.unique(rows, return_inverse=True)
    order = np.argsort(of_pairs, kind="stable")
    scores, start, done = np.empty(len(rows), dtype=np.float32), 0, 0
    for block, batch in histories.batches(rows=distinct_rows):
        end = int(np.searchsorted(of_pairs[order], start + len(block)))
        here = order[done:end]
        scores[here] = recommender.score_pairs(batch, of_pairs[here] - start, items[here])
        start, done = start + len(block), end
        on_scored(start, len(distinct_rows))
    return scores


def passing(
    blocks: Iterable[TopNBlock], n_users: int, on_listed: Progress, *, done: int = 0
) -> Iterator[TopNBlock]:
    """The same blocks, of so many users in all; told is how many have passed, after the `done` before."""
    for block in blocks:
        done += len(block.rows)
        on_listed(done, n_users)
        yield block


def allowed_items(items: IdMap, *, only: Any = None, without: Any = None) -> BoolVector | None:
    """(n_items,) which items a list may hold: those of the ids `only`, and none of the ids `without`, which
    may be unknown; None where nothing is said. Raises DataError for what is no id, UnknownIdError for unknown
    ids among `only`."""
    if only is None and without is None:
        return None
    allowed = np.full(len(items), only is None)
    if only is not None:
        allowed[positions_of(only, items, "item")] = True
    if without is not None:
        places = items.positions(ids_of(without, "item"), missing="negative")
        allowed[places[places >= 0]] = False
    return allowed


def check_capable(recommender: Recommender, positions: PositionVector) -> None:
    """Raises CapabilityError for a model that does not rank, or that cannot read users who were not seen in
    training, and one of these `positions` is -1."""
    if not recommender.ranks:
        raise CapabilityError(
            "this model does not rank items: every user would get the same list; choose another model"
        )
    n_unseen = np.count_nonzero(positions < 0)
    if n_unseen and not recommender.folds_in:
        raise CapabilityError(
            f"{n_unseen} of {len(positions)} users were not seen in training, and this model does not fold "
            "them in; leave them out, choose a model that does (als, ease, item-knn; of ratings u-autorec "
            "and i-autorec, too), or train again with them"
        )


def chosen_rows(text: str, users: IdMap) -> PositionVector:
    """(m,) int64 rows of "all" users, of those in a file with one id per line, or of ids with commas between
    them; each once, in order. Of a file, users who are not there are left out, and a warning counts them.

    Raises ConfigError where no user is named, UnknownIdError for users named by hand who are not there, and
    where none of a file is.
    """
    if text == "all":
        return np.arange(len(users), dtype=np.int64)
    ids, is_file = named_users(text)
    rows = users.positions(ids, missing="negative")
    n_unknown = int(np.count_nonzero(rows < 0))
    if not is_file and n_unknown == 1 == len(ids):
        raise UnknownIdError(
            f"--users {cut(text)}: is neither a user with ratings nor a file; give all, a file with one id "
            "per line, or ids"
        )
    if not is_file or n_unknown in (0, len(ids)):
        return rows_of(users, ids)
    first = ids[int(np.argmax(rows < 0))]
    log.warning(
        "%d of %d users in %s are unknown, such as %r; no list for them", n_unknown, len(ids), text, first
    )
    return rows[rows >= 0]


def named_users(text: str) -> tuple[list[str], bool]:
    """The ids that --users names, each once, in order, and whether they stand in a file. Raises ConfigError
    where no user is named."""
    path = Path(text)
    may_exist = len(os.fsencode(path.name)) <= LONGEST_NAME
    if may_exist and path.is_fifo():
        raise ConfigError(f"--users {cut(text)}: is a pipe; write the ids into a file, one per line")
    is_file = may_exist and path.is_file()
    if is_file:
        try:
            words = path.read_text(encoding="utf-8-sig").split("\n")
        except UnicodeDecodeError:
            raise ConfigError(f"--users {text}: not a text file; write one id per line") from None
    elif "," not in text and ("/" in text or path.suffix in (".txt", ".csv")):
        raise ConfigError(f"--users {cut(text)}: no such file; give all, a file with one id per line, or ids")
    else:
        words = text.split(",")
    ids = list(dict.fromkeys(word.strip() for word in words if word.strip()))
    if not ids:
        raise ConfigError(
            f"--users {cut(text)}: names no user; give all, a file with one id per line, or ids"
        )
    return ids, is_file


def rows_of(users: IdMap, ids: Any) -> PositionVector:
    """(m,) int64 rows of the users with these external ids, one or many, in their order, each once.

    Raises UnknownIdError that names the first few unknown ones, DataError for what is no id.
    """
    return distinct(positions_of(ids, users, "user"))


def best_rated(histories: Histories, rows: PositionVector, *, items: IdMap, n: int) -> pd.DataFrame:
    """The `n` best rated items of each user in these rows of the histories, of equals the first in the
    catalogue: columns user, rank from 1, item and rated."""
    bounds = zip(histories.matrix.indptr[rows], histories.matrix.indptr[rows + 1], strict=True)
    spans = [np.arange(start, end) for start, end in bounds]
    best = [span[np.lexsort((span, -histories.matrix.data[span]))[:n]] for span in spans]
    sizes, places = [len(kept) for kept in best], np.concatenate([np.empty(0, dtype=np.int64), *best])
    return pd.DataFrame(
        {
            "user": histories.users.ids[np.repeat(rows, sizes)],
            "rank": np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(size) + 1 for size in sizes)]),
            "item": items.ids[histories.matrix.indices[places]],
            "rated": histories.matrix.data[places],
        }
    )


@dataclass(slots=True)
class Emptiness:
    """How many lists have no item in them, because their users have rated everything that could be listed."""

    n_empty: int = 0

    def counting(self, blocks: Iterable[TopNBlock]) -> Iterator[TopNBlock]:
        """The same blocks; counted as they pass."""
        for block in blocks:
            self.n_empty += int(np.count_nonzero((block.top.items < 0).all(axis=1)))
            yield block


def columns_of(
    block: TopNBlock, users: IdMap, items: IdMap, names: Sequence[str] = LIST_COLUMNS
) -> dict[str, np.ndarray]:
    """Columns user, rank (int32, from 1), item, score (float32), or of other `names`, one row per
    recommendation, in the order of the lists. `users`: ids of the rows that the block names; ids have the
    dtype of their map."""
    lists, places = np.nonzero(block.top.items >= 0)  # the rest is padding
    columns = (
        users.ids[block.rows[lists]],
        (places + 1).astype(np.int32),
        items.ids[block.top.items[lists, places]],
        block.top.scores[lists, places],
    )
    return dict(zip(names, columns, strict=True))


def frame_of(
    blocks: Iterable[TopNBlock], *, users: IdMap, items: IdMap, names: Sequence[str] = LIST_COLUMNS
) -> pd.DataFrame:
    """The rows of all blocks in one table; without any block it is empty, with the same columns."""
    nobody = np.empty(0, dtype=np.int64)
    nothing = TopN(np.empty((0, 0), dtype=np.int64), np.empty((0, 0), dtype=np.float32))
    parts = [columns_of(block, users, items, names) for block in (TopNBlock(nobody, nothing), *blocks)]
    return pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
