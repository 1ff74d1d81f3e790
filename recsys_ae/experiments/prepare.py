"""From a config to the split that it names, and to the part of it that choices may be made on."""

from __future__ import annotations

import logging

from recsys_ae.data.config import DataConfig
from recsys_ae.data.load import load_pair, load_ratings
from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.evaluation.config import EvaluationConfig
from recsys_ae.evaluation.validation import Validator, validator
from recsys_ae.experiments.config import ValidationConfig
from recsys_ae.models.configs import ModelConfig
from recsys_ae.splitting.config import PredefinedSplitConfig, SplitConfig
from recsys_ae.splitting.make import make_split, validation_split
from recsys_ae.splitting.predefined import predefined
from recsys_ae.splitting.split import Split

log = logging.getLogger(__name__)


def prepare(data: DataConfig, split: SplitConfig, seed: int) -> Split:
    """Load and split. Raises DataError where nothing is left to train on, or to test where it should be."""
    if isinstance(split, PredefinedSplitConfig):
        made = predefined(*load_pair(data, split.train, split.test))
    else:
        made = make_split(split, load_ratings(data), seed)
    if made.train.n_observed == 0:
        raise DataError(f"{data.source}: the split {split.kind!r} leaves no training ratings; loosen it")
    if made.holdout.n_observed == 0 and split.kind != "all":
        raise DataError(f"{data.source}: the split {split.kind!r} leaves no test ratings; hold out more")
    return made


def carve(split: Split, validation: ValidationConfig | None) -> Split | None:
    """A split of the *training part* alone, for choosing epochs and settings; the test part stays unread."""
    if validation is None:
        return None
    carved = validation_split(split, share=validation.share)
    if carved.train.n_observed == 0 or carved.holdout.n_observed == 0:
        raise DataError(
            f"validation.share {validation.share:g} of {split.train.n_observed} training ratings "
            "leaves one part empty; use validation: null, or more ratings"
        )
    return carved


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


def validation_metric(config: ModelConfig, validation: ValidationConfig, evaluation: EvaluationConfig) -> str:
    """What choices are made by, named as reports name it: the configured metric, else rmse for models that
    predict ratings, else ndcg; ranking metrics at the first cutoff."""
    metric = validation.metric or ("rmse" if config.predicts_ratings else "ndcg")
    return f"{metric}_at_{evaluation.cutoffs[0]}" if metric in ("ndcg", "recall") else metric


def scorer(split: Split, metric: str, evaluation: EvaluationConfig) -> Validator:
    """The score of a candidate on a *validation* split; `metric` is named as `validation_metric` does."""
    return validator(split, metric.partition("_at_")[0], evaluation)
