"""The evaluated users of a split, some at a time: what the model may read beside what it is judged by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ratings import Ratings, entry_rows, select_rows
from recsys_ae.errors import CapabilityError, DataError
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.split import Split
from recsys_ae.types import BoolVector, PositionVector

_CELLS_AT_ONCE = 1 << 25  # 128 MiB of float32 scores


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """`users`: (b,) rows of the split; `batch`: what the model sees of them; `holdout`: (b, n_items)."""

    users: PositionVector
    batch: UserBatch
    holdout: csr_array

    def pairs(self) -> tuple[PositionVector, PositionVector]:
        """(m,) batch rows and (m,) items of the holdout ratings, in the order of the matrix."""
        return entry_rows(self.holdout), self.holdout.indices.astype(np.int64)


def holdout_blocks(split: Split, holdout: Ratings, size: int) -> Iterator[Block]:
    """The evaluated users of `split`, ascending, `size` at a time, judged by their rows of `holdout`.

    In a split of users the model has never seen them: their positions are -1.
    """
    evaluated = split.evaluated_users
    for start in range(0, len(evaluated), size):
        users = evaluated[start : start + size]
        positions = np.full(len(users), -1, dtype=np.int64) if split.of_users else users
        batch = UserBatch(positions, select_rows(split.fold_in.matrix, users))
        yield Block(users, batch, select_rows(holdout.matrix, users))


def ranking_size(batch_size: int, n_items: int) -> int:
    """How many users are scored at once: `batch_size`, fewer where the catalogue is so long that their scores
    would take too much memory."""
    return max(1, min(batch_size, _CELLS_AT_ONCE // max(n_items, 1)))


def relevant_part(holdout: Ratings, least: float | None) -> Ratings:
    """The holdout ratings that count as hits: those of at least `least`, None: all."""
    return holdout if least is None else holdout.keep(holdout.values >= least)


def warm_pairs(split: Split) -> BoolVector:
    """(m,) of each holdout rating: whether its user has fold-in ratings and its item training ratings."""
    known_users = np.diff(split.fold_in.matrix.indptr) > 0
    return known_users[split.holdout.rows()] & split.trained_items()[split.holdout.columns]


def check_fits(recommender: Recommender, split: Split) -> None:
    """Raises DataError where the model speaks of other users or items than the split."""
    parts = [("items", recommender.items, split.train.items)]
    if not split.of_users:
        parts.append(("users", recommender.users, split.train.users))
    for word, known, wanted in parts:
        if known is not wanted and not np.array_equal(known.ids, wanted.ids):
            raise DataError(
                f"the model knows {len(known)} {word}, the split has {len(wanted)}, and they are not the "
                "same; evaluate a model on a split of the ratings that it was trained on"
            )


def check_predicts(recommender: Recommender, metric: str) -> None:
    """Raises CapabilityError where scores are not in rating units."""
    if not recommender.predicts_ratings:
        raise CapabilityError(
            f"this {recommender.kind} model ranks but does not predict ratings, so it has no {metric}; "
            "choose a ranking metric (ndcg, recall) or another model"
        )


def check_ranks(recommender: Recommender, metric: str) -> None:
    """Raises CapabilityError where the order of scores means nothing."""
    if not recommender.ranks:
        raise CapabilityError(
            f"this {recommender.kind} model predicts ratings but cannot rank, so it has no {metric}; "
            "choose rmse or mae or another model"
        )
