"""From a config to a split of ratings, and from a split to its validation split."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError, DataError
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
from recsys_ae.splitting.split import Split
from recsys_ae.splitting.splitters import (
    leave_last,
    one_fold,
    per_user_holdout,
    random_holdout,
    temporal_cut,
    users_holdout,
)
from recsys_ae.types import BoolVector


def make_split(config: SplitConfig, ratings: Ratings, seed: int) -> Split:
    """The split that `config` describes.

    Raises DataError where the ratings do not allow it or a part would be empty, ConfigError for a predefined
    split: its parts come from two files, so whoever reads these calls `predefined`.
    """
    return _split(config, ratings, seed=seed, stream="split", data_fingerprint=ratings.fingerprint())


def predefined(ratings: Ratings, held_out: BoolVector, *, config: PredefinedSplitConfig) -> Split:
    """The entries where `held_out` (n_observed,), in the order of the matrix, is true are held out.

    Raises DataError where the mask does not fit or a part would be empty.
    """
    mask = np.asarray(held_out)
    if mask.dtype != np.bool_ or mask.shape != (ratings.n_observed,):
        raise DataError(
            f"split 'predefined' needs one true or false for each of {ratings.n_observed} ratings, not "
            f"{mask.dtype} of shape {mask.shape}"
        )
    return _parted(ratings, mask, config, seed=0, data_fingerprint=ratings.fingerprint())


def validation_split(split: Split, *, share: float) -> Split:
    """The training part of `split` split again: the place to choose epochs, settings and models.

    It is drawn from the same seed and a stream of its own, in the way of `split.config`. `share` of the
    training ratings is held out: of each user's for a per-user split, which keeps its `min_train`, and after
    one moment for a temporal split. A split of users holds out `share` of the training users, who may be read
    as far as the evaluated users of `split` are. A leave-last split leaves out as many of each user again,
    whatever `share`. Folds, predefined parts and a split without holdout have a random validation part.
    Raises DataError where a part would be empty.
    """
    config = _validation_config(split.config, share)
    try:
        return _split(
            config,
            split.train,
            seed=split.seed,
            stream="validation",
            data_fingerprint=split.data_fingerprint,
        )
    except DataError as error:
        raise DataError(
            f"no validation part (share {share:g}) can be made of {split.train.n_observed} training ratings: "
            f"{error}; or use validation: null"
        ) from error


def _validation_config(config: SplitConfig, share: float) -> SplitConfig:
    match config:
        case PerUserSplitConfig():
            return PerUserSplitConfig(test_share=share, min_train=config.min_train)
        case TemporalSplitConfig():
            return TemporalSplitConfig(test_share=share)
        case LeaveLastSplitConfig():
            return config
        case UsersSplitConfig():
            return UsersSplitConfig(test_share=share, fold_in_share=config.fold_in_share)
        case RandomSplitConfig() | KFoldSplitConfig() | PredefinedSplitConfig() | AllSplitConfig():
            return RandomSplitConfig(test_share=share)
        case _:
            assert_never(config)


def _split(config: SplitConfig, ratings: Ratings, *, seed: int, stream: str, data_fingerprint: str) -> Split:
    """The split of `ratings` that is drawn from this seed and stream, with the fingerprint that it keeps."""
    match config:
        case RandomSplitConfig():
            held_out = random_holdout(ratings, config, seed=seed, stream=stream)
        case KFoldSplitConfig():
            held_out = one_fold(ratings, config, seed=seed, stream=stream)
        case PerUserSplitConfig():
            held_out = per_user_holdout(ratings, config, seed=seed, stream=stream)
        case TemporalSplitConfig():
            held_out = temporal_cut(ratings, config)
        case LeaveLastSplitConfig():
            held_out = leave_last(ratings, config, seed=seed, stream=stream)
        case UsersSplitConfig():
            evaluated, held_out = users_holdout(ratings, config, seed=seed, stream=stream)
            train, fold_in = ratings.keep(~evaluated), ratings.keep(evaluated & ~held_out)
            return Split(train, fold_in, ratings.keep(held_out), config, seed, data_fingerprint)
        case PredefinedSplitConfig():
            raise ConfigError("a predefined split is made from its two files: load them as a pair")
        case AllSplitConfig():
            return _without_holdout(ratings, config, data_fingerprint)
        case _:
            assert_never(config)
    return _parted(ratings, held_out, config, seed=seed, data_fingerprint=data_fingerprint)


def _parted(
    ratings: Ratings, held_out: BoolVector, config: SplitConfig, *, seed: int, data_fingerprint: str
) -> Split:
    """What is not held out is both trained on and read. DataError where either part would be empty."""
    n_held_out, n = int(np.count_nonzero(held_out)), ratings.n_observed
    if n_held_out == 0:
        raise DataError(
            f"split {config.kind!r} holds out none of {n} ratings; hold out more of them, or load "
            "more ratings"
        )
    if n_held_out == n:
        raise DataError(
            f"split {config.kind!r} leaves none of {n} ratings to train on; hold out fewer of "
            "them, or load more ratings"
        )
    train = ratings.keep(~held_out)
    return Split(train, train, ratings.keep(held_out), config, seed, data_fingerprint)


def _without_holdout(ratings: Ratings, config: AllSplitConfig, data_fingerprint: str) -> Split:
    """Everything is trained on. Its seed is 0, which its validation part has always been drawn from."""
    if ratings.n_observed == 0:
        raise DataError("split 'all' has no ratings to train on; load more ratings, or loosen the filters")
    nothing = ratings.keep(np.zeros(ratings.n_observed, dtype=bool))
    return Split(ratings, ratings, nothing, config, 0, data_fingerprint)
