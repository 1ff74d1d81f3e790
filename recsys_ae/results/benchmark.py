"""What a benchmark found: its values, its tables and its JSON document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

from recsys_ae.errors import counted
from recsys_ae.evaluation.comparison import Difference, compare
from recsys_ae.metrics import Metric, find_metric, is_rating_metric, main_metrics, summary_metrics
from recsys_ae.reporting.tables import (
    DECIMALS,
    Table,
    difference_notes,
    difference_text,
    error_decimals,
    figure_text,
    interval_notes,
    interval_text,
)
from recsys_ae.results.readable import listed
from recsys_ae.results.result import FORMAT, RunResult, json_values, tracked
from recsys_ae.results.trials import Validation
from recsys_ae.settings.configs import BenchmarkConfig, EntryConfig

STOPPED = "not run: stopped"  # the error of a model that the end of the benchmark came before
Direction = Literal["low", "high"]


@dataclass(slots=True)
class Entry:
    """One compared model, growing by one run per seed until `error` (a sentence) ends it."""

    config: EntryConfig
    runs: list[RunResult] = field(default_factory=list)
    error: str | None = None

    def means(self) -> dict[str, float]:
        """Means over the seeds of the metrics that every run has."""
        return {name: fmean(values) for name, values in self._values().items()}

    def deviations(self) -> dict[str, float]:
        """Standard deviations over the seeds; nothing where there is one seed."""
        return {name: stdev(values) for name, values in self._values().items() if len(values) > 1}

    def means_before_refit(self) -> dict[str, float]:
        """Means of the test metrics that models which were refitted had before."""
        return {name: fmean(values) for name, values in _shared(r.metrics_before_refit for r in self.runs)}

    def validations(self) -> list[Validation]:
        """What the model of each seed was chosen by."""
        return [run.validation for run in self.runs if run.validation is not None]

    def validation_means(self) -> dict[str, float]:
        """Metric -> mean validation score of the chosen models, of the metrics that all of them have; first
        that which chose them."""
        return {name: fmean(values) for name, values in _shared([v.scores() for v in self.validations()])}

    def costs(self) -> dict[str, float]:
        """Means of the times over seeds, and the highest memory of any run; the time of an epoch where there
        are epochs."""
        epochs = [run.cost.epoch_seconds for run in self.runs if run.cost.epoch_seconds is not None]
        return ({"epoch_seconds": fmean(epochs)} if epochs else {}) | {
            "fit_seconds": fmean(run.cost.fit_seconds for run in self.runs),
            "evaluate_seconds": fmean(run.cost.evaluate_seconds for run in self.runs),
            "tuning_seconds": fmean([found.seconds for found in self.validations()] or [0.0]),
            "peak_memory_mb": max(run.cost.peak_memory_mb for run in self.runs),
        }

    @property
    def was_stopped(self) -> bool:
        """Whether the benchmark was stopped before all its runs: no failure of the model."""
        return self.error == STOPPED

    @property
    def has_failed(self) -> bool:
        return self.error is not None and not self.was_stopped

    @property
    def n_trials(self) -> int:
        """How many settings were tried for each seed; 1 where nothing was chosen."""
        return len(self.validations()[0].trials) if self.validations() else 1

    def _values(self) -> dict[str, list[float]]:
        return dict(_shared(run.report.metrics for run in self.runs))


def _shared(of_seeds: Iterable[Mapping[str, float]]) -> Iterator[tuple[str, list[float]]]:
    """(metric, one value per seed), of the metrics that every seed has."""
    first, *others = found = list(of_seeds) or [{}]
    for name in first:
        if all(name in values for values in others):
            yield name, [values[name] for values in found]


def differences_to_reference(config: BenchmarkConfig, entries: Iterable[Entry]) -> list[Difference]:
    """Of every model that did not fail to the reference, if that did not; by all metrics that both have."""
    reports = {
        entry.config.name: [run.report for run in entry.runs] for entry in entries if entry.error is None
    }
    if config.reference not in reports:
        return []
    metrics = main_metrics(config.evaluation.cutoffs[0])
    return compare(reports, reference=config.reference, metrics=metrics)


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """All entries in the order of the config, and the differences to the reference; the parent run.
    `derived`: what others make of these, and need more than once."""

    config: BenchmarkConfig
    entries: tuple[Entry, ...]
    differences: tuple[Difference, ...]
    run_id: str | None
    folder: Path
    derived: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

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
        "validation": [validation.to_json() for validation in entry.validations()],
        "metrics": tracked(entry.means()),
        "metrics_before_refit": tracked(entry.means_before_refit()),
        "deviations": tracked(entry.deviations()),
        **entry.costs(),
        "trials": entry.n_trials,
        "settings": [validation.winner.settings for validation in entry.validations()],
        "differences": {metric: difference.to_json() for metric, difference in differences.items()},
        "run_ids": [run.run_id for run in entry.runs],
        "runs": [str(run.folder) for run in entry.runs],
    }


def full_table(result: BenchmarkResult) -> Table:
    """One row per model: its validation score, quality, costs, differences to the reference; the errors of
    those that failed."""
    config = result.config
    shown = _shown_metrics(result)
    validated = _validation_columns(result)
    early = [m for m in main_metrics(config.evaluation.cutoffs[0]) if _is_known_before_refit(m, result)]
    columns_of = {m.key: f"{m.key} to {config.reference}" for m in _metrics_with_differences(result)}

    def row(entry: Entry) -> dict[str, Any]:
        cells: dict[str, Any] = {"model": entry.config.name, "error": entry.error}
        if entry.error is not None:
            return cells
        cells |= entry.means() | {f"± {name}": value for name, value in entry.deviations().items()}
        cells |= {_of_validation(name): value for name, value in entry.validation_means().items()}
        cells |= {_before_refit(name): value for name, value in entry.means_before_refit().items()}
        return cells | _cost_cells(entry) | _difference_cells(entry, result, columns_of, interval_text)

    spread = len(config.seeds) > 1
    quality = [column for m in shown for column in ((m.key, f"± {m.key}") if spread else (m.key,))]
    rows = [row(entry) for entry in result.entries]
    in_epochs = ["epoch s"] if any(cells.get("epoch s") for cells in rows) else []
    tuned = ["tuning s", "trials"] if config.trials > 1 else []
    expenses = ["fit s", *in_epochs, "evaluate s", "memory MB", *tuned]
    failed = ["error"] if any(entry.error is not None for entry in result.entries) else []
    columns = ["model", *validated, *quality, *(_before_refit(m.key) for m in early), *expenses]
    columns += [*columns_of.values(), *failed]
    decimals = rating_decimals(result)
    return _table(columns, rows, shown, best=validated, tight=list(columns_of.values()), decimals=decimals)


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
        for name, value in list(entry.validation_means().items())[:1]:
            cells["validation"] = f"{figure_text(name, value)} {_label(name)}"
        return cells | _difference_cells(entry, result, columns_of, difference_text)

    columns = ["model", "validation", *(m.key for m in metrics), *columns_of.values(), "fit s", "memory MB"]
    rows = [row(entry) for entry in result.entries]
    tight = ["validation", *columns_of.values()]
    table = _table(columns, rows, metrics, tight=tight, decimals=rating_decimals(result))
    return table, tuple(columns_of.values())


def short_notes(result: BenchmarkResult) -> list[str]:
    """How the short table is read, and what failed."""
    return reading_notes(result) + remarks(result) + failures(result)


def reading_notes(result: BenchmarkResult) -> list[str]:
    """How the differences of the short table are read, and what counts as a hit."""
    notes = difference_notes(result.differences, result.config.reference, one_split=_is_one_split(result))
    return notes + _relevance_notes(result)


def failures(result: BenchmarkResult) -> list[str]:
    """What failed, and why."""
    return [f"{entry.config.name} failed: {entry.error}" for entry in result.entries if entry.has_failed]


def stopped_note(result: BenchmarkResult) -> str:
    """What a benchmark that was stopped lacks, in a sentence; "" for one that came to its end."""
    missing = [entry.config.name for entry in result.entries if entry.was_stopped]
    if not missing:
        return ""
    n = len(result.entries)
    return (
        f"Stopped after {n - len(missing)} of {counted(n, 'model')}; not run, or not with "
        f"every seed: {listed(missing)}."
    )


def remarks(result: BenchmarkResult) -> list[str]:
    """What the choices on validation ratings leave open: a line for each model, with the seeds."""
    lines = []
    for entry in result.entries:
        seeds: dict[str, list[str]] = {}
        for run in entry.runs:
            for remark in run.validation.remarks() if run.validation else []:
                seeds.setdefault(remark, []).append(str(run.origin.seed))
        if seeds:
            found = [f"{remark} (seed {', '.join(of_seeds)})" for remark, of_seeds in seeds.items()]
            lines.append(f"{entry.config.name}: {'; '.join(found)}")
    return lines


def full_note(result: BenchmarkResult) -> str:
    """How the full table is read, in a sentence; "" where there is nothing to say."""
    text = "; ".join(
        interval_notes(result.differences, one_split=_is_one_split(result)) + _relevance_notes(result)
    )
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _is_one_split(result: BenchmarkResult) -> bool:
    """Whether no seed changes the test part: moments and files decide it."""
    return result.config.split.kind in ("temporal", "predefined")


def _relevance_notes(result: BenchmarkResult) -> list[str]:
    """What counts as a hit in the lists, where any model makes some: a rule may find another rating in the
    training part of each seed."""
    reports = [run.report for entry in result.entries for run in entry.runs if entry.config.model.ranks]
    words = dict.fromkeys(report.relevance for report in reports)
    return [f"relevant: {', in other seeds '.join(words)}"] if words else []


def _label(key: str) -> str:
    metric = find_metric(key)
    return key if metric is None else metric.label


def _table(
    columns: Sequence[str],
    rows: Sequence[dict[str, Any]],
    metrics: Sequence[Metric],
    *,
    best: Mapping[str, Direction] | None = None,
    tight: Sequence[str],
    decimals: int,
) -> Table:
    """`decimals`: of errors of ratings, and of what is said of them."""
    of_errors = {name: decimals for name in columns if any(map(is_rating_metric, name.split()))}
    of_errors["fit s"] = 2
    best = {metric.key: _direction(metric) for metric in metrics} | dict(best or {})
    cells = tuple(tuple(row.get(column) for column in columns) for row in rows)
    return Table(tuple(columns), cells, best, tight=frozenset(tight), decimals=of_errors)


def _direction(metric: Metric) -> Direction:
    return "high" if metric.higher_is_better else "low"


def rating_decimals(result: BenchmarkResult) -> int:
    """Of the errors of predicted ratings, the same for all models."""
    found = [{**entry.validation_means(), **entry.means()} for entry in result.entries]
    return error_decimals(value for of in found for name, value in of.items() if is_rating_metric(name))


def _of_validation(key: str) -> str:
    return f"validation {key}"


def _before_refit(key: str) -> str:
    return f"{key} before refit"


def _validation_columns(result: BenchmarkResult) -> dict[str, Direction]:
    """Column -> direction of each metric that some model was chosen by."""
    keys = dict.fromkeys(name for entry in result.entries for name in entry.validation_means())
    found = {key: find_metric(key) for key in keys}
    return {_of_validation(key): _direction(metric) for key, metric in found.items() if metric is not None}


def _is_known_before_refit(metric: Metric, result: BenchmarkResult) -> bool:
    return any(metric.key in entry.means_before_refit() for entry in result.entries)


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
        "epoch s": found.get("epoch_seconds"),
        "evaluate s": found["evaluate_seconds"],
        "tuning s": found["tuning_seconds"],
        "memory MB": found["peak_memory_mb"],
        "trials": entry.n_trials,
    }


def _difference_cells(
    entry: Entry,
    result: BenchmarkResult,
    columns_of: Mapping[str, str],
    text: Callable[[Difference, int], str],
) -> dict[str, Any]:
    """Column -> the difference as a text; `columns_of`: metric -> column."""
    if entry.config.name == result.config.reference:
        return dict.fromkeys(columns_of.values(), "reference")
    found, decimals = result.differences_of(entry), rating_decimals(result)
    return {
        column: text(found[metric], decimals if is_rating_metric(metric) else DECIMALS)
        for metric, column in columns_of.items()
        if metric in found
    }
