"""Which settings of a model go to the test: chosen on validation ratings, with equal budgets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import product
from math import inf, prod
from pathlib import Path
from typing import Any

from recsys_ae.errors import ConfigError, DataError, RecsysError, StorageError
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.validation import Validator, validation_metric
from recsys_ae.experiments.fit import Fit
from recsys_ae.experiments.trial import Proposals, Task, origin, run_trial
from recsys_ae.files import sole_holder
from recsys_ae.metrics import Metric, main_metrics
from recsys_ae.models.configs import ModelConfig
from recsys_ae.reporting.tables import figure_text
from recsys_ae.results.search import settings_text
from recsys_ae.results.tracking import track_trials
from recsys_ae.results.trials import Edge, Trial, Validation, best_of, edges_of
from recsys_ae.settings.configs import BenchmarkConfig, EntryConfig, SearchConfig
from recsys_ae.settings.spaces import axes_of, changed, start_of
from recsys_ae.splitting.make import validation_split
from recsys_ae.splitting.split import Split
from recsys_ae.tracking.tracker import NullTracker, Tracker
from recsys_ae.training.runner import Context, ignore
from recsys_ae.types import Epoch


@dataclass(slots=True)
class Grid:
    """Every combination, the first values first; each is trained to its end."""

    values: Mapping[str, Sequence[Any]]
    trials: list[Trial] = field(default_factory=list)

    def propose(self) -> dict[str, Any] | None:
        combinations = list(product(*self.values.values()))
        if len(self.trials) == len(combinations):
            return None
        return dict(zip(self.values, combinations[len(self.trials)], strict=True))

    def is_hopeless(self, epoch: Epoch) -> bool:
        return False

    def keep(self, trial: Trial) -> None:
        self.trials.append(trial)

    def edges(self, settings: Mapping[str, Any]) -> dict[str, Edge]:
        return edges_of(self.values, settings)

    def importances(self) -> dict[str, float]:
        return {}


def candidates(entry: EntryConfig) -> Iterator[tuple[dict[str, Any], ModelConfig]]:
    """Every combination of the grid, the first values first. Raises ConfigError for a setting that does not
    exist or does not hold."""
    for values in product(*entry.grid.values()):
        settings = dict(zip(entry.grid, values, strict=True))
        yield settings, changed(entry.model, settings, where=origin(entry))


def n_trials_of(entry: EntryConfig, budget: int) -> int:
    """How many combinations of a sound grid or space are tried, of so many that every model may try."""
    if not entry.space:
        return prod(len(values) for values in entry.grid.values())
    values = [axis.values() for axis in axes_of(entry.model, entry.space, where=origin(entry))]
    known = [len(each) for each in values if each is not None]
    return budget if len(known) < len(values) else min(budget, prod(known))


def check_budgets(config: BenchmarkConfig) -> None:
    """Every grid is sound and within the budget, and every space is sound. Raises ConfigError, before any
    data is read."""
    for number, entry in enumerate(config.models):
        if not entry.space and (n_trials := n_trials_of(entry, config.trials)) > config.trials:
            raise ConfigError(
                f"models.{number}.grid: {entry.name!r} has {n_trials} combinations, and every "
                f"model may try {config.trials}; shorten the grid or raise trials"
            )
        check_settings(entry)


def check_settings(entry: EntryConfig) -> None:
    """Raises ConfigError for a setting of the grid or the space that does not exist or does not hold."""
    for _ in candidates(entry):
        pass
    axes_of(entry.model, entry.space, where=origin(entry))


@dataclass(frozen=True, slots=True)
class Tuned:
    """The config that goes to the test, and all that was tried. `first`: the winner's fit, where the same
    validation ratings chose its epoch; models without epochs are fitted again, to all training ratings."""

    model: ModelConfig
    validation: Validation
    first: Fit | None

    def __repr__(self) -> str:
        found, metric = self.validation, self.validation.metric
        score = "no score" if found.score is None else f"{metric} {figure_text(metric, found.score)}"
        settings = settings_text(found.winner.settings)
        return f"Tuned({self.model.kind}, {settings}: validation {score}, best of {len(found.trials)} trials)"


def tune(
    entry: EntryConfig,
    split: Split,
    config: BenchmarkConfig | SearchConfig,
    *,
    seed: int,
    context: Context,
    tracker: Tracker | None = None,
    study: Path | None = None,
    on_trials: Callable[[Sequence[Trial]], None] = ignore,
) -> Tuned:
    """Fit every combination that is proposed on a part of the training ratings and score it on the rest; the
    test part stays unread. A combination that fails loses; where all fail, the last error is raised.

    `tracker`: gets a nested run for each trial, those of an earlier process too; None tells nobody. `study`:
    the file that keeps the trials of a search, and has those of an earlier process; StorageError is raised
    where another search is at work with it. `on_trials`: told of all finished trials, before the first and
    after each.

    A model with nothing to choose is scored like the others. Where it has no epochs either, nothing depends
    on its score, and it may go without one: a model of lists has no rmse.
    """
    options = list(candidates(entry))
    metric = validation_metric(
        config.validation.metric, config.evaluation, predicts_ratings=entry.model.predicts_ratings
    )
    try:
        held_back = validation_split(split, share=config.validation.share)
        validator = Validator.of(held_back, metric, config.evaluation)
        task = Task(entry, held_back.train, validator, seed, context, tracker or NullTracker())
        with _proposals(task, config, split, study) as proposals:
            tuned, winner = _tried(task, proposals, on_trials, most_seconds=_most_seconds(config))
        if winner is None:  # of an earlier process
            return tuned
        also = _other_scores(tuned.model, winner, held_back, metric, config.evaluation)
        return replace(tuned, validation=replace(tuned.validation, also=also))
    except RecsysError as error:
        settings, model = options[0]
        if len(options) > 1 or entry.space or model.trains_in_epochs:
            raise
        return Tuned(model, Validation(metric.key, (Trial(settings, None, 0.0, error=str(error)),)), None)


def _most_seconds(config: BenchmarkConfig | SearchConfig) -> float:
    limit = config.max_minutes if isinstance(config, SearchConfig) else None
    return inf if limit is None else 60 * limit


@contextmanager
def _proposals(
    task: Task, config: BenchmarkConfig | SearchConfig, split: Split, study: Path | None
) -> Iterator[Proposals]:
    """The grid of the model, or the search of its space."""
    entry = task.entry
    if not entry.space:
        yield Grid(entry.grid)
        return
    from recsys_ae.experiments.study import Study, study_file  # loads Optuna

    axes = axes_of(entry.model, entry.space, where=origin(entry))
    with ExitStack() as stack:
        storage = None
        if study is not None:
            stack.enter_context(_alone(study))
            known_by = fingerprints(config) | {"ratings": split.fingerprint()}
            storage = stack.enter_context(study_file(study, known_by))
        yield Study(
            axes,
            n_trials=config.trials,
            seed=task.seed,
            higher_is_better=task.metric.higher_is_better,
            start=start_of(entry.model, axes),
            max_epochs=entry.model.max_epochs if config.prune else None,
            storage=storage,
        )


def lock_of(study: Path) -> Path:
    """The lock file of who works with a study."""
    return study.with_name(f".{study.name}.lock")


@contextmanager
def _alone(study: Path) -> Iterator[None]:
    """Two at once would count and keep each other's trials."""
    with sole_holder(lock_of(study)) as alone:
        if not alone:
            raise StorageError(
                f"{study}: another search is at work with it; try again once that is done, or name another"
            )
        yield


