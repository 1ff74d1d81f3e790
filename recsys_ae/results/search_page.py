"""One page with all of a search: what it found, how it got there, and what mattered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from recsys_ae.evaluation.intervals import of_users
from recsys_ae.evaluation.report import Report
from recsys_ae.metrics import Metric, find_metric, main_metrics
from recsys_ae.reporting.axes import Figure
from recsys_ae.reporting.page import Facts, Figures, Fold, Lead, Section, Text, page
from recsys_ae.reporting.tables import DECIMALS, Table, error_decimals, figure_text
from recsys_ae.reporting.trial_figures import Scored, setting_figure, shares_figure, trials_figure
from recsys_ae.results.readable import settings_of, unusual, value_text
from recsys_ae.results.trials import Trial, Validation, number_of
from recsys_ae.settings.configs import ExperimentConfig, SearchConfig
from recsys_ae.settings.spaces import Choices

_NOTE = (
    "The best of many validation scores is lucky, too: the figure to quote is that of the test part, "
    "which chose nothing."
)
_INTERVAL = "± is half of a 95 % interval over users of one split and fit."


def search_page(config: SearchConfig, best: ExperimentConfig, validation: Validation, report: Report) -> str:
    """The page of a search whose trials are all done. `report`: of the best settings on the test part."""
    metric = find_metric(validation.metric)
    assert metric is not None  # trials are scored by a known one
    scored = _scored(validation)
    sections = [
        Section("Trials", [Figures(list(_overview(metric, validation, scored))), _trials_fold(validation)]),
        Section("Each setting", [Figures(list(_settings(config, metric, validation, scored)))]),
        Section("What was run", [Facts(_facts(config, validation)), _all_settings(best)]),
    ]
    subtitle = f"{config.model.kind} on {config.data.label}, {datetime.now(UTC):%d %B %Y}"
    tested = sentence_of_test(report, (metric, *main_metrics(config.evaluation.cutoffs[0])))
    return page(config.name, sections, subtitle=subtitle, lead=_lead(validation, metric, tested))


def sentence_of_test(report: Report, metrics: Sequence[Metric]) -> str:
    """What the best settings reach on the test part, by those of the metrics that it defines."""
    figures = []
    for metric in dict.fromkeys(metrics):
        units = of_users([report], metric)
        if units is None:
            continue
        value, found = report.metrics[metric.key], units.estimate(metric)
        decimals = error_decimals([value]) if metric.family == "rating" else DECIMALS
        half = (found.high - found.low) / 2
        sure = f" ± {half:.{decimals}f}" if math.isfinite(half) else ""
        figures.append(f"{metric.label} {value:.{decimals}f}{sure}")
    if not figures:
        return "On the test part no metric is defined."
    return f"On the test part its settings reach {', '.join(figures)}."


def search_sentence(validation: Validation, metric: Metric) -> str:
    """What the search found: the best trial, and what the first had."""
    n, best, first = len(validation.trials), validation.winner, validation.trials[0]
    number, key = validation.chosen + 1, validation.metric
    score = figure_text(key, best.score or 0.0)
    found = f"Trial {number} of {n} is best: {metric.label} {score} on validation ratings"
    if number == 1 or first.score is None or not math.isfinite(first.score):
        return f"{found}."
    return f"{found}, against {figure_text(key, first.score)} of the first."


def _lead(validation: Validation, metric: Metric, tested: str) -> Lead:
    settings = ", ".join(f"{name} {value_text(value)}" for name, value in validation.winner.settings.items())
    sentences = [
        ("On the test part", tested),
        ("", search_sentence(validation, metric)),
        ("Its settings", f"Its settings: {settings}."),
    ]
    left_open = [f"{remark[:1].upper()}{remark[1:]}." for remark in validation.remarks()]
    return Lead(sentences, [*([_INTERVAL] if "±" in tested else []), *left_open, _NOTE])


def _scored(validation: Validation) -> list[tuple[Trial, Scored]]:
    return [
        (trial, Scored(number, trial.score, best=number == validation.chosen + 1, pruned=trial.pruned))
        for number, trial in enumerate(validation.trials, 1)
        if trial.score is not None and math.isfinite(trial.score)
    ]


def _overview(
    metric: Metric, validation: Validation, scored: Sequence[tuple[Trial, Scored]]
) -> Iterator[Figure]:
    if not scored:
        return
    yield trials_figure(
        f"{metric.label} trial by trial",
        [each for _, each in scored],
        axis=_axis(metric),
        higher_is_better=metric.higher_is_better,
        note="Dashed: the best so far. Square: the best of all. Hollow: ended early, behind the others. What "
        "is far worse than most stands at the edge.",
    )
    if validation.importances:
        yield shares_figure(
            "What mattered",
            validation.importances,
            note="How much each setting tells the best quarter of the trials from all.",
        )


def _settings(
    config: SearchConfig,
    metric: Metric,
    validation: Validation,
    scored: Sequence[tuple[Trial, Scored]],
) -> Iterator[Figure]:
    """The most important first."""
    order = sorted(config.space, key=lambda name: -validation.importances.get(name, 0.0))
    for name in order:
        domain = config.space[name]
        values = [(trial.settings.get(name), each) for trial, each in scored]
        words: dict[str, Any] = {"axis": _axis(metric), "higher_is_better": metric.higher_is_better}
        if isinstance(domain, Choices):
            names = [value_text(value) for value in domain.values]
            places = [
                (float(names.index(value_text(v))), each) for v, each in values if value_text(v) in names
            ]
            if places:
                yield setting_figure(name, places, reach=(0.0, 0.0), names=names, **words)
            continue
        numbers = [(number_of(value), each) for value, each in values]
        known = [(number, each) for number, each in numbers if number is not None]
        if domain.log:
            known = [(number, each) for number, each in known if number > 0]
        if known:
            low = min(domain.low, *(number for number, _ in known))
            high = max(domain.high, *(number for number, _ in known))
            yield setting_figure(name, known, reach=(low, high), log=domain.log, **words)


def _axis(metric: Metric) -> str:
    return f"{metric.label} ({metric.unit}), {metric.direction}"


def _trials_fold(validation: Validation) -> Fold:
    columns = ("trial", "settings", "score", "ended", "epochs", "best", "s", "error")
    rows = tuple(
        (
            number,
            ", ".join(f"{name} {value_text(value)}" for name, value in trial.settings.items()),
            trial.score,
            trial.ended,
            trial.epochs_run or None,
            trial.best_epoch,
            trial.seconds,
            trial.error,
        )
        for number, trial in enumerate(validation.trials, 1)
    )
    table = Table(columns, rows)
    failed = any(trial.error for trial in validation.trials)
    return Fold(f"All {len(rows)} trials", [table if failed else table.select(columns[:-1])])


def _facts(config: SearchConfig, validation: Validation) -> dict[str, Any]:
    ended = [trial.ended for trial in validation.trials]
    counts = ", ".join(f"{ended.count(word)} {word}" for word in dict.fromkeys(ended))
    return {
        "data": config.data.label,
        "split": ", ".join(settings_of(config.split).values()),
        "seed": config.seed,
        "trials": counts,
        "time of all trials": f"{validation.seconds:.1f} s",
        "validation share": f"{config.validation.share:g}",
        "finished": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "again with": "recsys-ae tune search.yaml (the file beside this page)",
        "the best again": "recsys-ae train best.yaml",
    }


def _all_settings(best: ExperimentConfig) -> Fold:
    settings = settings_of(best.model)
    return Fold(
        "All settings of the best", [Text("Bold: not the default."), Facts(settings, unusual(best.model))]
    )
