"""How far training is, for whoever watches."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from recsys_ae.metrics import Metric
from recsys_ae.types import Epoch


class EpochBar:
    """A bar on stderr: epoch of `total`, loss, validation `metric`, time left. Silent where nobody can watch
    (stderr is no terminal) or wants to."""

    def __init__(self, total: int | None, *, metric: Metric | None, quiet: bool) -> None:
        self._metric = metric
        silent = quiet or not sys.stderr.isatty()
        self._bar = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=silent,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total)

    def __call__(self, epoch: Epoch) -> None:
        losses = epoch.terms if epoch.total is None else {"loss": epoch.total}
        text = "  ".join(f"{name} {value:.4f}" for name, value in losses.items())
        if self._metric is not None and epoch.score is not None:
            text += f"  validation {self._metric.key} {epoch.score:.4f}"
        self._bar.update(self._task, completed=epoch.number, description=text)

    def __enter__(self) -> EpochBar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
