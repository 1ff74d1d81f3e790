"""recsys-ae init"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering, tell

_FIRST = "experiments/movietweetings-i-autorec.yaml"  # of data that are in the package


def init(
    folder: Annotated[
        Path, typer.Argument(help="Where to; default: here.", callback=options.at_home, show_default=False)
    ] = Path(),
    as_json: options.AsJson = False,
) -> None:
    """Write the configs to start from.

    Experiments, benchmarks and searches go to FOLDER/configs. Files that differ are not replaced.
    """
    with answering(as_json=as_json) as say:
        from recsys_ae.settings.starter import Started, start

        def show(found: Started) -> None:
            there = f", {len(found.present)} were there already" if found.present else ""
            tell(f"{found.folder}: {len(found.written)} configs written{there}")
            if folder.resolve() != Path.cwd():
                tell(f"next:   cd {folder}")
            tell(f"next:   recsys-ae train configs/{_FIRST}")
            tell("ratings that configs name and that are not here: recsys-ae data list")

        found = start(folder)
        document = {"folder": str(found.folder), "written": found.written, "present": found.present}
        say(document, lambda: show(found))
