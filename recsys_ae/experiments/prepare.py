"""From a config to the ratings and the split that it names."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.load import load_pair, load_ratings
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import CapabilityError, ConfigError
from recsys_ae.models.configs import BaseModelConfig, ModelConfig
from recsys_ae.settings.schema import branches, kind_of
from recsys_ae.splitting.configs import PredefinedSplitConfig, SplitConfig
from recsys_ae.splitting.make import make_split, predefined
from recsys_ae.splitting.split import Split
from recsys_ae.types import Progress, unwatched

log = logging.getLogger(__name__)
_FOR_LISTS = [
    str(kind_of(model))
    for model in branches(ModelConfig)
    if issubclass(model, BaseModelConfig) and not model.predicts_ratings
]


def prepare(data: DataConfig, split: SplitConfig, seed: int, on_read: Progress = unwatched) -> Split:
    """Load and split. `on_read`: told how many bytes have been read, of how many. Raises DataError where a
    part that should hold ratings would be empty."""
    return next(prepare_all(data, split, (seed,), on_read=on_read))


def prepare_all(
    data: DataConfig,
    split: SplitConfig,
    seeds: tuple[int, ...],
    *,
    ratings: Ratings | None = None,
    on_read: Progress = unwatched,
) -> Iterator[Split]:
    """A split for each seed, all of ratings that are read once, or of these `ratings` in place of `data`."""
    if isinstance(split, PredefinedSplitConfig):
        if ratings is not None:
            raise ConfigError("a predefined split is made of two files; name them in a file of settings")
        pair = load_pair(data, split.train, split.test, on_read)
        only = _counted(predefined(*pair, config=split))
        yield from (only for _ in seeds)
        return
    ratings = load_ratings(data, on_read) if ratings is None else ratings
    for seed in seeds:
        yield _counted(make_split(split, ratings, seed))


def _counted(split: Split) -> Split:
    """The split, with a warning where its holdout leaves the range that a model can know of."""
    if split.outside_scale:
        low, high = split.train.limits()
        log.warning(
            "%d of %d holdout ratings lie outside the range of the training part, %g to %g; where "
            "the scale is known, declare it: data.scale",
            split.outside_scale,
            split.holdout.n_observed,
            low,
            high,
        )
    return split


def check_cutoffs(cutoffs: Sequence[int], split: Split) -> None:
    """Warn where lists hold the whole catalogue, so that all models find all that there is to find."""
    n_items = split.train.n_items
    if long := [cutoff for cutoff in cutoffs if cutoff >= n_items]:
        log.warning(
            "lists of %d hold the whole catalogue of %d items, and tell no models apart; choose smaller "
            "evaluation.cutoffs",
            min(long),
            n_items,
        )


def check_feedback(config: ModelConfig, train: Ratings, *, anyway: bool = False) -> None:
    """Raises CapabilityError where a model is to predict ratings that are counts or events; `anyway` warns
    instead. Ratings that are all equal are worth a warning, too."""
    if not config.predicts_ratings or train.n_observed == 0:
        return
    if train.feedback != "ratings":
        said = (
            f"{config.kind} predicts ratings, but these are {train.feedback}; the models for such data "
            f"are {', '.join(_FOR_LISTS)}"
        )
        if not anyway:
            raise CapabilityError(
                f"{said}; choose one of them, set data.feedback=ratings where the values are ratings, "
                "or fit it --anyway (in Python: anyway=True)"
            )
        log.warning("%s", said)
    elif (train.values == train.values[0]).all():
        log.warning(
            "%s predicts ratings, but all training ratings are %g: its errors will say nothing",
            config.kind,
            train.values[0],
        )
