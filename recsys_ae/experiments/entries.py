"""What a benchmark found, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev

from recsys_ae.evaluation.comparison import Difference
from recsys_ae.evaluation.report import Report
from recsys_ae.experiments.config import BenchmarkConfig, EntryConfig
from recsys_ae.experiments.result import RunResult
from recsys_ae.experiments.tuning import Tuned


@dataclass(slots=True)
class Entry:
    """One compared model, growing by one run per seed until `error` (a sentence) ends it."""

    config: EntryConfig
    runs: list[RunResult] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    tuned: list[Tuned] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """All entries in the order of the config, and the differences to the reference; the parent run."""

    config: BenchmarkConfig
    entries: tuple[Entry, ...]
    differences: tuple[Difference, ...]
    run_id: str | None
    folder: Path


def compared_metrics(config: BenchmarkConfig) -> tuple[str, str]:
    """What pairs are compared by: rating quality and ranking quality."""
    return "rmse", f"ndcg_at_{config.evaluation.cutoffs[0]}"


def mean_metrics(entry: Entry) -> dict[str, float]:
    """Means over the seeds of the metrics that every run has."""
    shared = (
        [name for name in entry.runs[0].metrics if all(name in run.metrics for run in entry.runs)]
        if entry.runs
        else []
    )
    return {name: fmean(run.metrics[name] for run in entry.runs) for name in shared}


def deviations(entry: Entry) -> dict[str, float]:
    """Standard deviations over the seeds; nothing where there is one seed."""
    if len(entry.runs) < 2:
        return {}
    return {name: stdev([run.metrics[name] for run in entry.runs]) for name in mean_metrics(entry)}


def costs(entry: Entry) -> dict[str, float]:
    """Means of the times over seeds, and the highest memory of any run."""
    return {
        "fit_seconds": fmean(run.fit_seconds for run in entry.runs),
        "evaluate_seconds": fmean(run.evaluate_seconds for run in entry.runs),
        "tuning_seconds": fmean(tuned.seconds for tuned in entry.tuned),
        "peak_memory_mb": max(run.peak_memory_mb for run in entry.runs),
    }


def differences_of(entry: Entry, result: BenchmarkResult) -> dict[str, Difference]:
    """Metric -> difference to the reference."""
    return {found.metric: found for found in result.differences if found.name == entry.config.name}
