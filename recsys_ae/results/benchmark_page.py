"""The folder of a benchmark: its tables, its figures, and one page with all of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import nan
from pathlib import Path

from recsys_ae.files import replaced
from recsys_ae.metrics import main_metrics
from recsys_ae.reporting.page import Picture, Section, page
from recsys_ae.reporting.plots import plot_metric_bars
from recsys_ae.reporting.tables import Table
from recsys_ae.results.benchmark import BenchmarkResult, full_note, full_table, rating_decimals, remarks
from recsys_ae.results.folder import CONFIG, yaml_of
from recsys_ae.results.result import RESULT, RunResult, write_document
from recsys_ae.results.trials import Trial
from recsys_ae.seals import checksums
from recsys_ae.settings.configs import BenchmarkConfig

_READING = (
    "Means over the seeds. All models were given the same training ratings. {early}Settings and epochs were "
    "never chosen on the test part. Differences to {reference} are paired over users; rmse is of predicted "
    "ratings (low is better), ndcg of the order of the whole catalogue (high is better).\n\n{note}\n\n"
    "{fallback}"
)
_TRIALS = (
    "Every setting that was tried was fitted to a part of the training ratings and scored on the rest of "
    "them, the validation ratings. A chosen setting at the edge of its grid, or a training that ended at the "
    "last allowed epoch, means that a better one may lie beyond what was tried."
)
_LAST = "training ended at the last allowed epoch"
_PRUNED = "ended early, behind the other trials"
_EARLY = (
    "Of these, {names} gave up a share of {share:g} to choose their epoch by; other models were fitted to "
    "all of them. "
)
_REFITTED = (
    "Of these, {names} gave up a share of {share:g} to choose their epoch by, and were then fitted anew to "
    "all of them for as many epochs; what the first fit reached is shown as before refit, and neither was "
    "chosen on the test part. "
)


def write_benchmark(result: BenchmarkResult) -> list[Path]:
    """Write config.yaml, result.json, table.csv, trials.csv, table.md, figures and page.html in the
    benchmark's folder, and return their paths."""
    table, trials = full_table(result), trials_table(result)
    notes = "".join(f"- {remark}\n" for remark in remarks(result))
    read = [table.markdown(), f"{full_note(result)}\n".lstrip(), notes, f"{_TRIALS}\n", trials.markdown()]
    texts = {
        CONFIG: yaml_of(result.config),
        "table.csv": table.csv(),
        "trials.csv": trials.csv(),
        "table.md": "\n".join(filter(None, read)),
    }
    written = [_write_text(result.folder / name, text) for name, text in texts.items()]
    bars = _write_bars(result)
    written += [*bars, _write_text(result.folder / "page.html", _page(result, table, trials, bars))]
    files = checksums(result.folder, [path.name for path in written])
    with replaced(result.folder / RESULT) as temporary:
        write_document(temporary, result.to_json(), files=files)
    return [*written, result.folder / RESULT]


def _write_text(path: Path, text: str) -> Path:
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _write_bars(result: BenchmarkResult) -> list[Path]:
    """A picture for each compared metric that any model has: of the models that have it, and those that
    failed."""
    written = []
    for metric in main_metrics(result.config.evaluation.cutoffs[0]):
        shown = [entry for entry in result.entries if entry.error or metric.key in entry.means()]
        if all(entry.error for entry in shown):
            continue
        path = result.folder / f"{metric.key}.svg"
        plot_metric_bars(
            [entry.config.name for entry in shown],
            [nan if entry.error else entry.means()[metric.key] for entry in shown],
            [entry.deviations().get(metric.key, nan) for entry in shown],
            metric=metric,
            path=path,
        )
        written.append(path)
    return written


def _page(result: BenchmarkResult, table: Table, trials: Table, bars: Sequence[Path]) -> str:
    """Everything on one HTML page that needs nothing beside it."""
    config, fingerprints = result.config, result.fingerprints()
    runs = [run for entry in result.entries for run in entry.runs]
    fallback = runs[0].report.fallback if runs else ""
    facts = {
        "data": config.data.label,
        "data fingerprint": ", ".join(sorted({row["data"] for row in fingerprints})),
        "split": ", ".join(f"{key} {value}" for key, value in config.split.model_dump(mode="json").items()),
        "split fingerprints": ", ".join(row["split"] for row in fingerprints),
        "seeds": ", ".join(map(str, config.seeds)),
        "trials of each model": config.trials,
        "validation share": config.validation.share,
        "fitted on": ", ".join(sorted({_fitted_on(run) for run in runs})),
        "reference": config.reference,
    }
    caption = "" if len(config.seeds) == 1 else "Lines: standard deviation over the seeds."
    sections = [
        Section(
            "Models side by side",
            text=_READING.format(
                early=_early(config),
                reference=config.reference,
                note=full_note(result),
                fallback=fallback,
            ),
            table=table,
            pictures=[Picture.read(path, caption) for path in bars],
        ),
        Section(
            "Choices on validation ratings",
            text="\n\n".join([_TRIALS, *remarks(result)]),
            table=trials,
            fold=f"{len(trials.rows)} trials",
        ),
        Section("What was compared", facts=facts),
        Section("Settings", table=_settings_table(result)),
    ]
    return page(config.name, sections)


def _fitted_on(run: RunResult) -> str:
    return f"{run.fit.device} with {run.fit.threads} {'thread' if run.fit.threads == 1 else 'threads'}"


def _early(config: BenchmarkConfig) -> str:
    """What models that stop early were fitted to, in a sentence; "" where there are none."""
    names = [entry.name for entry in config.models if entry.model.trains_in_epochs]
    text = _REFITTED if config.validation.refit else _EARLY
    return text.format(names=", ".join(names), share=config.validation.share) if names else ""


def trials_table(result: BenchmarkResult) -> Table:
    """One row for each setting that was tried, with its validation score; the chosen ones are marked."""
    columns = ("model", "seed", "settings", "metric", "score", "chosen", "epochs", "best", "s", "remark")
    found = [
        (entry.config.name, run.origin.seed, run.validation, place, trial)
        for entry in result.entries
        for run in entry.runs
        if run.validation is not None
        for place, trial in enumerate(run.validation.trials)
    ]
    rows = []
    for name, seed, validation, place, trial in found:
        chosen = place == validation.chosen
        remark = "; ".join(validation.remarks()) if chosen else _open_end(trial)
        settings = ", ".join(f"{key} = {json.dumps(value)}" for key, value in trial.settings.items())
        of_fit = (trial.epochs_run or None, trial.best_epoch, trial.seconds, trial.error or remark or None)
        scored = (validation.metric, trial.score, "yes" if chosen else None)
        rows.append((name, seed, settings or "as configured", *scored, *of_fit))
    return Table(columns, tuple(rows), decimals={"score": rating_decimals(result)})


def _open_end(trial: Trial) -> str | None:
    """What a trial that was not chosen might have reached, had it gone on; None where there is nothing to
    say."""
    return _PRUNED if trial.pruned else _LAST if trial.at_last_epoch else None


def _settings_table(result: BenchmarkResult) -> Table:
    rows = [
        (
            entry.config.name,
            entry.config.model.model_dump_json(),
            "; ".join(json.dumps(v.winner.settings) for v in entry.validations() if v.winner.settings)
            or None,
        )
        for entry in result.entries
    ]
    return Table(("model", "config", "chosen by validation, one per seed"), tuple(rows))
