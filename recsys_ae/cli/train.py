"""recsys-ae train"""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering, cold_text, tell
from recsys_ae.errors import ConfigError, counted

if TYPE_CHECKING:
    from recsys_ae.results.result import RunResult
    from recsys_ae.settings.configs import ExperimentConfig


_UNTRAINED = (
    "no epoch did better in validation than what training begins with, which this model is: biases, means of "
    "items or popularity, by its kind; try other l2, hidden (of biased-mf: factors), patience"
)


def train(
    config: Annotated[Path | None, typer.Argument(help="Experiment file (YAML).")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="Instead of a file: a known dataset or a path; again for more files of a kind."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --data: the kind of model, e.g. i-autorec.")] = None,
    overrides: options.Overrides = None,
    out: options.Out = None,
    seed: Annotated[int | None, typer.Option(help="The same as --set seed=N.")] = None,
    device: options.DeviceOption = options.Device.auto,
    threads: options.Threads = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue this training where it was stopped.")
    ] = False,
    experiment: options.Experiment = None,
    tracking_uri: options.TrackingUri = None,
    no_tracking: options.NoTracking = False,
    anyway: options.Anyway = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit one model, test it, keep everything."""
    options.use_threads(threads)
    changes = [*(overrides or []), *([] if seed is None else [f"seed={seed}"])]
    found = _config(config, data, model, changes)
    with answering(as_json=as_json) as say:
        from recsys_ae.experiments.fit import metric_of_epochs
        from recsys_ae.experiments.run import run
        from recsys_ae.reporting.progress import watched
        from recsys_ae.results.folder import new_folder
        from recsys_ae.training.runner import Context

        experiment = experiment or found.data.name
        metric = metric_of_epochs(found.model, found.validation, found.evaluation)
        with (
            new_folder(found, out, resume=resume) as folder,
            watched(shown=not quiet) as line,
        ):
            tracker = options.make_tracker(
                experiment, found.name, uri=tracking_uri, off=no_tracking, folder=folder
            )
            context = Context(
                device=device.value,
                resume=resume,
                on_epoch=line.epochs(found.model.max_epochs, metric),
                on_read=line.reading,
                on_tested=line.testing,
                anyway=anyway,
            )
            result = run(found, folder, context, tracker)
        say(result.to_json(), lambda: show_run(result, ranks=found.model.ranks))


def _config(
    config: Path | None, data: list[str] | None, model: str | None, changes: list[str]
) -> ExperimentConfig:
    from recsys_ae.settings.load import default_experiment, load_experiment

    if config is not None and (data or model is not None):
        raise ConfigError(
            "give a config file, or --data with --model, not both; a file's settings change with "
            "--set data.source=... and --set model.kind=..."
        )
    if config is not None:
        return load_experiment(config, changes)
    if not data or model is None:
        raise ConfigError(
            "give a config file, or --data with --model, such as --data ratings.csv --model i-autorec"
        )
    return default_experiment(data, model, changes)


def _show_validation(result: RunResult) -> None:
    """The figure that chose the model, before those that choose nothing."""
    from recsys_ae.reporting.tables import figure_text
    from recsys_ae.results.result import VALIDATED

    fit, found = result.fit, result.validation
    if found is None:
        tell("  validation: none, the model was fitted to all training ratings")
        return
    score = "undefined" if found.score is None else figure_text(found.metric, found.score)
    tell(f"  {VALIDATED + found.metric:32} {score}")
    for remark in found.remarks():
        tell(f"  {remark}")
    if found.winner.is_untrained:
        tell(f"  {_UNTRAINED}")
    if fit.refitted:
        epochs = counted(fit.best_epoch, "epoch") if fit.best_epoch else "no epochs"
        tell(f"  then fitted anew to all training ratings, for {epochs}")


def show_run(result: RunResult, *, ranks: bool) -> None:
    """Print what a run found, for people."""
    from recsys_ae.reporting.tables import figure_text
    from recsys_ae.results.result import tracked

    fit, cost, report = result.fit, result.cost, result.report
    best = f", the best {fit.best_epoch}" if fit.metric else ""
    epochs = f"{counted(fit.epochs_run, 'epoch')}{best}; " if fit.epochs_run else ""
    tell(
        f"{result.name}: {epochs}fitted in {cost.fit_seconds:.1f} s, "
        f"tested in {cost.evaluate_seconds:.1f} s, peak memory {cost.peak_memory_mb:.0f} MB"
    )
    _show_validation(result)
    before = tracked(result.metrics_before_refit)
    for name, value in tracked(report.metrics).items():
        early = f"  ({figure_text(name, before[name])} before)" if name in before else ""
        tell(f"  {name:32} {figure_text(name, value)}{early}")
    if ranks and report.metrics:
        tell(f"  relevant: {report.relevance}")
    if cold := cold_text(report.counts):
        tell(f"  {cold}")
    tell(f"folder: {result.folder}")
    tell(f"model:  {result.model}")
    if fit.interrupted:
        rest = "; the same command with --resume continues" if fit.resumable else ""
        tell(f"stopped early by Ctrl-C: this is the best model so far{rest}")
    if ranks:
        tell(f"next:   recsys-ae recommend {quote(result.model)} --users all -n 10 --out recs.parquet")
