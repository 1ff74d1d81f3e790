"""recsys-ae init"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from shlex import quote
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

    Experiments, benchmarks and searches go to FOLDER/configs. What is there already is not replaced.
    """
    with answering(as_json=as_json) as say:
        from recsys_ae.settings.starter import Started, start

        def show(found: Started) -> None:
            there = f", {len(found.present)} were there already" if found.present else ""
            tell(f"{found.folder}: {len(found.written)} configs written{there}")
            if found.edited:
                tell(f"edited, and left as they are: {', '.join(found.edited)}")
            if folder.resolve() != Path.cwd():
                tell(f"next:   cd {quote(str(folder))}")
            tell(f"next:   recsys-ae train configs/{_FIRST}")
            tell("ratings that configs name and that are not here: recsys-ae data list")

        found = start(folder)
        say(asdict(found) | {"folder": str(found.folder)}, lambda: show(found))
