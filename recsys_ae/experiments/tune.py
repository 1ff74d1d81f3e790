"""Which settings of a model go to the test: chosen on validation ratings, with equal budgets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

from recsys_ae.errors import ConfigError, RecsysError
from recsys_ae.evaluation.validation import Validator, validation_metric
from recsys_ae.experiments.fit import Fit, fit_ratings
from recsys_ae.experiments.resources import timed
from recsys_ae.models.configs import ModelConfig
from recsys_ae.results.benchmark import Tuned
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


def tune(
    entry: EntryConfig, split: Split, config: BenchmarkConfig, *, seed: int, context: Context
) -> tuple[Tuned, Fit | None]:
    """Fit every combination on a part of the training ratings and score it on the rest; the test part stays
    unread. A combination that fails loses; where all fail, the last error is raised.

    The answer has the winner's fit too, where that is the fit that the test needs: models that train in
    epochs give up the same validation ratings for it. Others are fitted again, to all training ratings; so is
    a model with nothing to choose.
    """
    options = list(candidates(entry))
    if len(options) == 1:
        return Tuned(options[0][1], options[0][0]), None
    held_back = validation_split(split, share=config.validation.share)
    metric = validation_metric(
        config.validation.metric, config.evaluation, predicts_ratings=entry.model.predicts_ratings
    )
    validator = Validator.of(held_back, metric, config.evaluation)
    best: tuple[dict[str, Any], ModelConfig, Fit] | None = None
    best_score, failure = 0.0, None
    with timed() as usage:
        for settings, model in options:
            try:
                fit = fit_ratings(model, held_back.train, validator, seed=seed, context=context)
                if fit.trained.interrupted:
                    raise KeyboardInterrupt
                score = validator(fit.trained.model)
            except RecsysError as error:
                log.warning("%s with %s failed: %s", entry.name, settings, error)
                failure = error
                continue
            if best is None or validator.is_better(score, best_score):
                best, best_score = (settings, model, fit), score
    if best is None:
        assert failure is not None  # there is at least one combination
        raise failure
    settings, model, fit = best
    tuned = Tuned(model, settings, len(options), usage.seconds)
    if not model.trains_in_epochs:
        return tuned, None
    return tuned, fit
