"""What a page of runs says of a run, in Markdown."""

from __future__ import annotations

import math

from recsys_ae.reporting.tables import MISSING, Table, figure_text
from recsys_ae.results.result import RunResult
from recsys_ae.results.search import settings_text
from recsys_ae.results.trials import Validation
from recsys_ae.settings.configs import ExperimentConfig

_SIZES = {
    "users": "users",
    "items": "items",
    "train_ratings": "ratings to train on",
    "holdout_ratings": "to test on",
}


def describe_run(config: ExperimentConfig, result: RunResult) -> str:
    """How its settings were found, its figures as a table, what it was fitted to, and what is left open."""
    found = result.validation
    paragraphs = [
        f"**{config.model.kind}** on **{config.data.name}**, seed {result.origin.seed}"
        + ("" if found is None else _search(found)),
        _figures(result).markdown(),
        *_facts(config, result),
        "" if found is None else _left_open(found),
    ]
    return "\n\n".join(text.strip() for text in paragraphs if text) + "\n"


def _figures(result: RunResult) -> Table:
    """A row for each metric of the test, first that which chose the model. Where the model was fitted anew,
    the one that chose the epoch has a column of its own."""
    chosen = result.validation
    scores = {} if chosen is None or chosen.score is None else {chosen.metric: chosen.score}
    columns = {"validation": scores, "test": result.report.metrics}
    if result.metrics_before_refit:
        columns["test before refit"] = result.metrics_before_refit
    names = dict.fromkeys([*scores, *result.report.metrics])
    rows = ((name, *(_figure(name, of.get(name)) for of in columns.values())) for name in names)
    return Table(("metric", *columns), tuple(rows))


def _figure(name: str, value: float | None) -> str:
    return MISSING if value is None or not math.isfinite(value) else figure_text(name, value)


def _facts(config: ExperimentConfig, result: RunResult) -> list[str]:
    counts, fit, cost = result.report.counts, result.fit, result.cost
    sizes = [f"{int(counts[name]):,} {word}" for name, word in _SIZES.items() if name in counts]
    epochs = f", {fit.epochs_run} epochs, the best {fit.best_epoch}" if fit.epochs_run else ""
    return [
        f"Data: {', '.join(sizes)}; split: {config.split.kind}.",
        f"Fitted on {fit.device} in {cost.fit_seconds:.1f} s{epochs}; "
        f"peak memory {cost.peak_memory_mb:.0f} MB.",
    ]


def _search(found: Validation) -> str:
    """By which settings the best trial is, and which of them mattered; "" where nothing was searched."""
    if len(found.trials) < 2:
        return ""
    text = f": best of {len(found.trials)} trials, {settings_text(found.winner.settings)}"
    shares = ", ".join(f"{name} {share:.0%}" for name, share in found.importances.items())
    return f"{text}. What mattered: {shares}" if shares else text


def _left_open(found: Validation) -> str:
    remarks = "\n".join(f"- {remark}" for remark in found.remarks())
    return f"Left open:\n\n{remarks}" if remarks else ""
