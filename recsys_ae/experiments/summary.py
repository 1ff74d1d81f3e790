"""A benchmark told in one table: terminal, CSV, Markdown, JSON and a page of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import Any

from recsys_ae.evaluation.comparison import Difference
from recsys_ae.experiments.config import BenchmarkConfig
from recsys_ae.experiments.entries import (
    BenchmarkResult,
    Entry,
    compared_metrics,
    costs,
    deviations,
    differences_of,
    mean_metrics,
)
from recsys_ae.experiments.folder import yaml_of
from recsys_ae.experiments.result import RunResult, json_values, write_json
from recsys_ae.experiments.standings import summary_table
from recsys_ae.files import replaced
from recsys_ae.reporting.page import Picture, Section, page
from recsys_ae.reporting.plots import plot_metric_bars
from recsys_ae.reporting.tables import Table

_READING = (
    "Means over the seeds. All models were given the same training ratings. {early}Settings and epochs were "
    "never chosen on the test part. Differences are paired over users, with 95 % intervals from a bootstrap "
    "and p-values by Holm's method over the models of a column; rmse is of predicted ratings (low is "
    "better), ndcg of the order of the whole catalogue (high is better). Reference: {reference}."
    "\n\n{fallback}"
)
_EARLY = (
    "Of these, {names} gave up a share of {share:g} to choose their epoch by; other models were fitted to "
    "all of them. "
)


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
        **costs(entry),
        "trials": entry.tuned[0].trials,
        "settings": [tuned.settings for tuned in entry.tuned],
        "differences": {
            metric: _difference_json(found) for metric, found in differences_of(entry, result).items()
        },
        "run_ids": [run.run_id for run in entry.runs],
        "runs": [run.folder for run in entry.runs],
    }


def _difference_json(difference: Difference) -> dict[str, float]:
    return {
        "difference": difference.difference,
        "low": difference.low,
        "high": difference.high,
        "p_value": difference.p_value,
        "p_adjusted": difference.p_adjusted,
    }


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
        "fitted on": ", ".join(sorted({_fitted_on(run) for entry in result.entries for run in entry.runs})),
        "reference": config.reference,
    }
    caption = "" if len(config.seeds) == 1 else "Lines: standard deviation over the seeds."
    sections = [
        Section(
            "Models side by side",
            text=_READING.format(early=_early(config), reference=config.reference, fallback=fallback),
            table=table,
            pictures=[Picture.read(path, caption) for path in bars],
        ),
        Section("What was compared", facts=facts),
        Section("Settings", table=_settings_table(result)),
    ]
    with replaced(result.folder / "page.html") as temporary:
        temporary.write_text(page(config.name, sections), encoding="utf-8")
    return result.folder / "page.html"


def _fitted_on(run: RunResult) -> str:
    return f"{run.device} with {run.threads} {'thread' if run.threads == 1 else 'threads'}"


def _early(config: BenchmarkConfig) -> str:
    """What models that stop early were fitted to, in a sentence; "" where there are none."""
    names = [entry.name for entry in config.models if entry.model.stops_early]
    return _EARLY.format(names=", ".join(names), share=config.validation.share) if names else ""


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
