"""How far long work is, for whoever watches: one line on stderr, which is gone afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from statistics import mean
from threading import Timer
from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from recsys_ae.errors import visible
from recsys_ae.metrics import Metric
from recsys_ae.reporting.tables import figure_text
from recsys_ae.types import Epoch

PATIENCE = 2.0  # seconds after which people wonder whether anything happens at all
Left = Callable[[], float | None]  # the seconds that work will still take; None where that is not known


@contextmanager
def watched(*, shown: bool | None) -> Iterator[Line]:
    """The line, which is empty until something is shown on it. `shown`: at once, never, or (None) when the
    work has taken `PATIENCE` seconds; and never where nobody can watch, as stderr is neither a terminal nor
    of a notebook."""
    words = ("{task.fields[what]}", "{task.fields[count]}", "{task.description}")
    what, count, doing = (TextColumn(each, markup=False) for each in words)
    console = Console(stderr=True)
    bar = Progress(what, count, BarColumn(20), _Time(), doing, console=console, transient=True)
    line = Line(bar)
    if shown is False or not can_watch():
        yield line  # the bar was never started, so it shows nothing
        return
    later = Timer(PATIENCE, bar.start)
    later.daemon = True  # a process that is killed does not wait for it
    (bar if shown else later).start()
    try:
        yield line
    finally:
        later.cancel()
        if not shown:
            later.join()  # it may be starting the bar right now
        bar.stop()


def can_watch() -> bool:
    """Whether stderr is a terminal, or of a notebook, which shows no line without ipywidgets."""
    return sys.stderr.isatty() or ("ipykernel" in sys.modules and find_spec("ipywidgets") is not None)


@contextmanager
def epoch_bar(
    total: int | None, *, metric: Metric | None, shown: bool | None
) -> Iterator[Callable[[Epoch], None]]:
    """A line that is told of each epoch, see `Line.epochs`. `shown`: see `watched`."""
    with watched(shown=shown) as line:
        line.show("fitting")
        yield line.epochs(total, metric)


@contextmanager
def count_bar(what: str, total: int | None, *, shown: bool | None) -> Iterator[Callable[[int, str], None]]:
    """A line for work in so many equal pieces: told how many more are done, and what is at work now. `what`
    the pieces are, in a word or two; without a `total` the line says how long it has taken. `shown`: see
    `watched`."""
    done = 0
    with watched(shown=shown) as line:
        line.show(what, 0, total)

        def show(more: int, now: str) -> None:
            nonlocal done
            done += more
            line.show(what, done, total, words=now)

        yield show


@dataclass(slots=True)
class Line:
    """One line on a terminal: what is at work, how much of it is done, how long the rest will take."""

    _bar: Progress
    _task: TaskID | None = None

    def show(
        self,
        what: str,
        done: float | None = None,
        total: float | None = None,
        *,
        count: str | None = None,
        words: str = "",
        left: Left | None = None,
    ) -> None:
        """Put another text on the line. `what` is at work, of which so much is `done`; `count` says so, None:
        in these very numbers; `words` tell more of it. `left`: None takes it from the pace so far."""
        if count is None:
            count = "" if done is None else f"{done:,.0f}" + ("" if total is None else f"/{total:,.0f}")
        fields: dict[str, Any] = {"what": what, "count": count, "left": left}
        done, shown = done or 0, next(iter(self._bar.tasks), None)
        if shown is None or (shown.fields["what"], shown.total) != (what, total) or done < shown.completed:
            if self._task is not None:
                self._bar.remove_task(self._task)  # the pace of other work says nothing of this
            self._task = self._bar.add_task(visible(words), total=total, **fields)
        assert self._task is not None
        self._bar.update(self._task, completed=done, description=visible(words), **fields)

    def epochs(self, total: int | None, metric: Metric | None) -> Callable[[Epoch], None]:
        """What shows epochs: epoch of `total`, time left, loss and validation `metric`. They begin anew,
        without a total, with a refit."""
        last = 0

        def show(epoch: Epoch) -> None:
            nonlocal last, total
            if 0 < epoch.number <= last:
                total = None
            last = epoch.number
            losses = epoch.terms if epoch.total is None else {"loss": epoch.total}
            text = "  ".join(f"{name} {value:.4f}" for name, value in losses.items())
            if metric is not None and epoch.score is not None:
                text += f"  validation {metric.key} {figure_text(metric.key, epoch.score)}"
            self.show("epoch", epoch.number, total, words=text)

        return show

    def reading(self, done: int, total: int) -> None:
        """Show how many bytes have been read. When all are, there is more to do before the first epoch."""
        self._bytes("reading", done, total)
        if done >= total:
            self.show("preparing", words="ratings, and what works on them")

    def downloading(self, done: int, total: int) -> None:
        """Show how many bytes have come; a `total` of 0 is not known."""
        self._bytes("downloading", done, total)

    def testing(self, done: int, total: int) -> None:
        """Show how many users are tested."""
        self.show("testing", done, total, words="users")

    def listing(self, done: int, total: int) -> None:
        """Show how many users have their lists, and how many get theirs in a second."""
        pace = next((task.speed for task in self._bar.tasks if task.fields["what"] == "users"), None)
        self.show("users", done, total, words=f"{pace:,.0f} users/s" if pace else "")

    def comparing(self, done: int, total: int) -> None:
        """Show how many items have been compared with the others."""
        self.show("items", done, total)

    def _bytes(self, what: str, done: int, total: int) -> None:
        unit, size = ("kB", 1e3) if 0 < total < 1e6 else ("MB", 1e6)
        of_all = f"/{total / size:.1f}" if total else ""
        self.show(what, done, total or None, count=f"{done / size:.1f}{of_all} {unit}")

    def print(self, text: str) -> None:
        """A line that stays, above this one."""
        self._bar.console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Planned:
    """One run of a benchmark: a model and a seed. `trials`: how many settings of it are tried, before the
    best of them are fitted again."""

    name: str
    seed: int
    trials: int = 1

    @property
    def title(self) -> str:
        return f"{self.name}, seed {self.seed}"

    @property
    def fits(self) -> int:
        return self.trials + 1


@dataclass(slots=True)
class RunBar:
    """How far a benchmark is: told of its runs, of their trials and of their epochs, as each comes."""

    line: Line
    plan: Sequence[Planned]
    pace: Pace = field(init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self.plan)

    def run(self, run: Planned) -> None:
        """A run begins; those before it in the plan are done, or will not be."""
        self.pace.run(self.plan.index(run))
        self._show("")

    def trials(self, finished: Sequence[object]) -> None:
        """So many trials of the run are finished."""
        self.pace.fitted(len(finished))
        self._show("")

    def epoch(self, epoch: Epoch) -> None:
        self._show(f"epoch {epoch.number}")

    def testing(self, done: int, total: int) -> None:
        self._show(f"testing {done:,}/{total:,} users")

    def _show(self, doing: str) -> None:
        if self.pace.at < 0:
            return
        run, done = self.plan[self.pace.at], self.pace.fits
        which = f"trial {done + 1}/{run.trials}" if run.trials > 1 else ""
        parts = (run.title, which if done < run.trials else "last fit", doing)
        self.line.show(
            "run",
            sum(each.fits for each in self.plan[: self.pace.at]) + min(done, run.fits),
            sum(each.fits for each in self.plan),
            count=f"{self.pace.at + 1}/{len(self.plan)}",
            words=", ".join(filter(None, parts)),
            left=self.pace.left,
        )


@contextmanager
def run_bar(plan: Sequence[Planned], *, shown: bool | None) -> Iterator[RunBar]:
    """A line for a benchmark with these runs, in their order. `shown`: see `watched`."""
    with watched(shown=shown) as line:
        line.show("preparing")
        yield RunBar(line, plan)


@dataclass(slots=True)
class Pace:
    """How long planned runs will take, by how long others have taken.

    A run is as many fits as it tries settings, and one. A model's fits are taken to last as long as those of
    its that are done; those of a model of which none is done as long as the others do, on average. `at`: the
    run at work, `fits`: how many of its fits are done, `since`: when it began, `last`: when the last of them
    was done.
    """

    plan: Sequence[Planned]
    clock: Callable[[], float] = monotonic
    at: int = -1
    fits: int = 0
    since: float = 0.0
    last: float = 0.0
    done: dict[str, list[float]] = field(default_factory=dict)  # seconds for a fit, of each finished run

    def run(self, at: int) -> None:
        """The run at this place of the plan begins, and the one before it has ended."""
        now = self.clock()
        if self.at >= 0:
            run = self.plan[self.at]
            self.done.setdefault(run.name, []).append((now - self.since) / run.fits)
        self.at, self.fits, self.since, self.last = at, 0, now, now

    def fitted(self, n: int) -> None:
        """`n` fits of the run are done. With 0 the first is about to begin; the time before, in which
        libraries were loaded, is not counted."""
        if n == 0:
            self.since = self.last = self.clock()
        elif n > self.fits:
            self.fits, self.last = n, self.clock()

    def left(self) -> float | None:
        """Seconds until the last run ends, above 0; None as long as nothing is done to tell by."""
        known = {name: mean(seconds) for name, seconds in self.done.items()}
        if self.at < 0 or not (known or self.fits):
            return None
        run, waited = self.plan[self.at], self.clock() - self.last
        if self.fits:
            known[run.name] = (self.last - self.since) / self.fits
        usual = mean(known.values())
        own = max(known.get(run.name, usual), waited)  # it has taken longer than was thought
        known[run.name] = own
        rest = sum(known.get(each.name, usual) * each.fits for each in self.plan[self.at + 1 :])
        left = max(run.fits - self.fits, 0) * own - waited + rest
        return left if left > 0 else None


def left_text(seconds: float) -> str:
    """Such as "3:05 left"."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{rest:02} left"


class _Time(ProgressColumn):
    """The time left, where it is known; of work without an end in sight the time so far."""

    def render(self, task: Task) -> Text:
        tell: Left | None = task.fields["left"]
        if tell is None and task.total is None:
            seconds = round(task.elapsed or 0)
            return Text(f"{seconds // 60}:{seconds % 60:02}")
        seconds_left = task.time_remaining if tell is None else tell()
        return Text("" if seconds_left is None else left_text(seconds_left))
