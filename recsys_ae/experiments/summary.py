"""A benchmark told in one table: terminal, CSV, Markdown, JSON and a page of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

from recsys_ae.evaluation.comparison import Difference
from recsys_ae.experiments.entries import BenchmarkResult, Entry, compared_metrics
from recsys_ae.experiments.folder import yaml_of
from recsys_ae.experiments.result import json_values, write_json
from recsys_ae.files import replaced
from recsys_ae.reporting.directions import lower_is_better
from recsys_ae.reporting.page import Picture, Section, page
from recsys_ae.reporting.plots import plot_metric_bars
from recsys_ae.reporting.tables import Table

_READING = (
    "Means over the seeds. All models saw the same ratings; settings and epochs were chosen on a part of the "
    "training ratings, never on the test part. Differences are paired over users, with 95 % intervals from a "
    "bootstrap and p-values by Holm's method over the models of a column; rmse is of predicted ratings "
    "(low is better), ndcg of the order of the whole catalogue (high is better). Reference: {reference}."
    "\n\n{fallback}"
)


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


def parent_metrics(document: Mapping[str, Any]) -> dict[str, float]:
    """What the parent run is told, from the JSON document: "i-autorec/rmse", ... of every model that did not
    fail."""
    return {
        f"{row['name']}/{name.removeprefix('test/')}": value
        for row in document["models"]
        for name, value in row["metrics"].items()
        if value is not None
    }


def as_json(result: BenchmarkResult) -> dict[str, Any]:
    """{"models": [{"name": ..., "metrics": {...}, ...}], ...}; JSON values only."""
    return json_values(
        {
            "name": result.config.name,
            "run_id": result.run_id,
            "folder": str(result.folder),
            "reference": result.config.reference,
            "seeds": result.config.seeds,
            "fingerprints": fingerprints(result),
            "models": [_entry_json(entry, result) for entry in result.entries],
        }
    )


def fingerprints(result: BenchmarkResult) -> list[dict[str, Any]]:
    """Of the data and the split of each seed that some model has a result for."""
    found = {run.seed: run for entry in result.entries for run in entry.runs}
    return [
        {"seed": seed, "data": run.data_fingerprint, "split": run.split_fingerprint}
        for seed, run in sorted(found.items())
    ]


def _entry_json(entry: Entry, result: BenchmarkResult) -> dict[str, Any]:
    found = {"name": entry.config.name, "kind": entry.config.model.kind, "error": entry.error}
    if entry.error is not None:
        return {**found, "metrics": {}}
    return {
        **found,
        "metrics": mean_metrics(entry),
        "deviations": deviations(entry),
        **_costs(entry),
        "trials": entry.tuned[0].trials,
        "settings": [tuned.settings for tuned in entry.tuned],
        "differences": {d.metric: _difference_json(d) for d in _of(entry, result.differences)},
        "run_ids": [run.run_id for run in entry.runs],
        "runs": [run.folder for run in entry.runs],
    }


def _costs(entry: Entry) -> dict[str, float]:
    """Means of the times over seeds, and the highest memory of any run."""
    return {
        "fit_seconds": fmean(run.fit_seconds for run in entry.runs),
        "evaluate_seconds": fmean(run.evaluate_seconds for run in entry.runs),
        "tuning_seconds": fmean(tuned.seconds for tuned in entry.tuned),
        "peak_memory_mb": max(run.peak_memory_mb for run in entry.runs),
    }


def _difference_json(difference: Difference) -> dict[str, float]:
    return {
        "difference": difference.difference,
        "low": difference.low,
        "high": difference.high,
        "p_value": difference.p_value,
        "p_adjusted": difference.p_adjusted,
    }


def _of(entry: Entry, differences: Sequence[Difference]) -> list[Difference]:
    return [difference for difference in differences if difference.name == entry.config.name]


def summary_table(result: BenchmarkResult) -> Table:
    """One row per model: quality, differences to the reference, costs; a failed one has its error."""
    shown, against = _shown_metrics(result), compared_metrics(result.config)
    several = len(result.config.seeds) > 1
    columns = (
        "model",
        *(column for name in shown for column in ((name, f"± {name}") if several else (name,))),
        *(f"{name} to {result.config.reference}" for name in against if name in shown),
        "fit s", "evaluate s", "tuning s", "memory MB", "trials", "error",
    )  # fmt: skip
    best: dict[str, Literal["low", "high"]] = {
        name: "low" if lower_is_better(name) else "high" for name in shown
    }
    rows = [
        _row(entry, shown, [name for name in against if name in shown], result) for entry in result.entries
    ]
    return Table(columns, tuple(rows), best)


def _shown_metrics(result: BenchmarkResult) -> list[str]:
    """The metrics of the first cutoff that any model has, errors of ratings first."""
    cutoff = result.config.evaluation.cutoffs[0]
    wanted = ["rmse", "mae", *(f"{name}_at_{cutoff}" for name in ("ndcg", "recall", "coverage"))]
    known = {name for entry in result.entries for name in mean_metrics(entry)}
    return [name for name in wanted if f"test/{name}" in known]


def _row(
    entry: Entry, shown: Sequence[str], against: Sequence[str], result: BenchmarkResult
) -> tuple[Any, ...]:
    name, several = entry.config.name, len(result.config.seeds) > 1
    if entry.error is not None:
        gaps = len(shown) * (1 + several) + len(against) + 5
        return (name, *[None] * gaps, entry.error)
    means, spread = mean_metrics(entry), deviations(entry)
    found = {difference.metric: difference for difference in _of(entry, result.differences)}
    quality = [
        values.get(f"test/{metric}")
        for metric in shown
        for values in ((means, spread) if several else (means,))
    ]
    compared = [
        _compared(found.get(metric), is_reference=name == result.config.reference) for metric in against
    ]
    return (name, *quality, *compared, *_costs(entry).values(), entry.tuned[0].trials, None)


def _compared(difference: Difference | None, *, is_reference: bool) -> str | None:
    if difference is None:
        return "reference" if is_reference else None
    return (
        f"{difference.difference:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}] "
        f"p={difference.p_adjusted:.3f}"
    )


def write_summary(result: BenchmarkResult) -> list[Path]:
    """config.yaml, result.json, table.csv, table.md, metric bars and page.html in the benchmark's folder."""
    table = summary_table(result)
    texts = {"config.yaml": yaml_of(result.config), "table.csv": table.csv(), "table.md": table.markdown()}
    written = []
    for name, text in texts.items():
        with replaced(result.folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        written.append(result.folder / name)
    with replaced(result.folder / "result.json") as temporary:
        write_json(temporary, as_json(result))
    bars = _write_bars(result)
    return [*written, result.folder / "result.json", *bars, _write_page(result, table, bars)]


def _write_bars(result: BenchmarkResult) -> list[Path]:
    """A picture for each compared metric that any model has: of the models that have it, and those that
    failed."""
    written = []
    for metric in compared_metrics(result.config):
        shown = [(entry, _value(entry, metric)) for entry in result.entries]
        shown = [(entry, value) for entry, value in shown if entry.error is not None or value is not None]
        if all(value is None for _, value in shown):
            continue
        spread = [deviations(entry).get(f"test/{metric}", nan) for entry, _ in shown]
        path = result.folder / f"{metric}.svg"
        plot_metric_bars(
            [entry.config.name for entry, _ in shown],
            [nan if value is None else value for _, value in shown],
            spread if len(result.config.seeds) > 1 else None,
            metric=metric,
            path=path,
        )
        written.append(path)
    return written


def _value(entry: Entry, metric: str) -> float | None:
    """The mean over all seeds; None for a model that failed at one of them."""
    return None if entry.error is not None else mean_metrics(entry).get(f"test/{metric}")


def _write_page(result: BenchmarkResult, table: Table, bars: Sequence[Path]) -> Path:
    """Everything on one HTML page that needs nothing beside it."""
    config = result.config
    fallback = next((run.fallback for entry in result.entries for run in entry.runs), "")
    facts = {
        "data": config.data.source,
        "data fingerprint": ", ".join(sorted({row["data"] for row in fingerprints(result)})),
        "split": ", ".join(f"{key} {value}" for key, value in config.split.model_dump(mode="json").items()),
        "split fingerprints": ", ".join(row["split"] for row in fingerprints(result)),
        "seeds": ", ".join(map(str, config.seeds)),
        "trials of each model": config.trials,
        "validation share": config.validation.share,
        "reference": config.reference,
    }
    caption = "" if len(config.seeds) == 1 else "Lines: standard deviation over the seeds."
    sections = [
        Section(
            "Models side by side",
            text=_READING.format(reference=config.reference, fallback=fallback),
            table=table,
            pictures=[Picture.read(path, caption) for path in bars],
        ),
        Section("What was compared", facts=facts),
        Section("Settings", table=_settings_table(result)),
    ]
    with replaced(result.folder / "page.html") as temporary:
        temporary.write_text(page(config.name, sections), encoding="utf-8")
    return result.folder / "page.html"


def _settings_table(result: BenchmarkResult) -> Table:
    rows = [
        (
            entry.config.name,
            entry.config.model.model_dump_json(),
            "; ".join(json.dumps(tuned.settings) for tuned in entry.tuned if tuned.settings) or None,
        )
        for entry in result.entries
    ]
    return Table(("model", "config", "chosen by validation, one per seed"), tuple(rows))
