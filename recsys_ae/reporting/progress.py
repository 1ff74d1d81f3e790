"""How far long work is, for whoever watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from recsys_ae.metrics import Metric
from recsys_ae.reporting.tables import figure_text
from recsys_ae.types import Epoch

PATIENCE = 2.0  # seconds after which people wonder whether anything happens at all


@contextmanager
def epoch_bar(
    total: int | None, *, metric: Metric | None, shown: bool | None
) -> Iterator[Callable[[Epoch], None]]:
    """A bar on stderr that is told of each epoch: epoch of `total`, loss, validation `metric`, time left. It
    begins anew, without a total, where the epochs do: with a refit. `shown`: at once, never, or (None) when
    the work has taken `PATIENCE` seconds; and never where nobody can watch, as stderr is neither a terminal
    nor of a notebook."""
    words = TextColumn("{task.description}")
    columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), words, TimeRemainingColumn())
    with _bar(columns, shown=shown) as bar:
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


@contextmanager
def count_bar(what: str, total: int | None, *, shown: bool | None) -> Iterator[Callable[[int, str], None]]:
    """The same for work in so many equal pieces: told how many more are done, and what is at work now. `what`
    the pieces are, in a word or two; without a `total` the bar says how long it has taken."""
    words = TextColumn("{task.description}")
    time = TimeElapsedColumn() if total is None else TimeRemainingColumn()
    counted = () if total is None else (MofNCompleteColumn(),)
    with _bar((TextColumn(what), *counted, BarColumn(), words, time), shown=shown) as bar:
        task = bar.add_task("", total=total)
        yield lambda more, now: bar.update(task, advance=more, description=now)


@contextmanager
def _bar(columns: tuple[ProgressColumn, ...], *, shown: bool | None) -> Iterator[Progress]:
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    if shown is False or not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        yield bar  # it was never started, so it shows nothing
        return
    later = Timer(PATIENCE, bar.start)
    later.daemon = True  # a process that is killed does not wait for it
    (bar if shown else later).start()
    try:
        yield bar
    finally:
        later.cancel()
        if not shown:
            later.join()  # it may be starting the bar right now
        bar.stop()
