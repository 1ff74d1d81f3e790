"""recsys-ae ui, recsys-ae upload: the tracking store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering


def ui(
    tracking_uri: options.TrackingUri = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 5000,
) -> None:
    """Serve MLflow's page on the local store until Ctrl-C."""
    import os

    from recsys_ae.tracking.server import ui_command

    command = ui_command(tracking_uri, host=host, port=port)
    print(f"open http://{host}:{port} in a browser; Ctrl-C ends it", flush=True)
    os.execv(command[0], command)  # the server takes this process's place, and every signal that it gets


def upload(
    folder: Annotated[Path, typer.Argument(help="Folder that train or benchmark wrote.")],
    experiment: options.Experiment = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
) -> None:
    """Track a finished run, or benchmark, afterwards.

    For when the tracking server was down.
    """
    with answering(as_json=as_json) as say:
        from recsys_ae.experiments.folder import CONFIG
        from recsys_ae.experiments.load import load_benchmark
        from recsys_ae.experiments.upload import is_benchmark, read_run, upload_benchmark
        from recsys_ae.experiments.upload import upload as upload_run

        if is_benchmark(folder):
            comparison = load_benchmark(folder / CONFIG)
            tracker = options.make_tracker(experiment or comparison.name, comparison.name, uri=tracking_uri,
                                           off=False, folder=folder, must_work=True)  # fmt: skip
            n_runs = upload_benchmark(folder, comparison, tracker)
            say(
                {"run_id": tracker.run_id, "runs": n_runs},
                lambda: print(f"uploaded {n_runs} runs of {folder}"),
            )
            return
        config, _ = read_run(folder)
        name = experiment or Path(config.data.source).stem
        tracker = options.make_tracker(name, config.name, uri=tracking_uri, off=False, folder=folder,
                                       must_work=True)  # fmt: skip
        result = upload_run(folder, tracker)
        say(
            result.to_json(),
            lambda: print(f"uploaded {folder} as run {result.run_id}\nmodel: {result.model}"),
        )
