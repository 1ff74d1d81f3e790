"""Options that several commands share."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from recsys_ae.tracking.tracker import Tracker


EXIT_STOPPED = 130  # what shells expect after Ctrl-C, and what typer answers


def at_home(path: Path | None) -> Path | None:
    """The path in which a "~" at the beginning is a home folder. Raises RuntimeError where there is none of
    that user."""
    return None if path is None else path.expanduser()


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where to fit.")]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, max=1024, help="Processor threads; default: all.")
]
NoTracking = Annotated[
    bool, typer.Option("--no-tracking", help="Tell no MLflow store; results stay in the folder.")
]
StoredModel = Annotated[
    str, typer.Argument(help="Model folder, models:/ID, runs:/ID/model or models:/NAME@ALIAS.")
]
_ANYWAY = "Fit models of ratings to counts and events, too."
Anyway = Annotated[bool, typer.Option("--anyway", help=_ANYWAY)]
_OVERRIDES = "Change a setting, e.g. training.epochs=30; may be repeated."
_URI = "MLflow store; default: MLFLOW_TRACKING_URI, else mlflow.db in this folder."
_EXPERIMENT = "MLflow experiment that the run belongs to; default: the name of the data."
Out = Annotated[
    Path | None, typer.Option(help="Folder of the results; default: runs/NAME-TIME.", callback=at_home)
]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=_OVERRIDES)]
TrackingUri = Annotated[str | None, typer.Option("--tracking-uri", metavar="URI", help=_URI)]
Experiment = Annotated[str | None, typer.Option("--experiment", metavar="NAME", help=_EXPERIMENT)]

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
    from recsys_ae.tracking.queue import QueuedTracker

    on_failure: Literal["raise", "warn"] = "raise" if must_work else "warn"
    return QueuedTracker(MlflowTracker(experiment, name, uri=uri, folder=folder, on_failure=on_failure))
