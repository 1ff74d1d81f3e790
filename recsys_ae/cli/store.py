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
    import subprocess

    from recsys_ae.tracking.server import ui_command

    command = ui_command(tracking_uri, host=host, port=port)
    print(f"open http://{host}:{port} in a browser; Ctrl-C ends it")
    code = subprocess.run(command, check=False).returncode
    raise typer.Exit(code)


def upload(
    folder: Annotated[Path, typer.Argument(help="Run folder, as train wrote it.")],
    experiment: options.Experiment = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
) -> None:
    """Track a finished run afterwards.

    For when the tracking server was down.
    """
    with answering(as_json=as_json) as say:
        from recsys_ae.experiments.upload import read_run
        from recsys_ae.experiments.upload import upload as send

        config, _ = read_run(folder)
        tracker = options.make_tracker(
            experiment or Path(config.data.source).stem,
            config.name,
            uri=tracking_uri,
            off=False,
            folder=folder,
            must_work=True,
        )
        result = send(folder, tracker)
        say(
            result.to_json(),
            lambda: print(f"uploaded {folder} as run {result.run_id}\nmodel: {result.model}"),
        )
