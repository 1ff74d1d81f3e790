"""Which settings of a model go to the test: chosen on validation ratings, with equal budgets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from math import inf, prod
from typing import Any

from recsys_ae.errors import ConfigError, RecsysError
from recsys_ae.experiments.config import BenchmarkConfig, EntryConfig
from recsys_ae.experiments.explain import checked
from recsys_ae.experiments.fitting import FitOptions, fit_to, judge_of
from recsys_ae.experiments.overrides import assign
from recsys_ae.experiments.prepare import carve
from recsys_ae.experiments.resources import timed
from recsys_ae.models.configs import ModelConfig
from recsys_ae.splitting.split import Split

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tuned:
    """The chosen config, the settings in which it differs from the entry's, and what choosing cost."""

    model: ModelConfig
    settings: dict[str, Any] = field(default_factory=dict)
    trials: int = 1
    seconds: float = 0.0


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


def tune(entry: EntryConfig, split: Split, config: BenchmarkConfig, *, seed: int, device: str) -> Tuned:
    """Fit every combination on a part of the training ratings and score it on the rest; the test part stays
    unread. A combination that fails loses; where all fail, the last error is raised."""
    options = list(candidates(entry))
    if len(options) == 1:
        return Tuned(options[0][1], options[0][0])
    carved = carve(split, config.validation)
    assert carved is not None  # a benchmark always has a validation config
    scores, failure = [], None
    with timed() as usage:
        for settings, model in options:
            try:
                scores.append(_score(model, carved, config, seed=seed, device=device))
            except RecsysError as error:
                log.warning("%s with %s failed: %s", entry.name, settings, error)
                failure = error
                scores.append(-inf)
    if failure is not None and max(scores) == -inf:
        raise failure
    settings, model = options[scores.index(max(scores))]
    return Tuned(model, settings, len(options), usage.seconds)


def _score(model: ModelConfig, carved: Split, config: BenchmarkConfig, *, seed: int, device: str) -> float:
    judge = judge_of(model, carved, config.validation, config.evaluation)
    fitted = fit_to(
        model,
        carved.train,
        judge if model.stops_early else None,
        seed=seed,
        options=FitOptions(device=device),
    )
    if fitted.interrupted:
        raise KeyboardInterrupt
    return judge.score(fitted.recommender)
