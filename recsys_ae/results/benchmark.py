"""What a benchmark found: its values, its tables and its JSON document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

from recsys_ae.evaluation.comparison import Difference
from recsys_ae.metrics import Metric, main_metrics, summary_metrics
from recsys_ae.models.configs import ModelConfig
from recsys_ae.reporting.tables import (
    Table,
    difference_notes,
    difference_text,
    interval_notes,
    interval_text,
)
from recsys_ae.results.result import FORMAT, RunResult, json_values, tracked, untracked_name
from recsys_ae.settings.configs import BenchmarkConfig, EntryConfig


@dataclass(frozen=True, slots=True)
class Tuned:
    """The chosen config, the settings in which it differs from the entry's, and what choosing cost."""

    model: ModelConfig
    settings: dict[str, Any] = field(default_factory=dict)
    trials: int = 1
    seconds: float = 0.0


@dataclass(slots=True)
class Entry:
    """One compared model, growing by one run per seed until `error` (a sentence) ends it."""

    config: EntryConfig
    runs: list[RunResult] = field(default_factory=list)
    tuned: list[Tuned] = field(default_factory=list)
    error: str | None = None

    def means(self) -> dict[str, float]:
        """Means over the seeds of the metrics that every run has."""
        return {name: fmean(values) for name, values in self._values().items()}

    def deviations(self) -> dict[str, float]:
        """Standard deviations over the seeds; nothing where there is one seed."""
        return {name: stdev(values) for name, values in self._values().items() if len(values) > 1}

    def costs(self) -> dict[str, float]:
        """Means of the times over seeds, and the highest memory of any run."""
        return {
            "fit_seconds": fmean(run.cost.fit_seconds for run in self.runs),
            "evaluate_seconds": fmean(run.cost.evaluate_seconds for run in self.runs),
            "tuning_seconds": fmean(tuned.seconds for tuned in self.tuned),
            "peak_memory_mb": max(run.cost.peak_memory_mb for run in self.runs),
        }

    def _values(self) -> dict[str, list[float]]:
        """Metric -> one value per seed, of the metrics that every run has."""
        metrics = [run.report.metrics for run in self.runs]
        shared = [name for name in metrics[0] if all(name in values for values in metrics)] if metrics else []
        return {name: [values[name] for values in metrics] for name in shared}


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """All entries in the order of the config, and the differences to the reference; the parent run."""

    config: BenchmarkConfig
    entries: tuple[Entry, ...]
    differences: tuple[Difference, ...]
    run_id: str | None
    folder: Path

    def differences_of(self, entry: Entry) -> dict[str, Difference]:
        """Metric -> difference to the reference."""
        return {found.metric: found for found in self.differences if found.name == entry.config.name}

    def fingerprints(self) -> list[dict[str, Any]]:
        """Of the data and the split of each seed that some model has a result for, and the least rating that
        counted as a hit, None: all did."""
        reports = {run.origin.seed: run.report for entry in self.entries for run in entry.runs}
        return [
            {
                "seed": seed,
                "data": report.data_fingerprint,
                "split": report.split_fingerprint,
                "relevant": report.relevant,
            }
            for seed, report in sorted(reports.items())
        ]

    def to_json(self) -> dict[str, Any]:
        """{"models": [{"name": ..., "metrics": {...}, ...}], ...}; JSON values only."""
        return json_values(
            {
                "format": FORMAT,
                "name": self.config.name,
                "run_id": self.run_id,
                "folder": str(self.folder),
                "reference": self.config.reference,
                "seeds": self.config.seeds,
                "fingerprints": self.fingerprints(),
                "models": [_entry_json(entry, self.differences_of(entry)) for entry in self.entries],
            }
        )


def _entry_json(entry: Entry, differences: Mapping[str, Difference]) -> dict[str, Any]:
    found = {"name": entry.config.name, "kind": entry.config.model.kind, "error": entry.error}
    if entry.error is not None:
        return {**found, "metrics": {}}
    return {
        **found,
        "metrics": tracked(entry.means()),
        "deviations": tracked(entry.deviations()),
        **entry.costs(),
        "trials": entry.tuned[0].trials,
        "settings": [tuned.settings for tuned in entry.tuned],
        "differences": {metric: difference.to_json() for metric, difference in differences.items()},
        "run_ids": [run.run_id for run in entry.runs],
        "runs": [str(run.folder) for run in entry.runs],
    }


def parent_metrics(document: Mapping[str, Any]) -> dict[str, float]:
    """What the parent run is told, from the JSON document: "i-autorec/rmse", ... of every model that did not
    fail."""
    return {
        f"{row['name']}/{untracked_name(name)}": value
        for row in document["models"]
        for name, value in row["metrics"].items()
        if value is not None
    }


