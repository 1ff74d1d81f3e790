"""Options that several commands share."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recsys_ae.tracking.tracker import Tracker


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help=("Change a setting, e.g. training.epochs=30; may be repeated.")
    ),
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where to fit.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Processor threads; default: all.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URI",
        help=("MLflow store; default: MLFLOW_TRACKING_URI, else mlflow.db in this folder."),
    ),
]
NoTracking = Annotated[
    bool, typer.Option("--no-tracking", help="Tell no MLflow store; results stay in the folder.")
]
Experiment = Annotated[
    str | None,
    typer.Option("--experiment", metavar="NAME", help=("MLflow experiment that the run belongs to.")),
]

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def use_threads(number: int | None) -> None:
    """Limit the numerical libraries. Must come before they are imported: commands import them inside."""
    if number is None:
        return
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(number)))
    import threadpoolctl

    threadpoolctl.threadpool_limits(number)  # for those that were loaded already


def make_tracker(
    experiment: str, name: str, *, uri: str | None, off: bool, folder: Path, must_work: bool = False
) -> Tracker:
    """The tracker of a run that keeps its files in `folder`. `must_work`: a store that fails is an error."""
    from recsys_ae.tracking.tracker import NullTracker

    if off:
        return NullTracker()
    from recsys_ae.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(
        experiment, name, uri=uri, folder=folder, on_failure="raise" if must_work else "warn"
    )
