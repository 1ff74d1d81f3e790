"""The smallest things that keep a protocol: a recommender that looks scores up, splits of small ratings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from hypothesis import strategies as st
from strategies import small_ratings

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.models import fit as fitting
from recsys_ae.models.configs import ModelConfig
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.configs import RandomSplitConfig, SplitConfig, UsersSplitConfig
from recsys_ae.splitting.split import Split
from recsys_ae.training.runner import Context, Trained


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


@dataclass(frozen=True, slots=True)
class Scoring:
    """A validator: candidates are chosen by `function`."""

    function: Callable[[Any], float]
    higher_is_better: bool = True
    fingerprint: str = ""

    def __call__(self, candidate):
        return self.function(candidate)

    def is_better(self, score, than):
        return score > than if self.higher_is_better else score < than


def train(config: ModelConfig, ratings: Ratings, *, seed: int = 0, validator=None, **context) -> Trained:
    """What fitting on the CPU gives; further options are those of `Context`."""
    running = Context(**{"device": "cpu", **context})
    return fitting.fit(config, ratings, seed=seed, validator=validator, context=running)


def fit(config: ModelConfig, ratings: Ratings, **options) -> Recommender:
    """The model alone of `train`."""
    return train(config, ratings, **options).model


def everyone(ratings: Ratings) -> UserBatch:
    """All users of training, with all their ratings."""
    return UserBatch(np.arange(ratings.n_users), ratings.matrix)


def toy(ratings: Ratings, seed: int = 0, **flags) -> Toy:
    """A toy with few distinct scores, so that there are ties."""
    rng = np.random.default_rng(seed)
    table = rng.integers(-4, 5, size=(ratings.n_users + 1, ratings.n_items)) / 2
    return Toy(ratings.users, ratings.items, table.astype(np.float32), **flags)


def split_by_hand(
    train: Ratings, holdout: Ratings, *, fold_in: Ratings | None = None, config: SplitConfig | None = None
) -> Split:
    """A split of these parts, as if drawn from seed 3; of users where a `fold_in` of their own is given."""
    config = config or (RandomSplitConfig() if fold_in is None else UsersSplitConfig())
    return Split(train, train if fold_in is None else fold_in, holdout, config, 3, "of the ratings")


@st.composite
def splits(draw) -> Split:
    """A split of small ratings: of ratings, or of users with a fold-in part; the holdout may be empty."""
    ratings = draw(small_ratings())
    kept = st.lists(st.booleans(), min_size=ratings.n_observed, max_size=ratings.n_observed)
    held = np.array(draw(kept), dtype=bool)
    if draw(st.booleans()):
        return split_by_hand(ratings.keep(~held), ratings.keep(held))
    users = np.array(draw(st.lists(st.booleans(), min_size=ratings.n_users, max_size=ratings.n_users)))
    of_held_users = users[ratings.rows()]
    fold_in = ratings.keep(of_held_users & ~held)
    return split_by_hand(ratings.keep(~of_held_users), ratings.keep(of_held_users & held), fold_in=fold_in)
