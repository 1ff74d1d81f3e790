"""recsys-ae benchmark"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering, show_table, tell

if TYPE_CHECKING:
    from recsys_ae.reporting.progress import Planned
    from recsys_ae.results.benchmark import BenchmarkResult


def benchmark(
    config: Annotated[Path, typer.Argument(help="Benchmark file (YAML).")],
    overrides: options.Overrides = None,
    out: options.Out = None,
    device: options.DeviceOption = options.Device.auto,
    threads: options.Threads = None,
    experiment: options.Experiment = None,
    tracking_uri: options.TrackingUri = None,
    no_tracking: options.NoTracking = False,
    anyway: options.Anyway = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare models on the same splits.

    Equal tuning budgets, paired differences, one table for quality and cost. The exit code is 1 where a model
    failed, after the table with all others, so that a scheduler notices.
    """
    options.use_threads(threads)
    from recsys_ae.settings.load import load_benchmark

    found = load_benchmark(config, overrides or [])
    with answering(as_json=as_json) as say:
        from recsys_ae.experiments.benchmark import planned, run_benchmark
        from recsys_ae.experiments.tune import check_budgets
        from recsys_ae.reporting.progress import can_watch, run_bar
        from recsys_ae.results.conclusion import document_of
        from recsys_ae.results.folder import new_folder
        from recsys_ae.training.runner import Context

        check_budgets(found)
        silent = quiet or can_watch()  # who watches the bar needs no lines
        with new_folder(found, out) as folder, run_bar(planned(found), shown=not quiet) as bar:
            tracker = options.make_tracker(
                experiment or found.data.name, found.name, uri=tracking_uri, off=no_tracking, folder=folder
            )
            context = Context(
                device=device.value,
                on_epoch=bar.epoch,
                on_read=bar.line.reading,
                on_tested=bar.testing,
                anyway=anyway,
            )
            on_run = bar.run if silent else _tell
            result = run_benchmark(found, folder, context, tracker, on_run=on_run, on_trials=bar.trials)
        say(document_of(result), lambda: _show(result))
    if any(entry.was_stopped for entry in result.entries):
        raise typer.Exit(options.EXIT_STOPPED)
    if any(entry.has_failed for entry in result.entries):
        raise typer.Exit(1)


def _tell(run: Planned) -> None:
    tell(f"fitting {run.title}", on=sys.stderr)


def _show(result: BenchmarkResult) -> None:
    from recsys_ae.results.benchmark import short_notes, short_table
    from recsys_ae.results.conclusion import conclusion_lines

    tell(*conclusion_lines(result), "")
    table, aside = short_table(result)
    show_table(table, aside=aside)
    for note in short_notes(result):
        tell(note)
    tell(f"all columns, page and models: {result.folder} (table.md, page.html)")
