"""One fit with an honest choice of its epoch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from recsys_ae.data.ratings import Ratings
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.validation import Validator, validation_metric
from recsys_ae.experiments.resources import measured, timed
from recsys_ae.metrics import Metric
from recsys_ae.models.configs import ModelConfig, with_epochs
from recsys_ae.models.fit import fit, has_state
from recsys_ae.provenance import threads_in_force
from recsys_ae.recommender import Recommender
from recsys_ae.results.trials import Trial
from recsys_ae.settings.configs import ValidationConfig
from recsys_ae.splitting.make import validation_split
from recsys_ae.splitting.split import Split
from recsys_ae.training.runner import Context, Trained


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model and all that a result says of its fitting.

    `trained`: the training that was validated, or the only one; `refit`: the training to all training ratings
    that followed, None where none did. `train`: the ratings that the model was fitted to.
    `metric`: what validated it, None where nothing did; `score`: its figure, after `scoring_seconds`.
    `at_last_epoch`: the epoch was chosen until no more were allowed. `seconds` and `peak_memory_mb`: of all
    fitting. `device`: "cpu" or "cuda".
    """

    trained: Trained[Recommender]
    train: Ratings
    metric: Metric | None
    score: float | None
    scoring_seconds: float
    at_last_epoch: bool
    seconds: float
    peak_memory_mb: float
    device: str
    threads: int
    refit: Trained[Recommender] | None = None

    @property
    def is_refitted(self) -> bool:
        """Whether the model is one of all training ratings. A refit that Ctrl-C has ended makes none."""
        return self.refit is not None and not self.refit.interrupted

    @property
    def model(self) -> Recommender:
        return self.refit.model if self.refit is not None and self.is_refitted else self.trained.model

    @property
    def epochs_run(self) -> int:
        """Of the training that was validated; 0 where it had no epochs."""
        return self.trained.epochs[-1].number if self.trained.epochs else 0

    @property
    def epoch_seconds(self) -> float | None:
        """The median time of an epoch of that training; None where none was trained or told its time."""
        told = [epoch.seconds for epoch in self.trained.epochs if epoch.number and epoch.seconds]
        return median(told) if told else None

    @property
    def interrupted(self) -> bool:
        return self.trained.interrupted or (self.refit is not None and self.refit.interrupted)

    @property
    def resumable(self) -> bool:
        return self.trained.resumable or (self.refit is not None and self.refit.resumable)

    @property
    def state(self) -> Path | None:
        """The folder that keeps the state of the last training; None where none is kept."""
        checkpoint = (self.refit or self.trained).checkpoint
        return checkpoint.folder if checkpoint is not None and checkpoint.is_kept else None

    def forget(self) -> None:
        """Delete the states of trainings that came to their end; an interrupted refit needs both."""
        if not self.interrupted:
            for training in (self.trained, self.refit):
                if training is not None:
                    training.forget()

    def trial(self, settings: dict[str, Any]) -> Trial:
        """What this fit, as it was validated, is as one of many trials."""
        return Trial(
            settings,
            self.score,
            self.seconds + self.scoring_seconds,
            epochs_run=self.epochs_run,
            best_epoch=self.trained.best_epoch,
            at_last_epoch=self.at_last_epoch,
        )


def fit_split(
    model: ModelConfig,
    split: Split,
    *,
    validation: ValidationConfig | None,
    seed: int,
    evaluation: EvaluationConfig | None = None,
    context: Context | None = None,
    first: Fit | None = None,
) -> Fit:
    """Fit to the training part of a split; the test part is never read. Models that train in epochs give up a
    share of it to choose their epoch by, and are fitted again to all of it where `validation.refit` says so;
    without `validation` they train to the last epoch. `first`: the fit by which the epoch is chosen, where it
    is made already.
    """
    evaluation, context = evaluation or EvaluationConfig(), context or Context()
    metric = metric_of_epochs(model, validation, evaluation)
    if metric is None or validation is None:
        return fit_ratings(model, split.train, None, seed=seed, context=context)
    if first is None:
        held_back = validation_split(split, share=validation.share)
        validator = Validator.of(held_back, metric, evaluation)
        keeping = replace(context, keep_state=context.keep_state or validation.refit)
        first = fit_ratings(model, held_back.train, validator, seed=seed, context=keeping)
    if not validation.refit or first.trained.interrupted or first.trained.best_epoch is None:
        return first
    return _refitted(first, with_epochs(model, first.trained.best_epoch), split.train, seed, context)


def _refitted(first: Fit, model: ModelConfig, train: Ratings, seed: int, context: Context) -> Fit:
    """The fit followed by one to all training ratings; costs are those of both."""
    resume = context.resume and has_state(model, train, seed=seed, context=context)
    second = fit_ratings(model, train, None, seed=seed, context=replace(context, resume=resume))
    return replace(
        first,
        refit=second.trained,
        train=first.train if second.trained.interrupted else train,
        seconds=first.seconds + second.seconds,
        peak_memory_mb=max(first.peak_memory_mb, second.peak_memory_mb),
    )


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
    """Fit to exactly these ratings. `validator`: chooses the epoch of models that train in epochs, and scores
    the fitted model, whatever it is. Raises CapabilityError for a model that has nothing to be scored by."""
    context = context or Context()
    with measured() as usage:
        trained = fit(model, train, seed=seed, validator=validator, context=context)
    with timed() as scoring:
        score = None if validator is None else validator(trained.model)
    last = trained.epochs[-1].number if trained.epochs else None
    return Fit(
        trained,
        train,
        metric=None if validator is None else validator.metric,
        score=score,
        scoring_seconds=scoring.seconds,
        at_last_epoch=validator is not None and model.trains_in_epochs and last == model.max_epochs,
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
