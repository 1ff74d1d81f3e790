"""recsys-ae evaluate"""

from __future__ import annotations

from typing import Annotated

import typer

from recsys_ae.cli import options
from recsys_ae.cli.answer import answering


def evaluate(
    model: Annotated[str, typer.Argument(help="Model folder, runs:/ID/model or models:/NAME@ALIAS.")],
    threads: options.Threads = None,
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
) -> None:
    """Test a stored model again.

    Uses the data and the split of the config that is stored with it.
    """
    options.use_threads(threads)
    with answering(as_json=as_json) as say:
        from recsys_ae.experiments.run import retest
        from recsys_ae.tracking.registry import resolve_model

        found = retest(resolve_model(model, uri=tracking_uri))
        say(found, lambda: _show(found["metrics"], found["stored_metrics"]))


def _show(metrics: dict[str, float], stored: dict[str, float]) -> None:
    if not metrics:
        print("nothing to measure: the split of this model holds no ratings out")
        return
    print(f"{'metric':32} {'now':>10} {'stored':>10}")
    for name, value in metrics.items():
        before = stored.get(name)
        print(f"{name:32} {value:10.6f} {'' if before is None else f'{before:10.6f}'}")
