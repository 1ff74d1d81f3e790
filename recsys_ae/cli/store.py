"""recsys-ae ui, recsys-ae upload: the tracking store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import Say, answering, tell

if TYPE_CHECKING:
    from recsys_ae.tracking.tracker import Tracker


def ui(
    tracking_uri: options.TrackingUri = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 5000,
    experiment: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The one to begin with; default: that of the latest run."),
    ] = None,
) -> None:
    """Serve MLflow's page on the local store until Ctrl-C."""
    from recsys_ae.tracking.runs import page_of
    from recsys_ae.tracking.store import ui_command
    from recsys_ae.tracking.ui import check_free, serve
    from recsys_ae.training.interrupts import Terminated

    command, environment = ui_command(tracking_uri, host=host, port=port)
    check_free(host, port)
    page = page_of(experiment, uri=tracking_uri)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}{page}"
    tell("starting MLflow's page, which takes a while", on=sys.stderr)

    def say() -> None:
        print(f"open {address} in a browser; Ctrl-C ends it", flush=True)

    try:
        serve(command, environment, host=host, port=port, on_answer=say)
    except KeyboardInterrupt as error:
        if isinstance(error, Terminated):
            raise


def upload(
    folder: Annotated[Path, typer.Argument(help="Folder that train or benchmark wrote.")],
    experiment: options.Experiment = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
) -> None:
    """Track a finished run, or benchmark, afterwards.

    For when the tracking server was down. The folder is checked first; what the store has whole is not
    tracked again, and what it has in part is replaced.
    """
    with answering(as_json=as_json) as say:
        from recsys_ae.results.tracking import alone

        with alone(folder):
            _upload(folder, experiment, tracking_uri, say)


def _upload(folder: Path, experiment: str | None, uri: str | None, say: Say) -> None:
    from recsys_ae.results.choice import is_benchmark
    from recsys_ae.results.folder import CONFIG, read_run
    from recsys_ae.results.tracking import tag_of, tracked_ids, upload_benchmark, upload_run
    from recsys_ae.settings.load import load_benchmark
    from recsys_ae.tracking.runs import delete_run, incomplete_runs

    def tracker_of(default: str, name: str) -> Tracker:
        return options.make_tracker(
            experiment or default, name, uri=uri, off=False, folder=folder, must_work=True
        )

    incomplete = incomplete_runs(tracked_ids(folder), tag_of(folder), uri=uri)
    if is_benchmark(folder):
        comparison = load_benchmark(folder / CONFIG)
        tracker = tracker_of(comparison.data.name, comparison.name)
        n_runs = upload_benchmark(folder, comparison, tracker)
        text = f"uploaded {n_runs} runs of {folder}"
        say({"run_id": tracker.run_id, "runs": n_runs}, lambda: tell(text))
    else:
        config, _ = read_run(folder)
        result = upload_run(folder, tracker_of(config.data.name, config.name))
        lines = (f"uploaded {folder} as run {result.run_id}", f"model: {result.model}")
        say(result.to_json(), lambda: tell(*lines))
    for run_id in incomplete:
        delete_run(run_id, uri=uri)
