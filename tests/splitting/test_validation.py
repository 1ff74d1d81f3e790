"""The validation part: like the test part, from the training part alone."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import observed
from strategies import grid

from recsys_ae.splitting.config import (
    AllSplitConfig,
    KFoldSplitConfig,
    LeaveLastSplitConfig,
    PerUserSplitConfig,
    RandomSplitConfig,
    TemporalSplitConfig,
    UsersSplitConfig,
)
from recsys_ae.splitting.make import make_split, validation_split
from recsys_ae.splitting.ordered import leave_last, temporal_cut
from recsys_ae.splitting.predefined import predefined
from recsys_ae.splitting.random import random_holdout
from recsys_ae.splitting.users import hold_out_users

CONFIGS = [
    RandomSplitConfig(),
    KFoldSplitConfig(fold=2),
    PerUserSplitConfig(),
    TemporalSplitConfig(),
    LeaveLastSplitConfig(n=2),
    UsersSplitConfig(test_share=0.3),
    AllSplitConfig(),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_validation_never_sees_the_holdout(config):
    split = make_split(config, grid(), 5)
    carved = validation_split(split, share=0.2)
    seen = observed(carved.train) | observed(carved.fold_in) | observed(carved.holdout)
    assert seen == observed(split.train)
    assert carved.holdout.n_observed > 0
    kept = {"per-user", "temporal", "leave-last", "users"}
    assert carved.name == (split.name if split.name in kept else "random")
    assert carved.seed == split.seed
    assert validation_split(split, share=0.2).fingerprint() == carved.fingerprint()


def test_validation_resembles_its_split():
    ratings = grid()
    temporal = validation_split(temporal_cut(ratings, test_share=0.2), share=0.2)
    assert temporal.train.timestamps.max() < temporal.holdout.timestamps.min()
    last = validation_split(leave_last(ratings, n=2, seed=0), share=0.2)
    assert set(np.diff(last.holdout.matrix.indptr)) == {2}
    users = validation_split(hold_out_users(ratings, test_share=0.25, fold_in_share=0.5, seed=0), share=0.3)
    read = users.fold_in.n_observed / (users.fold_in.n_observed + users.holdout.n_observed)
    assert 0.4 < read < 0.6
    assert len(users.evaluated_users) == round(0.3 * 9)
    drawn = random_holdout(ratings, test_share=0.2, seed=0)
    again = random_holdout(drawn.train, test_share=0.2, seed=0)
    assert validation_split(drawn, share=0.2).fingerprint() != again.fingerprint()  # a stream of its own


def test_validation_of_predefined_parts_is_random():
    ratings = grid()
    mask = np.arange(ratings.n_observed) % 5 == 0
    carved = validation_split(predefined(ratings, mask), share=0.1)
    assert carved.name == "random"
    assert carved.holdout.n_observed == round(0.1 * np.count_nonzero(~mask))
