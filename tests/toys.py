"""The smallest things that keep a protocol: a recommender that looks scores up, splits of small ratings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from hypothesis import strategies as st
from strategies import small_ratings

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.recommender import State
from recsys_ae.splitting.split import Split


@dataclass(frozen=True, slots=True, eq=False)
class Toy:
    """Scores are `table[position]` plus the number of ratings in the history, exact in float32.

    `table`: (n_users + 1, n_items) float32; the last row is for position -1.
    """

    users: IdMap
    items: IdMap
    table: np.ndarray
    predicts_ratings: bool = True
    ranks: bool = True
    folds_in: bool = True

    kind: ClassVar[str] = "toy"

    def score(self, batch):
        return self.table[batch.positions] + np.diff(batch.history.indptr).astype(np.float32)[:, None]

    def score_pairs(self, batch, rows, items):
        return self.score(batch)[rows, items]

    def state(self):
        return State({"table": self.table})


def toy(ratings: Ratings, seed: int = 0, **flags) -> Toy:
    """A toy with few distinct scores, so that there are ties."""
    rng = np.random.default_rng(seed)
    table = rng.integers(-4, 5, size=(ratings.n_users + 1, ratings.n_items)) / 2
    return Toy(ratings.users, ratings.items, table.astype(np.float32), **flags)


@st.composite
def splits(draw) -> Split:
    """A split of small ratings: of ratings, or of users with a fold-in part; the holdout may be empty."""
    ratings = draw(small_ratings())
    kept = st.lists(st.booleans(), min_size=ratings.n_observed, max_size=ratings.n_observed)
    held = np.array(draw(kept), dtype=bool)
    if draw(st.booleans()):
        train = ratings.keep(~held)
        return Split(train, train, ratings.keep(held), "toy", 3)
    users = np.array(draw(st.lists(st.booleans(), min_size=ratings.n_users, max_size=ratings.n_users)))
    of_held_users = users[ratings.rows()]
    train = ratings.keep(~of_held_users)
    return Split(train, ratings.keep(of_held_users & ~held), ratings.keep(of_held_users & held), "toy", 3)
