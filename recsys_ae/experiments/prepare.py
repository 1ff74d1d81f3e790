"""From a config to the ratings and the split that it names."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.load import load_pair, load_ratings
from recsys_ae.data.ratings import Ratings
from recsys_ae.models.configs import ModelConfig
from recsys_ae.splitting.configs import PredefinedSplitConfig, SplitConfig
from recsys_ae.splitting.make import make_split, predefined
from recsys_ae.splitting.split import Split

log = logging.getLogger(__name__)


def prepare(data: DataConfig, split: SplitConfig, seed: int) -> Split:
    """Load and split. Raises DataError where a part that should hold ratings would be empty."""
    return next(prepare_all(data, split, (seed,)))


def prepare_all(data: DataConfig, split: SplitConfig, seeds: tuple[int, ...]) -> Iterator[Split]:
    """A split for each seed, all of ratings that are read once."""
    if isinstance(split, PredefinedSplitConfig):
        only = predefined(*load_pair(data, split.train, split.test), config=split)
        yield from (only for _ in seeds)
        return
    ratings = load_ratings(data)
    for seed in seeds:
        yield make_split(split, ratings, seed)


def warn_of_implicit(config: ModelConfig, train: Ratings) -> None:
    """Say so, where a model is to predict ratings that are no ratings but implicit feedback."""
    if not config.predicts_ratings or train.n_observed == 0:
        return
    first = train.values[0]
    if (train.values == first).all():
        what = f"all training ratings are {first:g}: its errors will say nothing"
    elif train.scale is None:
        what = "these are implicit feedback, without a rating scale"
    else:
        return
    log.warning(
        "%s predicts ratings, but %s; als, bpr, item-knn and popularity are the models for such data",
        config.kind,
        what,
    )
