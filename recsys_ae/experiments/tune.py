"""Which settings of a model go to the test: chosen on validation ratings, with equal budgets."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from recsys_ae.errors import ConfigError, RecsysError
from recsys_ae.evaluation.validation import Validator, validation_metric
from recsys_ae.experiments.fit import Fit, fit_ratings
from recsys_ae.experiments.resources import timed
from recsys_ae.metrics import Metric
from recsys_ae.models.configs import ModelConfig
from recsys_ae.results.trials import Trial, Validation, edges_of
from recsys_ae.settings.configs import BenchmarkConfig, EntryConfig
from recsys_ae.settings.explain import checked
from recsys_ae.settings.overrides import assign
from recsys_ae.splitting.make import validation_split
from recsys_ae.splitting.split import Split
from recsys_ae.training.runner import Context

log = logging.getLogger(__name__)


def candidates(entry: EntryConfig) -> Iterator[tuple[dict[str, Any], ModelConfig]]:
    """Every combination of the grid, the first values first. Raises ConfigError for a setting that does not
    exist or does not hold."""
    for values in product(*entry.grid.values()):
        settings = dict(zip(entry.grid, values, strict=True))
        document = entry.model.model_dump(mode="json")
        where = f"the grid of model {entry.name!r}"
        for key, value in settings.items():
            assign(type(entry.model), document, key, value, origin=where)
        yield settings, checked(type(entry.model), document, where=where)


def check_budgets(config: BenchmarkConfig) -> None:
    """Every grid is sound and within the budget. Raises ConfigError, before any data is read."""
    for number, entry in enumerate(config.models):
        n_trials = prod(len(values) for values in entry.grid.values())
        if n_trials > config.trials:
            raise ConfigError(
                f"models.{number}.grid: {entry.name!r} has {n_trials} combinations, and every "
                f"model may try {config.trials}; shorten the grid or raise trials"
            )
        for _ in candidates(entry):
            pass


@dataclass(frozen=True, slots=True)
class Tuned:
    """The config that goes to the test, and all that was tried. `first`: the winner's fit, where the same
    validation ratings chose its epoch; models without epochs are fitted again, to all training ratings."""

    model: ModelConfig
    validation: Validation
    first: Fit | None


def tune(entry: EntryConfig, split: Split, config: BenchmarkConfig, *, seed: int, context: Context) -> Tuned:
    """Fit every combination on a part of the training ratings and score it on the rest; the test part stays
    unread. A combination that fails loses; where all fail, the last error is raised.

    A model with nothing to choose is scored like the others. Where it has no epochs either, nothing depends
    on its score, and it may go without one: a model of lists has no rmse.
    """
    options = list(candidates(entry))
    metric = validation_metric(
        config.validation.metric, config.evaluation, predicts_ratings=entry.model.predicts_ratings
    )
    try:
        return _tried(entry, options, split, config, metric, seed, context)
    except RecsysError as error:
        settings, model = options[0]
        if len(options) > 1 or model.trains_in_epochs:
            raise
        return Tuned(model, Validation(metric.key, (Trial(settings, None, 0.0, error=str(error)),)), None)


def _tried(
    entry: EntryConfig,
    options: Sequence[tuple[dict[str, Any], ModelConfig]],
    split: Split,
    config: BenchmarkConfig,
    metric: Metric,
    seed: int,
    context: Context,
) -> Tuned:
    held_back = validation_split(split, share=config.validation.share)
    validator = Validator.of(held_back, metric, config.evaluation)
    trials: list[Trial] = []
    winner, best, failure = -1, None, None
    for settings, model in options:
        fit: Fit | None = None
        with timed() as usage:
            try:
                fit = fit_ratings(model, held_back.train, validator, seed=seed, context=context)
            except RecsysError as error:
                log.warning("%s with %s has no validation score: %s", entry.name, settings, error)
                failure = error
        if fit is None:
            trials.append(Trial(settings, None, usage.seconds, error=str(failure)))
            continue
        if fit.trained.interrupted:
            raise KeyboardInterrupt
        if best is None or validator.is_better(_score(fit), _score(best)):
            winner, best = len(trials), fit
        trials.append(fit.trial(settings))
    if best is None:
        assert failure is not None  # there is at least one combination
        raise failure
    settings, model = options[winner]
    validation = Validation(metric.key, tuple(trials), winner, edges_of(entry.grid, settings))
    return Tuned(model, validation, best if model.trains_in_epochs else None)


def _score(fit: Fit) -> float:
    assert fit.score is not None  # there was a validator
    return fit.score
