"""What a benchmark found, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

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
