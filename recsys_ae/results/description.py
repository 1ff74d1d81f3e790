"""What a page of runs says of a run or a benchmark, in Markdown."""

from __future__ import annotations

import math
from pathlib import Path

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
_SHARES = "What mattered for being among the best trials"


def describe_run(config: ExperimentConfig, result: RunResult) -> str:
    """Its figures as a table, what it was fitted to, how its settings were found, and what is left open."""
    paragraphs = [
        f"**{config.model.kind}** on **{config.data.name}**, seed {result.origin.seed}",
        _figures(result).markdown(),
        *_facts(config, result),
    ]
    if result.validation is not None:
        paragraphs += _choice(result.validation)
    return "\n\n".join(text.strip() for text in paragraphs if text) + "\n"


def describe_benchmark(folder: Path) -> str:
    """The tables that its folder has."""
    return (folder / "table.md").read_text(encoding="utf-8")


def _figures(result: RunResult) -> Table:
    """A row for each metric of the test, first that which chose the model."""
    chosen = result.validation
    scores = {} if chosen is None or chosen.score is None else {chosen.metric: chosen.score}
    tested = {name: value for name, value in result.report.metrics.items() if math.isfinite(value)}
    names = dict.fromkeys([*scores, *tested])
    rows = [
        tuple(figure_text(name, of[name]) if name in of else MISSING for of in (scores, tested))
        for name in names
    ]
    return Table(
        ("metric", "validation", "test"), tuple((n, *row) for n, row in zip(names, rows, strict=True))
    )


def _facts(config: ExperimentConfig, result: RunResult) -> list[str]:
    counts, fit, cost = result.report.counts, result.fit, result.cost
    sizes = [f"{int(counts[name]):,} {word}" for name, word in _SIZES.items() if name in counts]
    epochs = f", {fit.epochs_run} epochs, the best {fit.best_epoch}" if fit.epochs_run else ""
    return [
        f"Data: {', '.join(sizes)}; split: {config.split.kind}.",
        f"Fitted on {fit.device} in {cost.fit_seconds:.1f} s{epochs}; "
        f"peak memory {cost.peak_memory_mb:.0f} MB.",
    ]


def _choice(found: Validation) -> list[str]:
    """How the settings were found, and what is left open."""
    said = []
    if len(found.trials) > 1:
        settings = settings_text(found.winner.settings)
        said.append(f"Best of {len(found.trials)} trials: trial {found.chosen + 1}, {settings}.")
    if found.importances:
        shares = (f"{name} {share:.0%}" for name, share in found.importances.items())
        said.append(f"{_SHARES}: {', '.join(shares)}.")
    if remarks := found.remarks():
        said.append("Left open:\n\n" + "\n".join(f"- {remark}" for remark in remarks))
    return said
