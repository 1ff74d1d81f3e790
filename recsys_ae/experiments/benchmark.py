"""Models side by side: the same splits, the same tuning budgets, paired differences."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recsys_ae.errors import RecsysError
from recsys_ae.evaluation.comparison import Difference, compare
from recsys_ae.evaluation.report import Report
from recsys_ae.experiments.config import BenchmarkConfig, EntryConfig, ExperimentConfig
from recsys_ae.experiments.entries import BenchmarkResult, Entry, compared_metrics
from recsys_ae.experiments.folder import REPORT
from recsys_ae.experiments.prepare import prepare
from recsys_ae.experiments.result import RunResult
from recsys_ae.experiments.run import RunContext, run_on
from recsys_ae.experiments.summary import as_json, parent_metrics, write_summary
from recsys_ae.experiments.tracking import track_benchmark
from recsys_ae.experiments.tuning import Tuned, check_budgets, tune
from recsys_ae.splitting.split import Split
from recsys_ae.tracking.tracker import Tracker

log = logging.getLogger(__name__)
STOPPED = "not run: stopped by Ctrl-C"


@dataclass(frozen=True, slots=True)
class BenchmarkContext:
    """Where and how a benchmark happens. `folder`: gets its results, one run folder per model and seed in it;
    `on_run`: told what is about to be fitted."""

    folder: Path
    device: str = "auto"
    on_run: Callable[[str], None] = lambda text: None


def run_benchmark(config: BenchmarkConfig, context: BenchmarkContext, tracker: Tracker) -> BenchmarkResult:
    """Tune, fit and test every model with every seed. A model that fails keeps its error and the rest goes
    on; Ctrl-C ends the fitting, and what is done is still compared.

    Raises ConfigError or DataError, before anything is written, where the budgets, the data or the split do
    not hold.
    """
    check_budgets(config)
    first = prepare(config.data, config.split, config.seeds[0])
    entries = tuple(Entry(entry) for entry in config.models)
    with tracker:
        track_benchmark(tracker, config)
        try:
            _run_all(config, first, entries, context, tracker)
        except KeyboardInterrupt:
            _mark_stopped(entries, len(config.seeds))
        result = BenchmarkResult(
            config, entries, tuple(_differences(config, entries)), tracker.run_id, context.folder
        )
        tracker.metrics(parent_metrics(as_json(result)))
        for path in write_summary(result):
            tracker.artifact(path)
    return result


def _run_all(
    config: BenchmarkConfig,
    first: Split,
    entries: tuple[Entry, ...],
    context: BenchmarkContext,
    tracker: Tracker,
) -> None:
    for seed in config.seeds:
        split = first if seed == config.seeds[0] else prepare(config.data, config.split, seed)
        for entry in entries:
            _run_entry(entry, config, seed, split, context, tracker)


def _mark_stopped(entries: tuple[Entry, ...], n_seeds: int) -> None:
    log.warning("stopped; what is done so far is compared")
    for entry in entries:
        if entry.error is None and len(entry.runs) < n_seeds:
            entry.error = STOPPED


def _run_entry(
    entry: Entry,
    config: BenchmarkConfig,
    seed: int,
    split: Split,
    context: BenchmarkContext,
    tracker: Tracker,
) -> None:
    """One model on one seed; whatever goes wrong becomes the entry's error."""
    if entry.error is not None:
        return
    name = entry.config.name
    try:
        context.on_run(f"{name}, seed {seed}")
        tuned = tune(entry.config, split, config, seed=seed, device=context.device)
        result = _run(config, replace_model(entry.config, tuned), seed, split, context, tracker)
        if result.interrupted:
            raise KeyboardInterrupt
        entry.tuned.append(tuned)
        entry.runs.append(result)
        entry.reports.append(Report.from_parquet(Path(result.folder) / REPORT))
    except RecsysError as error:
        entry.error = str(error)
        log.warning("%s, seed %d failed: %s", name, seed, error)
    except Exception as error:
        entry.error = f"{type(error).__name__}: {error}"
        log.exception("%s, seed %d failed", name, seed)


def replace_model(entry: EntryConfig, tuned: Tuned) -> EntryConfig:
    """The entry with its chosen settings."""
    return entry.model_copy(update={"model": tuned.model, "grid": {}})


def _run(
    config: BenchmarkConfig,
    entry: EntryConfig,
    seed: int,
    split: Split,
    context: BenchmarkContext,
    tracker: Tracker,
) -> RunResult:
    name = f"{entry.name}-seed-{seed}"
    experiment = ExperimentConfig(
        name=name,
        seed=seed,
        data=config.data,
        split=config.split,
        validation=config.validation,
        model=entry.model,
        evaluation=config.evaluation,
    )
    return run_on(
        experiment,
        split,
        context.folder / entry.name / f"seed-{seed}",
        RunContext(device=context.device),
        tracker.child(name),
    )


def _differences(config: BenchmarkConfig, entries: tuple[Entry, ...]) -> list[Difference]:
    """Of every model that has the metric for all seeds to the reference, if that has it."""
    found: list[Difference] = []
    for metric in compared_metrics(config):
        reports = {
            entry.config.name: entry.reports
            for entry in entries
            if entry.error is None and all(metric in report.metrics for report in entry.reports)
        }
        if config.reference in reports and len(reports) > 1:
            found += compare(reports, reference=config.reference, metric=metric)
    return found
