"""recsys-ae tune"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering, tell
from recsys_ae.cli.train import show_run
from recsys_ae.errors import counted

if TYPE_CHECKING:
    from recsys_ae.cli.trials import TrialBar
    from recsys_ae.results.result import RunResult


def tune(
    config: Annotated[Path, typer.Argument(help="Search file (YAML): a model, and its space.")],
    overrides: options.Overrides = None,
    out: options.Out = None,
    trials: Annotated[int | None, typer.Option(help="The same as --set trials=N.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same as --set seed=N.")] = None,
    device: options.DeviceOption = options.Device.auto,
    threads: options.Threads = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with this search where it was stopped.")
    ] = False,
    experiment: options.Experiment = None,
    tracking_uri: options.TrackingUri = None,
    no_tracking: options.NoTracking = False,
    anyway: options.Anyway = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Search the settings of one model.

    Settings are proposed by what the trials before them have found, on validation ratings alone; trainings
    that fall behind end early. The best settings are then fitted to all training ratings and tested once. A
    search that was stopped goes on in its folder: give the same --out, or, where there was none, --resume for
    the latest of its kind in runs/.
    """
    options.use_threads(threads)
    from recsys_ae.settings.load import load_search

    changes = {"trials": trials, "seed": seed}
    shortcuts = [f"{name}={value}" for name, value in changes.items() if value is not None]
    found = load_search(config, [*(overrides or []), *shortcuts])
    with answering(as_json=as_json) as say:
        from recsys_ae.cli.trials import trial_bar
        from recsys_ae.evaluation.validation import validation_metric
        from recsys_ae.experiments.search import goes_on, run_search, unfinished
        from recsys_ae.experiments.tune import check_settings
        from recsys_ae.results.folder import new_folder
        from recsys_ae.training.runner import Context

        check_settings(found.entry)
        metric = validation_metric(
            found.validation.metric, found.evaluation, predicts_ratings=found.model.predicts_ratings
        )
        place = unfinished(found) if resume and out is None else out
        with (
            new_folder(found, place, goes_on=lambda folder: goes_on(folder, found)) as folder,
            trial_bar(found, metric=metric, quiet=quiet) as bar,
            _saying_what_is_kept(bar, folder, "--resume" if out is None else f"--out {quote(str(out))}"),
        ):
            tracker = options.make_tracker(
                experiment or found.data.name, found.name, uri=tracking_uri, off=no_tracking, folder=folder
            )
            context = Context(
                device=device.value,
                on_epoch=bar.epoch,
                on_read=bar.line.reading,
                on_tested=bar.line.testing,
                anyway=anyway,
            )
            result = run_search(found, folder, context, tracker, on_trials=bar.trials)
        say(result.to_json(), lambda: _show(result, ranks=found.model.ranks))


@contextmanager
def _saying_what_is_kept(bar: TrialBar, folder: Path, option: str) -> Iterator[None]:
    """Where the search is stopped, say how to go on. `option`: with which the same command finds it."""
    try:
        yield
    except KeyboardInterrupt:
        if n := len(bar.finished):
            kept = f"kept in {folder}: {counted(n, 'trial')}"
            tell(f"{kept}; the same command with {option} goes on", on=sys.stderr)
        raise


def _show(result: RunResult, *, ranks: bool) -> None:
    from recsys_ae.results.search import BEST, PAGE, TRIALS_CSV, settings_text

    found = result.validation
    assert found is not None  # a search has trials
    ended = [trial.ended for trial in found.trials]
    counts = ", ".join(f"{ended.count(word)} {word}" for word in dict.fromkeys(ended))
    tell(f"{len(ended)} trials in {found.seconds:.1f} s: {counts}")
    tell(f"best: trial {found.chosen + 1}, {settings_text(found.winner.settings)}")
    if found.importances:
        shares = (f"{name} {share:.0%}" for name, share in found.importances.items())
        tell(f"what mattered: {', '.join(shares)}")
    show_run(result, ranks=ranks)
    if result.fit.interrupted:
        folder = quote(str(result.folder))
        tell(f"the same command with --out {folder} goes on with the fit of the best settings")
    tell(f"the best settings are in {result.folder / BEST} (for train); beside it {TRIALS_CSV} and {PAGE}")