def full_table(result: BenchmarkResult) -> Table:
    """One row per model: quality, costs, differences to the reference; the errors of those that failed."""
    config = result.config
    shown = _shown_metrics(result)
    columns_of = {m.key: f"{m.key} to {config.reference}" for m in _metrics_with_differences(result)}

    def row(entry: Entry) -> dict[str, Any]:
        cells: dict[str, Any] = {"model": entry.config.name, "error": entry.error}
        if entry.error is not None:
            return cells
        cells |= entry.means() | {f"± {name}": value for name, value in entry.deviations().items()}
        return cells | _cost_cells(entry) | _difference_cells(entry, result, columns_of, interval_text)

    spread = len(config.seeds) > 1
    quality = [column for m in shown for column in ((m.key, f"± {m.key}") if spread else (m.key,))]
    expenses = ["fit s", "evaluate s", "memory MB", *(["tuning s", "trials"] if config.trials > 1 else [])]
    failed = ["error"] if any(entry.error is not None for entry in result.entries) else []
    columns = ["model", *quality, *expenses, *columns_of.values(), *failed]
    return _table(columns, [row(entry) for entry in result.entries], shown, tight=list(columns_of.values()))


def short_table(result: BenchmarkResult) -> tuple[Table, tuple[str, ...]]:
    """What a terminal has room for, and the columns that a narrow one shows apart: the differences."""
    shown = _shown_metrics(result)
    metrics = [metric for metric in main_metrics(result.config.evaluation.cutoffs[0]) if metric in shown]
    columns_of = {metric.key: f"Δ {metric.key}" for metric in _metrics_with_differences(result)}

    def row(entry: Entry) -> dict[str, Any]:
        cells: dict[str, Any] = {"model": entry.config.name}
        if entry.error is not None:
            return cells
        cells |= entry.means() | _cost_cells(entry)
        return cells | _difference_cells(entry, result, columns_of, difference_text)

    columns = ["model", *(m.key for m in metrics), *columns_of.values(), "fit s", "memory MB"]
    rows = [row(entry) for entry in result.entries]
    return _table(columns, rows, metrics, tight=list(columns_of.values())), tuple(columns_of.values())


def short_notes(result: BenchmarkResult) -> list[str]:
    """How the short table is read, and what failed."""
    notes = difference_notes(result.differences, result.config.reference)
    failed = [f"{entry.config.name} failed: {entry.error}" for entry in result.entries if entry.error]
    return notes + _relevance_notes(result) + failed


def full_note(result: BenchmarkResult) -> str:
    """How the full table is read, in a sentence; "" where there is nothing to say."""
    text = "; ".join(interval_notes(result.differences) + _relevance_notes(result))
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _relevance_notes(result: BenchmarkResult) -> list[str]:
    """What counts as a hit in the lists, where any model makes some: a rule may find another rating in the
    training part of each seed."""
    reports = [run.report for entry in result.entries for run in entry.runs if entry.config.model.ranks]
    words = dict.fromkeys(report.relevance for report in reports)
    return [f"relevant: {', in other seeds '.join(words)}"] if words else []


def _table(
    columns: Sequence[str], rows: Sequence[dict[str, Any]], metrics: Sequence[Metric], *, tight: Sequence[str]
) -> Table:
    best: dict[str, Literal["low", "high"]] = {
        metric.key: "high" if metric.higher_is_better else "low" for metric in metrics
    }
    cells = tuple(tuple(row.get(column) for column in columns) for row in rows)
    return Table(tuple(columns), cells, best, tight=frozenset(tight))


def _shown_metrics(result: BenchmarkResult) -> list[Metric]:
    """The metrics of the first cutoff that any model has, errors of ratings first."""
    known = {name for entry in result.entries for name in entry.means()}
    wanted = summary_metrics(result.config.evaluation.cutoffs[0])
    return [metric for metric in wanted if metric.key in known]


def _metrics_with_differences(result: BenchmarkResult) -> list[Metric]:
    """The metrics that some model is compared by."""
    compared = {difference.metric for difference in result.differences}
    return [m for m in main_metrics(result.config.evaluation.cutoffs[0]) if m.key in compared]


def _cost_cells(entry: Entry) -> dict[str, Any]:
    found = entry.costs()
    return {
        "fit s": found["fit_seconds"],
        "evaluate s": found["evaluate_seconds"],
        "tuning s": found["tuning_seconds"],
        "memory MB": found["peak_memory_mb"],
        "trials": entry.tuned[0].trials,
    }


def _difference_cells(
    entry: Entry, result: BenchmarkResult, columns_of: Mapping[str, str], text: Callable[[Difference], str]
) -> dict[str, Any]:
    """Column -> the difference as a text; `columns_of`: metric -> column."""
    if entry.config.name == result.config.reference:
        return dict.fromkeys(columns_of.values(), "reference")
    found = result.differences_of(entry)
    return {column: text(found[metric]) for metric, column in columns_of.items() if metric in found}
