"""The folder of a benchmark: its tables, its figures, and one page with all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import nan
from pathlib import Path

from recsys_ae.errors import counted
from recsys_ae.files import replaced
from recsys_ae.metrics import is_ranking_metric
from recsys_ae.reporting.page import (
    Block,
    Cards,
    Figures,
    Fold,
    Lead,
    Ranking,
    Section,
    Text,
    page,
)
from recsys_ae.reporting.plots import plot_metric_bars
from recsys_ae.reporting.tables import Table
from recsys_ae.results.benchmark import (
    BenchmarkResult,
    failures,
    full_note,
    full_table,
    rating_decimals,
    reading_notes,
    remarks,
    short_table,
    stopped_note,
)
from recsys_ae.results.benchmark_facts import settings_card, what_was_run
from recsys_ae.results.benchmark_figures import (
    Measured,
    colours,
    curve_figures,
    measured,
    time_figure,
    value_figures,
)
from recsys_ae.results.conclusion import conclusion_lines, conclusion_notes, conclusions, document_of, nothing
from recsys_ae.results.folder import CONFIG, TABLE, yaml_of
from recsys_ae.results.group_figures import group_figures
from recsys_ae.results.readable import listed, value_text
from recsys_ae.results.result import RESULT, write_document
from recsys_ae.results.sample_lists import sample_lists
from recsys_ae.results.trials import Trial
from recsys_ae.seals import checksums

_READING = (
    "{means}All models were given the same training ratings. {early}Settings and epochs were "
    "never chosen on the test part. {paired}RMSE is of predicted "
    "ratings (low is better), NDCG of the order of the whole catalogue (high is better)."
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
    lead = "\n\n".join(conclusion_lines(result)) + "\n"
    read = [
        lead,
        table.markdown(),
        f"{full_note(result)}\n".lstrip(),
        notes,
        f"{_TRIALS}\n",
        trials.markdown(),
    ]
    texts = {
        CONFIG: yaml_of(result.config),
        "table.csv": table.csv(),
        "trials.csv": trials.csv(),
        TABLE: "\n".join(filter(None, read)),
    }
    written = [_write_text(result.folder / name, text) for name, text in texts.items()]
    found = measured(result)
    written += _write_bars(result, found)
    written.append(_write_text(result.folder / "page.html", benchmark_page(result, table, trials, found)))
    files = checksums(result.folder, [path.name for path in written])
    with replaced(result.folder / RESULT) as temporary:
        write_document(temporary, document_of(result), files=files)
    return [*written, result.folder / RESULT]


def _write_text(path: Path, text: str) -> Path:
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _write_bars(result: BenchmarkResult, found: Sequence[Measured]) -> list[Path]:
    """A picture for each compared metric that any model has, for places other than the page: of the models
    that have it, with the intervals of their figures, and those that failed."""
    failed = [entry for entry in result.entries if entry.has_failed]
    written = []
    for of in found:
        path = result.folder / f"{of.metric.key}.svg"
        widths = [of.estimates[e.config.name] for e in of.entries]
        plot_metric_bars(
            [entry.config.name for entry in (*of.entries, *failed)],
            [*(entry.means()[of.metric.key] for entry in of.entries), *(nan for _ in failed)],
            [*((width.high - width.low) / 2 for width in widths), *(nan for _ in failed)],
            metric=of.metric,
            path=path,
        )
        written.append(path)
    return written


def benchmark_page(result: BenchmarkResult, table: Table, trials: Table, found: Sequence[Measured]) -> str:
    """Everything on one HTML page that needs nothing beside it."""
    sections = [
        *figure_sections(result, found, table, _reading(result)),
        *_samples(result),
        Section(
            "Choices on validation ratings",
            [Text("\n\n".join([_TRIALS, *remarks(result)])), Fold(f"{len(trials.rows)} trials", [trials])],
        ),
        Section("What was run", list(what_was_run(result))),
        Section("Settings", [Cards([settings_card(entry) for entry in result.entries])]),
    ]
    return page(result.config.name, sections, subtitle=_subtitle(result), lead=_lead(result))


def _lead(result: BenchmarkResult) -> Lead:
    found = conclusions(result)
    sentences = [(one.model or "", one.sentence) for one in found] or [("", nothing(result))]
    if stopped := stopped_note(result):
        sentences.insert(0, ("", stopped))
    return Lead(sentences, conclusion_notes(result, found))


def _subtitle(result: BenchmarkResult) -> str:
    config = result.config
    models, seeds = counted(len(config.models), "model"), counted(len(config.seeds), "seed")
    return f"{models} on {config.data.label}, {seeds}, {datetime.now(UTC):%d %B %Y}"


def figure_sections(
    result: BenchmarkResult, found: Sequence[Measured], table: Table, reading: str
) -> list[Section]:
    """Tables and figures of models side by side: values and differences, time, curves, and for whom. `table`:
    with all columns; `reading`: how the figures came about, in paragraphs."""
    series = colours(result, found)
    return [
        Section("Models side by side", list(_comparison(result, table, found, series, reading))),
        *_with_figures("Quality against time", [time_figure(of, series) for of in found]),
        *_with_figures("How they learnt", list(curve_figures(result, found, series))),
        *_with_figures(
            "For whom, and for what", [f for of in found for f in group_figures(of, series, result)]
        ),
    ]


def _reading(result: BenchmarkResult) -> str:
    config, runs = result.config, [run for entry in result.entries for run in entry.runs]
    means = "Means over the seeds. " if len(config.seeds) > 1 else ""
    paired = f"Differences to {config.reference} are paired over users; " if result.differences else ""
    reading = _READING.format(means=means, early=_early(result), paired=paired)
    fallback = runs[0].report.fallback if runs else ""
    return f"{reading}\n\n{fallback}"


def _with_figures(heading: str, figures: list) -> list[Section]:
    return [Section(heading, [Figures(figures)])] if figures else []


def _comparison(
    result: BenchmarkResult,
    table: Table,
    found: Sequence[Measured],
    series: Mapping[str, str],
    reading: str,
) -> Iterator[Block]:
    short, _ = short_table(result)
    labels = {of.metric.key: of.metric.label for of in found}
    yield short.renamed(labels | {f"Δ {key}": f"Δ {label}" for key, label in labels.items()})
    notes = "; ".join(reading_notes(result))
    yield Text(f"{notes[:1].upper()}{notes[1:]}." if notes else "", small=True)
    yield Text("\n\n".join(failures(result)))
    for of in found:
        yield Figures(list(value_figures(result, of, series)))
    yield Text(reading, small=True)
    yield Fold("All columns", [table, Text(full_note(result), small=True)])


def _samples(result: BenchmarkResult) -> list[Section]:
    """Lists of the model that is first by validation, of the first seed; nothing where none is."""
    chosen = [one.model for one in conclusions(result) if is_ranking_metric(one.metric.key)]
    run = next((e.runs[0] for e in result.entries if e.config.name in chosen), None)
    found = None if run is None else sample_lists(run, result.config.data.source)
    if found is None:
        return []
    cards = [
        (
            f"User {one.user}",
            [
                Ranking(one.history, one.liked),
                Ranking("Recommended", one.listed or ["nothing is left to recommend"]),
            ],
        )
        for one in found.lists
    ]
    text = f"{found.who} The lists are those of {chosen[0]}, without what the user has rated."
    return [Section("What it recommends", [Text(text), Cards(cards)])]


def _early(result: BenchmarkResult) -> str:
    """What models that stop early were fitted to, in a sentence; "" where none has a result."""
    done = [entry.config for entry in result.entries if entry.error is None]
    names = [entry.name for entry in done if entry.model.trains_in_epochs]
    validation = result.config.validation
    text = _REFITTED if validation.refit else _EARLY
    return text.format(names=listed(names), share=validation.share) if names else ""


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
        settings = ", ".join(f"{key} = {value_text(value)}" for key, value in trial.settings.items())
        of_fit = (trial.epochs_run or None, trial.best_epoch, trial.seconds, trial.error or remark or None)
        scored = (validation.metric, trial.score, "yes" if chosen else None)
        rows.append((name, seed, settings or "as configured", *scored, *of_fit))
    return Table(columns, tuple(rows), decimals={"score": rating_decimals(result)})


def _open_end(trial: Trial) -> str | None:
    """What a trial that was not chosen might have reached, had it gone on; None where there is nothing to
    say."""
    return _PRUNED if trial.pruned else _LAST if trial.at_last_epoch else None
