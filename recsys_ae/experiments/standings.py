"""The models of a benchmark side by side: a table with everything, and one that fits a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from recsys_ae.evaluation.comparison import Difference
from recsys_ae.experiments.entries import (
    BenchmarkResult,
    Entry,
    compared_metrics,
    costs,
    deviations,
    differences_of,
    mean_metrics,
)
from recsys_ae.reporting.directions import lower_is_better
from recsys_ae.reporting.tables import Table

STARS = "* p < 0.05, ** p < 0.01, *** p < 0.001 (Holm's method)"


def summary_table(result: BenchmarkResult) -> Table:
    """One row per model: quality, costs, differences to the reference; the errors of those that failed."""
    config = result.config
    shown, spread = _shown_metrics(result), len(config.seeds) > 1
    compared = {name: f"{name} to {config.reference}" for name in _compared_metrics(result)}

    def row(entry: Entry) -> dict[str, Any]:
        cells: dict[str, Any] = {"model": entry.config.name, "error": entry.error}
        if entry.error is not None:
            return cells
        means, deviation = mean_metrics(entry), deviations(entry)
        cells |= {name: means.get(f"test/{name}") for name in shown}
        cells |= {f"± {name}": deviation.get(f"test/{name}") for name in shown}
        return cells | _cost_cells(entry) | _difference_cells(entry, result, compared, _told)

    quality = [column for name in shown for column in ((name, f"± {name}") if spread else (name,))]
    expenses = ["fit s", "evaluate s", "memory MB", *(["tuning s", "trials"] if config.trials > 1 else [])]
    failed = ["error"] if any(entry.error is not None for entry in result.entries) else []
    columns = ["model", *quality, *expenses, *compared.values(), *failed]
    return _table(columns, [row(entry) for entry in result.entries], shown, tight=list(compared.values()))


def short_table(result: BenchmarkResult) -> tuple[Table, tuple[str, ...]]:
    """What a terminal has room for, and the columns that a narrow one shows apart: the differences."""
    metrics = [name for name in compared_metrics(result.config) if name in _shown_metrics(result)]
    compared = {name: f"Δ {name}" for name in _compared_metrics(result)}

    def row(entry: Entry) -> dict[str, Any]:
        cells: dict[str, Any] = {"model": entry.config.name}
        if entry.error is not None:
            return cells
        means = mean_metrics(entry)
        cells |= {name: means.get(f"test/{name}") for name in metrics}
        return cells | _cost_cells(entry) | _difference_cells(entry, result, compared, _short)

    columns = ["model", *metrics, *compared.values(), "fit s", "memory MB"]
    rows = [row(entry) for entry in result.entries]
    return _table(columns, rows, metrics, tight=list(compared.values())), tuple(compared.values())


def short_notes(result: BenchmarkResult) -> list[str]:
    """How the short table is read, and what failed."""
    notes = [f"Δ: difference to {result.config.reference}, ± half of its 95 % interval; {STARS}"]
    failed = [f"{entry.config.name} failed: {entry.error}" for entry in result.entries if entry.error]
    return (notes if _compared_metrics(result) else []) + failed


def _told(difference: Difference) -> str:
    """A difference with its interval and p-value."""
    return (
        f"{difference.difference:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}] "
        f"p={difference.p_adjusted:.3f}"
    )


def shortly(difference: float, *, low: float, high: float, p_adjusted: float) -> str:
    """A difference with half the width of its interval and the stars that its p-value earns (see STARS)."""
    stars = "*" * sum(p_adjusted < limit for limit in (0.05, 0.01, 0.001))
    return f"{difference:+.4f} ±{(high - low) / 2:.4f} {stars}".rstrip()


def _short(found: Difference) -> str:
    return shortly(found.difference, low=found.low, high=found.high, p_adjusted=found.p_adjusted)


def _table(
    columns: Sequence[str], rows: Sequence[dict[str, Any]], metrics: Sequence[str], *, tight: Sequence[str]
) -> Table:
    best: dict[str, Literal["low", "high"]] = {
        name: "low" if lower_is_better(name) else "high" for name in metrics
    }
    cells = tuple(tuple(row.get(column) for column in columns) for row in rows)
    return Table(tuple(columns), cells, best, tight=frozenset(tight))


def _shown_metrics(result: BenchmarkResult) -> list[str]:
    """The metrics of the first cutoff that any model has, errors of ratings first."""
    cutoff = result.config.evaluation.cutoffs[0]
    wanted = ["rmse", "mae", *(f"{name}_at_{cutoff}" for name in ("ndcg", "recall", "coverage"))]
    known = {name for entry in result.entries for name in mean_metrics(entry)}
    return [name for name in wanted if f"test/{name}" in known]


def _compared_metrics(result: BenchmarkResult) -> list[str]:
    """The metrics that some model is compared by."""
    compared = {difference.metric for difference in result.differences}
    return [name for name in compared_metrics(result.config) if name in compared]


def _cost_cells(entry: Entry) -> dict[str, Any]:
    found = costs(entry)
    return {
        "fit s": found["fit_seconds"],
        "evaluate s": found["evaluate_seconds"],
        "tuning s": found["tuning_seconds"],
        "memory MB": found["peak_memory_mb"],
        "trials": entry.tuned[0].trials,
    }


def _difference_cells(
    entry: Entry, result: BenchmarkResult, compared: dict[str, str], text: Callable[[Difference], str]
) -> dict[str, Any]:
    """Column -> the difference as a text; `compared`: metric -> column."""
    if entry.config.name == result.config.reference:
        return dict.fromkeys(compared.values(), "reference")
    found = differences_of(entry, result)
    return {column: text(found[metric]) for metric, column in compared.items() if metric in found}