def fingerprints(config: BenchmarkConfig | SearchConfig) -> dict[str, str]:
    """Of all settings that decide which trials there are; more of the same trials make no other search."""
    document = config.model_dump(mode="json", exclude={"trials", "max_minutes"})
    return {"settings": hashlib.blake2b(json.dumps(document).encode(), digest_size=16).hexdigest()}


def _tried(
    task: Task,
    proposals: Proposals,
    on_trials: Callable[[Sequence[Trial]], None],
    *,
    most_seconds: float,
) -> tuple[Tuned, Fit | None]:
    """What was found, and the winner's fit, if it was made here."""
    best: Fit | None = None
    failure: RecsysError | None = None
    trials = proposals.trials
    track_trials(task.tracker, trials, task.metric.key)
    on_trials(tuple(trials))
    while sum(trial.seconds for trial in trials) < most_seconds or not trials:
        settings = proposals.propose()
        if settings is None:
            break
        trial, outcome = run_trial(task, proposals, settings, number=len(trials) + 1)
        proposals.keep(trial)
        trials = proposals.trials
        if isinstance(outcome, RecsysError):
            failure = outcome
        elif best_of(trials, task.metric) == len(trials) - 1:
            best = outcome
        on_trials(tuple(trials))
    winner = best_of(trials, task.metric)
    if winner is None:
        raise failure or ConfigError(f"{origin(task.entry)}: no trial has a score; {trials[-1].error}")
    settings = trials[winner].settings
    validation = Validation(
        task.metric.key, tuple(trials), winner, proposals.edges(settings), proposals.importances()
    )
    model = changed(task.entry.model, settings, where=origin(task.entry))
    return Tuned(model, validation, best if model.trains_in_epochs else None), best


def _other_scores(
    model: ModelConfig, winner: Fit, held_back: Split, metric: Metric, evaluation: EvaluationConfig
) -> dict[str, float]:
    """The scores of the winner by those main metrics that did not choose it, as far as it has them."""
    found = {}
    for other in main_metrics(evaluation.cutoffs[0]):
        if other != metric and getattr(model, other.needs):
            with suppress(DataError):  # nothing held back that this metric could judge by
                found[other.key] = Validator.of(held_back, other, evaluation)(winner.trained.model)
    return found
