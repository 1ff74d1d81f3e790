"""The validation part: like the test part, from the training part alone."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import observed
from strategies import grid, ratings_of

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.splitting.configs import (
    AllSplitConfig,
    KFoldSplitConfig,
    LeaveLastSplitConfig,
    PerUserSplitConfig,
    PredefinedSplitConfig,
    RandomSplitConfig,
    SplitConfig,
    TemporalSplitConfig,
    UsersSplitConfig,
)
from recsys_ae.splitting.make import make_split, predefined, validation_split
from recsys_ae.splitting.split import Split

CONFIGS = [
    RandomSplitConfig(test_share=0.3),
    KFoldSplitConfig(folds=3, fold=1),
    PerUserSplitConfig(test_share=0.4),
    TemporalSplitConfig(test_share=0.3),
    LeaveLastSplitConfig(n=2),
    UsersSplitConfig(test_share=0.4, fold_in_share=0.5),
    PredefinedSplitConfig(train="u1.base", test="u1.test"),
    AllSplitConfig(),
]
# Of seed 7: the split, and its validation part of a share of 0.2. Published with results.
FINGERPRINTS = {
    "random": ("c2614d46128c1181c359bcd492a874fa", "149538794dc5cfadac8801f1e234c2b0"),
    "k-fold": ("b95444550dc07ba5f85da3118afec7f4", "17e11ad34452c13754860d42fa32122c"),
    "per-user": ("e6b313b5b91bf07cbb9ad729f9441f56", "f40c99bc2e4657c1a3f6041d805de7ea"),
    "temporal": ("7d008b6ecbc97e01490de97fb7011618", "5ab84b573d38b1426b91861ffe2e72b3"),
    "leave-last": ("84392c9e8f11035c51a31bcf8a51aac2", "454f51db94bb7d966eef397ac27a290b"),
    "users": ("bf4b96c14c0052ed50704d191baeccc7", "b74c8159bb9e79261441761528f0d1f5"),
    "predefined": ("4e4a8f484c77815a5c545b9df8ff1056", "7aba4fa87b30aeefb381eb0921627d38"),
    "all": ("a7105731472e8a3ef897d7c13d39c608", "b5a3e2d771e0df05d745de7b4ee15c07"),
}
each_kind = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)


def split_of(config: SplitConfig, ratings: Ratings, seed: int) -> Split:
    if isinstance(config, PredefinedSplitConfig):
        return predefined(ratings, np.arange(ratings.n_observed) % 5 == 0, config=config)
    return make_split(config, ratings, seed)


@each_kind
def test_fingerprints_are_known(config):
    split = split_of(config, grid(), 7)
    carved = validation_split(split, share=0.2)
    assert (split.fingerprint(), carved.fingerprint()) == FINGERPRINTS[config.kind]
    assert split.data_fingerprint == carved.data_fingerprint == grid().fingerprint()


@each_kind
def test_validation_never_sees_the_holdout(config):
    split = split_of(config, grid(), 5)
    carved = validation_split(split, share=0.2)
    seen = observed(carved.train) | observed(carved.fold_in) | observed(carved.holdout)
    assert seen == observed(split.train)
    assert carved.holdout.n_observed > 0
    assert carved.seed == split.seed
    assert validation_split(split, share=0.2).fingerprint() == carved.fingerprint()


EXPECTED = {
    "per-user": PerUserSplitConfig(test_share=0.2, min_train=3),
    "temporal": TemporalSplitConfig(test_share=0.2),
    "leave-last": LeaveLastSplitConfig(n=2),
    "users": UsersSplitConfig(test_share=0.2, fold_in_share=0.5),
}


@pytest.mark.parametrize(
    "config",
    [
        RandomSplitConfig(test_share=0.4),
        KFoldSplitConfig(fold=2),
        PerUserSplitConfig(test_share=0.4, min_train=3),
        TemporalSplitConfig(cut=1_000_000_080),
        *CONFIGS[4:],
    ],
    ids=lambda config: config.kind,
)
def test_each_kind_says_how_its_training_part_is_split(config):
    carved = validation_split(split_of(config, grid(), 5), share=0.2)
    assert carved.config == EXPECTED.get(config.kind, RandomSplitConfig(test_share=0.2))


@pytest.mark.parametrize(
    "config",
    [
        RandomSplitConfig(test_share=0.2),
        PerUserSplitConfig(test_share=0.2),
        LeaveLastSplitConfig(n=2),
        UsersSplitConfig(test_share=0.2),
    ],
    ids=lambda config: config.kind,
)
def test_validation_is_not_drawn_from_the_stream_of_the_test_part(config):
    """The same draws for both would make the choice of the test part decide that of the validation part."""
    ratings = grid(20, 15)
    at_once = np.full(ratings.n_observed, 1_000_000_000)  # all is left to chance in a leave-last split, too
    split = make_split(config, Ratings(ratings.matrix, ratings.users, ratings.items, at_once), 5)
    again = make_split(config, split.train, split.seed)
    carved = validation_split(split, share=0.2)
    assert carved.holdout.n_observed == pytest.approx(again.holdout.n_observed, abs=2)
    assert observed(carved.holdout).keys() != observed(again.holdout).keys()


def test_validation_resembles_its_split():
    ratings = grid()
    temporal = validation_split(make_split(TemporalSplitConfig(test_share=0.2), ratings, 0), share=0.2)
    assert temporal.train.timestamps.max() < temporal.holdout.timestamps.min()
    last = validation_split(make_split(LeaveLastSplitConfig(n=2), ratings, 0), share=0.2)
    assert set(np.diff(last.holdout.matrix.indptr)) == {2}
    config = UsersSplitConfig(test_share=0.25, fold_in_share=0.5)
    users = validation_split(make_split(config, ratings, 0), share=0.3)
    read = users.fold_in.n_observed / (users.fold_in.n_observed + users.holdout.n_observed)
    assert 0.4 < read < 0.6
    assert len(users.evaluated_users) == round(0.3 * 9)


def test_a_per_user_validation_leaves_each_user_what_the_split_does():
    """Half of eight ratings would go to the test and half of the other four to validation, but for the five
    to be trained on."""
    cells = np.arange(10 * 8)
    ratings = ratings_of(cells // 8, cells % 8, np.ones(80))
    config = PerUserSplitConfig(test_share=0.25, min_train=5)
    carved = validation_split(make_split(config, ratings, 0), share=0.5)
    assert np.diff(carved.train.matrix.indptr).tolist() == [5] * 10


def test_validation_users_are_read_as_far_as_the_config_says():
    """Rounding makes the test users' own ratio another: 2 of 3 ratings are read, where 0.9 are to be."""
    n_users = 200
    cells = np.arange(n_users * 20)
    ratings = ratings_of(cells // 20, cells % 20, np.ones(len(cells)))
    few = ratings.keep((ratings.columns < 3) | (ratings.rows() % 10 == 0))
    split = make_split(UsersSplitConfig(test_share=0.3, fold_in_share=0.9), few, 3)
    carved = validation_split(split, share=0.5)
    totals = np.diff((carved.fold_in.joined(carved.holdout)).matrix.indptr)[carved.evaluated_users]
    held_out = np.diff(carved.holdout.matrix.indptr)[carved.evaluated_users]
    assert set(zip(totals.tolist(), held_out.tolist(), strict=True)) == {(3, 1), (20, 2)}


def test_validation_of_predefined_parts_is_random():
    ratings = grid()
    mask = np.arange(ratings.n_observed) % 5 == 0
    carved = validation_split(predefined(ratings, mask, config=CONFIGS[6]), share=0.1)
    assert carved.config.kind == "random"
    assert carved.holdout.n_observed == round(0.1 * np.count_nonzero(~mask))


def test_a_split_too_small_to_validate_on_says_what_to_do():
    split = make_split(
        LeaveLastSplitConfig(n=1), ratings_of([1, 1, 2], [7, 8, 9], np.ones(3), timestamps=[1, 2, 3]), 0
    )
    with pytest.raises(
        DataError, match=r"no validation part .* 2 training ratings: .*; or use validation: null"
    ):
        validation_split(split, share=0.1)
