"""Which splitter a config means, and which one carves the validation part."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError
from recsys_ae.splitting.config import (
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
from recsys_ae.splitting.ordered import leave_last, temporal_cut
from recsys_ae.splitting.predefined import keep_all
from recsys_ae.splitting.random import k_fold, per_user_holdout, random_holdout
from recsys_ae.splitting.split import Split
from recsys_ae.splitting.users import hold_out_users


def make_split(config: SplitConfig, ratings: Ratings, seed: int) -> Split:
    """The split that `config` describes.

    Raises DataError where the ratings do not allow it, ConfigError for a predefined split: its parts come
    from two files, so whoever reads these calls `predefined`.
    """
    match config:
        case RandomSplitConfig():
            return random_holdout(ratings, test_share=config.test_share, seed=seed)
        case KFoldSplitConfig():
            return k_fold(ratings, folds=config.folds, fold=config.fold, seed=seed)
        case PerUserSplitConfig():
            return per_user_holdout(
                ratings, test_share=config.test_share, min_train=config.min_train, seed=seed
            )
        case TemporalSplitConfig():
            return temporal_cut(ratings, test_share=config.test_share, cut=config.cut, seed=seed)
        case LeaveLastSplitConfig():
            return leave_last(ratings, n=config.n, seed=seed)
        case UsersSplitConfig():
            return hold_out_users(
                ratings, test_share=config.test_share, fold_in_share=config.fold_in_share, seed=seed
            )
        case PredefinedSplitConfig():
            raise ConfigError("a predefined split is made from its two files: load them as a pair")
        case AllSplitConfig():
            return keep_all(ratings)
        case _:
            assert_never(config)


def validation_split(split: Split, *, share: float) -> Split:
    """The training part of `split` split again in the same way, from the same seed and a stream of its own.

    `share` of the training ratings is held out, of each user's for a per-user split, after one moment for a
    temporal one; `share` of the training users for a split of users, who may be read as far as the evaluated
    users of `split` are. A leave-last split leaves out as many of each user again, whatever `share`. Folds,
    predefined parts and a split without holdout have a random validation part.
    """
    return split.validation(lambda train, seed: _carved(split, train, share, seed))


def _carved(split: Split, train: Ratings, share: float, seed: int) -> Split:
    match split.name:
        case "per-user":
            return per_user_holdout(train, test_share=share, seed=seed, stream="validation")
        case "temporal":
            return temporal_cut(train, test_share=share, seed=seed)
        case "leave-last":
            return leave_last(train, n=_most_held_out(split), seed=seed, stream="validation")
        case "users":
            return hold_out_users(
                train, test_share=share, fold_in_share=_share_read(split), seed=seed, stream="validation"
            )
        case _:
            return random_holdout(train, test_share=share, seed=seed, stream="validation")


def _most_held_out(split: Split) -> int:
    """`n` of a leave-last split: every evaluated user has that many holdout ratings."""
    return int(np.diff(split.holdout.matrix.indptr).max())


def _share_read(split: Split) -> float:
    """The part of the evaluated users' ratings that may be read."""
    return split.fold_in.n_observed / (split.fold_in.n_observed + split.holdout.n_observed)
