"""One fit with an honest choice of its epoch."""

from __future__ import annotations

from dataclasses import dataclass

from recsys_ae.data.ratings import Ratings
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.validation import Validator, validation_metric
from recsys_ae.experiments.resources import measured
from recsys_ae.metrics import Metric
from recsys_ae.models.configs import ModelConfig
from recsys_ae.models.fit import fit
from recsys_ae.provenance import threads_in_force
from recsys_ae.recommender import Recommender
from recsys_ae.settings.configs import ValidationConfig
from recsys_ae.splitting.make import validation_split
from recsys_ae.splitting.split import Split
from recsys_ae.training.runner import Context, Trained


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model and all that a result says of its fitting. `metric`: what its epoch was chosen by, None
    where nothing was validated. `device`: "cpu" or "cuda"."""

    trained: Trained[Recommender]
    metric: Metric | None
    seconds: float
    peak_memory_mb: float
    device: str
    threads: int


def fit_split(
    model: ModelConfig,
    split: Split,
    *,
    validation: ValidationConfig | None,
    seed: int,
    evaluation: EvaluationConfig | None = None,
    context: Context | None = None,
) -> Fit:
    """Fit to the training part of a split; the test part is never read. Models that train in epochs give up a
    share of it to choose their epoch by; without `validation` they train to the last epoch."""
    evaluation = evaluation or EvaluationConfig()
    metric = metric_of_epochs(model, validation, evaluation)
    if metric is None or validation is None:
        return fit_ratings(model, split.train, None, seed=seed, context=context)
    held_back = validation_split(split, share=validation.share)
    validator = Validator.of(held_back, metric, evaluation)
    return fit_ratings(model, held_back.train, validator, seed=seed, context=context)


def metric_of_epochs(
    model: ModelConfig, validation: ValidationConfig | None, evaluation: EvaluationConfig
) -> Metric | None:
    """What the epoch of a model is chosen by; None for a model without epochs, and without validation."""
    if validation is None or not model.trains_in_epochs:
        return None
    return validation_metric(validation.metric, evaluation, predicts_ratings=model.predicts_ratings)


def fit_ratings(
    model: ModelConfig,
    train: Ratings,
    validator: Validator | None,
    *,
    seed: int,
    context: Context | None = None,
) -> Fit:
    """Fit to exactly these ratings. `validator`: chooses the epoch of models that train in epochs."""
    context = context or Context()
    with measured() as usage:
        trained = fit(model, train, seed=seed, validator=validator, context=context)
    return Fit(
        trained,
        metric=validator.metric if validator is not None and model.trains_in_epochs else None,
        seconds=usage.seconds,
        peak_memory_mb=usage.peak_memory_mb,
        device=device_of(model, context.device),
        threads=threads_in_force(),
    )


def device_of(model: ModelConfig, wanted: str) -> str:
    """Where a model of this config is fitted, "cpu" or "cuda". Raises ConfigError for a device that is not
    there."""
    if not model.fits_on_gpu:
        return "cpu"
    from recsys_ae.models.parts import pick_device  # loads torch, which other models do without

    return pick_device(wanted)
