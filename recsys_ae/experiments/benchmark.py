"""Models side by side: the same splits, the same tuning budgets, paired differences."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import RecsysError, out_of_memory
from recsys_ae.experiments.prepare import check_cutoffs, check_feedback, prepare_all
from recsys_ae.experiments.run import run_on
from recsys_ae.experiments.tune import check_budgets, n_trials_of, tune
from recsys_ae.experiments.warm_up import warm_up
from recsys_ae.models.configs import ModelConfig
from recsys_ae.reporting.progress import Planned
from recsys_ae.results.benchmark import STOPPED, BenchmarkResult, Entry, differences_to_reference
from recsys_ae.results.benchmark_page import write_benchmark
from recsys_ae.results.tracking import ENTRY_TAG, track_benchmark, track_findings, track_tables
from recsys_ae.results.trials import Trial
from recsys_ae.settings.configs import BenchmarkConfig, EntryConfig, ExperimentConfig, ValidationConfig
from recsys_ae.splitting.split import Split
from recsys_ae.tracking.tracker import Tracker
from recsys_ae.training.interrupts import Terminated
from recsys_ae.training.runner import Context, ignore

log = logging.getLogger(__name__)


def run_benchmark(
    config: BenchmarkConfig,
    folder: Path,
    context: Context,
    tracker: Tracker,
    *,
    on_run: Callable[[Planned], None] = ignore,
    on_trials: Callable[[Sequence[Trial]], None] = ignore,
    ratings: Ratings | None = None,
) -> BenchmarkResult:
    """Tune, fit and test every model with every seed. A model that fails keeps its error and the rest goes
    on; Ctrl-C ends the fitting, and what is done is still compared.

    `folder`: gets the results, one run folder per model and seed in it. `on_run`: told which run of `planned`
    is about to begin; `on_trials`: told of all finished trials of the run, before the first and after each.
    `ratings`: in place of those that the config names.

    Raises ConfigError, DataError or CapabilityError, before anything is written, where the budgets, the data,
    the split or models for such data do not hold.
    """
    check_budgets(config)
    splits = prepare_all(config.data, config.split, config.seeds, ratings=ratings, on_read=context.on_read)
    first = next(splits)  # now: it says whether data and split hold
    for model in {entry.model.kind: entry.model for entry in config.models}.values():
        check_feedback(model, first.train, anyway=context.anyway)
    check_cutoffs(config.evaluation.cutoffs, first)
    splits = chain([first], splits)
    entries = tuple(Entry(entry) for entry in config.models)
    with tracker:
        track_benchmark(tracker, config)
        stopped: KeyboardInterrupt | None = None
        try:
            for seed, split in zip(config.seeds, splits, strict=True):
                for entry in entries:
                    if entry.error is None:
                        on_run(_planned(entry.config, seed, config))
                        _run_entry(entry, config, seed, split, folder, context, tracker, on_trials)
        except KeyboardInterrupt as error:
            stopped = error
            _mark_stopped(entries, len(config.seeds))
        differences = tuple(differences_to_reference(config, entries))
        result = BenchmarkResult(config, entries, differences, tracker.run_id, folder)
        track_findings(tracker, result.to_json())
        written = write_benchmark(result)
        track_tables(tracker, folder)
        for path in written:
            tracker.artifact(path)
        if isinstance(stopped, Terminated):
            raise stopped
    return result


def planned(config: BenchmarkConfig) -> list[Planned]:
    """The runs of a benchmark whose budgets hold, in their order: every model with the first seed, then with
    the next."""
    return [_planned(entry, seed, config) for seed in config.seeds for entry in config.models]


def _planned(entry: EntryConfig, seed: int, config: BenchmarkConfig) -> Planned:
    return Planned(entry.name, seed, n_trials_of(entry, config.trials))


def _mark_stopped(entries: Iterable[Entry], n_seeds: int) -> None:
    log.warning("stopped; what is done so far is compared")
    for entry in entries:
        if entry.error is None and len(entry.runs) < n_seeds:
            entry.error = STOPPED


def _run_entry(
    entry: Entry,
    config: BenchmarkConfig,
    seed: int,
    split: Split,
    folder: Path,
    context: Context,
    tracker: Tracker,
    on_trials: Callable[[Sequence[Trial]], None],
) -> None:
    """One model on one seed; whatever goes wrong becomes the entry's error."""
    name = entry.config.name
    try:
        if not entry.runs:
            warm_up(entry.config.model, split.train, context)
        place, run_name = folder / name / f"seed-{seed}", f"{name}-seed-{seed}"
        with tracker.child(run_name) as child:
            child.tags({ENTRY_TAG: name})
            trials = child if entry.config.grid or entry.config.space else None
            tuned = tune(
                entry.config,
                split,
                config,
                seed=seed,
                context=context,
                tracker=trials,
                on_trials=on_trials,
            )
            experiment = _experiment(config, run_name, tuned.model, seed)
            result = run_on(experiment, split, place, context, child, tuned=tuned)
        if result.fit.interrupted:
            raise KeyboardInterrupt
        entry.runs.append(result)
    except RecsysError as error:
        entry.error = str(error)
        log.warning("%s, seed %d failed: %s", name, seed, error)
    except Exception as error:
        entry.error = out_of_memory(error) or f"{type(error).__name__}: {error}"
        log.warning("%s, seed %d failed", name, seed, exc_info=None if out_of_memory(error) else error)


def _experiment(config: BenchmarkConfig, name: str, model: ModelConfig, seed: int) -> ExperimentConfig:
    """What one model on one seed is as an experiment of its own."""
    return ExperimentConfig(
        name=name,
        seed=seed,
        data=config.data,
        split=config.split,
        validation=ValidationConfig(**config.validation.model_dump()),
        model=model,
        evaluation=config.evaluation,
    )
