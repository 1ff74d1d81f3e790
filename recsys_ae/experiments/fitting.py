"""One fit with an honest choice of its epoch."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recsys_ae.data.ratings import Ratings
from recsys_ae.evaluation.config import EvaluationConfig
from recsys_ae.evaluation.validation import Validator
from recsys_ae.experiments.config import ValidationConfig
from recsys_ae.experiments.prepare import carve, scorer, validation_metric, warn_of_implicit
from recsys_ae.experiments.resources import timed
from recsys_ae.files import remove_leftovers
from recsys_ae.models.configs import ModelConfig
from recsys_ae.models.context import FitContext, ignore
from recsys_ae.models.fit import fit
from recsys_ae.provenance import threads_in_force
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.split import Split
from recsys_ae.types import Epoch

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How a fit is run, as against what is fitted. `checkpoints`: the folder that holds the states of
    unfinished trainings, each under a name made of what is trained; None keeps none."""

    device: str = "auto"
    on_epoch: Callable[[Epoch], None] = ignore
    checkpoints: Path | None = None
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Judge:
    """What a candidate is chosen by: a metric, and its score on validation ratings (higher is better)."""

    metric: str
    score: Validator


@dataclass(frozen=True, slots=True)
class Fitted:
    """A recommender and how it came to be. `metric`: what the epochs' scores measure, None where there was
    no validation; `device` ("cpu" or "cuda") and `threads`: what it was fitted with. `checkpoint`: the state
    that the training can be continued from, no longer needed once the result is kept (see `forget`)."""

    recommender: Recommender
    epochs: tuple[Epoch, ...]
    seconds: float
    interrupted: bool
    metric: str | None
    device: str
    threads: int
    checkpoint: Path | None = None

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose model was kept: the first with the best score, else the last."""
        scored = [epoch for epoch in self.epochs if epoch.score is not None]
        if scored:
            return max(scored, key=lambda epoch: (epoch.score, -epoch.number)).number
        return self.epochs[-1].number if self.epochs else None

    def forget(self) -> None:
        """Delete the state of a training that came to its end; that of an interrupted one stays."""
        if self.checkpoint is not None and not self.interrupted:
            shutil.rmtree(self.checkpoint, ignore_errors=True)


def fit_on(
    model: ModelConfig,
    split: Split,
    *,
    validation: ValidationConfig | None,
    seed: int,
    evaluation: EvaluationConfig | None = None,
    options: FitOptions | None = None,
) -> Fitted:
    """Fit to the training part. Models that stop early give up a share of it to choose their epoch by; the
    test part is never read. With `validation` None they train to the last epoch."""
    warn_of_implicit(model, split.train)
    carved = carve(split, validation) if model.stops_early else None
    if carved is None or validation is None:
        return fit_to(model, split.train, None, seed=seed, options=options)
    judge = judge_of(model, carved, validation, evaluation or EvaluationConfig())
    return fit_to(model, carved.train, judge, seed=seed, options=options)


def judge_of(
    model: ModelConfig, carved: Split, validation: ValidationConfig, evaluation: EvaluationConfig
) -> Judge:
    """What candidates of a config are judged by, on a validation split."""
    metric = validation_metric(model, validation, evaluation)
    return Judge(metric, scorer(carved, metric, evaluation))


def fit_to(
    model: ModelConfig, train: Ratings, judge: Judge | None, *, seed: int, options: FitOptions | None = None
) -> Fitted:
    """Fit to exactly these ratings, the epoch chosen by the judge; without one, train to the last epoch."""
    options, metric = options or FitOptions(), judge.metric if judge else None
    checkpoint = _checkpoint(model, train, metric, seed, options)
    epochs: list[Epoch] = []
    stopped: list[int] = []

    def hear(epoch: Epoch) -> None:
        epochs.append(epoch)
        options.on_epoch(epoch)

    context = FitContext(
        seed=seed,
        device=options.device,
        on_epoch=hear,
        on_interrupt=stopped.append,
        validate=judge.score if judge else None,
        checkpoint=checkpoint,
        resume=options.resume,
    )
    with timed() as usage:
        recommender = fit(model, train, context)
    return Fitted(
        recommender,
        tuple(epochs),
        usage.seconds,
        interrupted=bool(stopped),
        metric=metric,
        device=_device(model, options.device),
        threads=threads_in_force(),
        checkpoint=checkpoint,
    )


def _device(model: ModelConfig, wanted: str) -> str:
    """Where a model of this config is fitted, "cpu" or "cuda"."""
    if not model.fits_on_gpu:
        return "cpu"
    from recsys_ae.models.parts import pick_device  # loads torch, which other models do without

    return pick_device(wanted)


def _checkpoint(
    model: ModelConfig, train: Ratings, metric: str | None, seed: int, options: FitOptions
) -> Path | None:
    """Where this very training keeps its state: the same model, seed, ratings and way to choose, or none.
    What a killed process left half-written there is removed."""
    if options.checkpoints is None or not model.stops_early:
        return None
    text = "\n".join([model.model_dump_json(), train.fingerprint(), str(metric), str(seed)])
    folder = options.checkpoints / hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
    remove_leftovers(folder)
    if options.resume and not folder.exists():
        log.warning("no interrupted training of this config, seed and data was found; training starts anew")
    return folder


def shown_score(metric: str, score: float) -> float:
    """A validation score (higher is better) as people know the metric: errors are positive."""
    return -score if metric in ("rmse", "mae") else score
