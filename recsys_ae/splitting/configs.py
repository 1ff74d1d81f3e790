"""The kinds of split and their settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from recsys_ae.config import Config, Share


class RandomSplitConfig(Config):
    """A random share of all ratings is held out."""

    kind: Literal["random"] = "random"
    test_share: Share = 0.1


class KFoldSplitConfig(Config):
    """The ratings in `folds` random parts of equal size; part number `fold` (from 0) is held out."""

    kind: Literal["k-fold"] = "k-fold"
    folds: Annotated[int, Field(ge=2)] = 5
    fold: NonNegativeInt = 0

    @model_validator(mode="after")
    def _fold_exists(self):
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds} folds, which are counted from 0")
        return self


class PerUserSplitConfig(Config):
    """A random share of each user's ratings (rounded down), at least one where the user keeps at least
    `min_train`."""

    kind: Literal["per-user"] = "per-user"
    test_share: Share = 0.2
    min_train: PositiveInt = 1


class TemporalSplitConfig(Config):
    """Everything from one moment on is held out: the moment after which `test_share` of the ratings lie, or
    `cut` (Unix seconds). No future of any user is seen in training; ratings of one second stay together."""

    kind: Literal["temporal"] = "temporal"
    test_share: Share = 0.1
    cut: int | None = None


class LeaveLastSplitConfig(Config):
    """The last `n` ratings of each user with more than `n`. Leaks the future across users: use "temporal"
    to ask what would have worked at the time. Equal timestamps of a user come in random order."""

    kind: Literal["leave-last"] = "leave-last"
    n: PositiveInt = 1


class UsersSplitConfig(Config):
    """Strong generalisation: a share of the users is unseen in training; of their ratings `fold_in_share`
    may be read and the rest is held out (Liang et al. 2018). Users with fewer than two are not drawn."""

    kind: Literal["users"] = "users"
    test_share: Share = 0.1
    fold_in_share: Share = 0.8


class PredefinedSplitConfig(Config):
    """Training and test part from two files, such as ml-100k's u1.base and u1.test. A relative path is
    looked for in the dataset's folder."""

    kind: Literal["predefined"] = "predefined"
    train: str
    test: str


class AllSplitConfig(Config):
    """Nothing is held out: for the model that goes into production."""

    kind: Literal["all"] = "all"


SplitConfig = Annotated[
    RandomSplitConfig
    | KFoldSplitConfig
    | PerUserSplitConfig
    | TemporalSplitConfig
    | LeaveLastSplitConfig
    | UsersSplitConfig
    | PredefinedSplitConfig
    | AllSplitConfig,
    Field(discriminator="kind"),
]
