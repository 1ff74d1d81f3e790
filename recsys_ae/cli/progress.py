"""How far training is, for whoever watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from recsys_ae.metrics import Metric
from recsys_ae.reporting.tables import figure_text
from recsys_ae.types import Epoch


@contextmanager
def epoch_bar(total: int | None, *, metric: Metric | None, quiet: bool) -> Iterator[Callable[[Epoch], None]]:
    """A bar on stderr that is told of each epoch: epoch of `total`, loss, validation `metric`, time left. It
    begins anew, without a total, where the epochs do: with a refit. Silent where nobody can watch (stderr is
    no terminal) or wants to."""
    words = TextColumn("{task.description}")
    columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), words, TimeRemainingColumn())
    silent = quiet or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=silent, transient=True) as bar:
        task = bar.add_task("", total=total)

        def show(epoch: Epoch) -> None:
            losses = epoch.terms if epoch.total is None else {"loss": epoch.total}
            text = "  ".join(f"{name} {value:.4f}" for name, value in losses.items())
            if metric is not None and epoch.score is not None:
                text += f"  validation {metric.key} {figure_text(metric.key, epoch.score)}"
            if 0 < epoch.number <= bar.tasks[task].completed:
                bar.update(task, total=None)
            bar.update(task, completed=epoch.number, description=text)

        yield show
