"""How far a search is, for whoever watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from recsys_ae.cli.answer import tell
from recsys_ae.errors import visible
from recsys_ae.metrics import Metric
from recsys_ae.reporting.tables import figure_text
from recsys_ae.results.search import settings_text
from recsys_ae.results.trials import Trial
from recsys_ae.settings.configs import SearchConfig
from recsys_ae.types import Epoch


@contextmanager
def trial_bar(config: SearchConfig, *, metric: Metric, quiet: bool) -> Iterator[TrialBar]:
    """The trials of a search on stderr: a line for each, and on a terminal a bar with the best score so far
    and the time left."""
    columns = (TextColumn("trial"), MofNCompleteColumn(), BarColumn(20), TextColumn("{task.description}"))
    silent = quiet or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=silent, transient=True) as bar:
        bar.add_task("", total=config.trials)
        yield TrialBar(config, metric, None if silent else bar, quiet)


@dataclass(slots=True)
class TrialBar:
    """`bar`: None where there is none. `shown`: how many trials have their line, those of an earlier process
    too."""

    config: SearchConfig
    metric: Metric
    bar: Progress | None
    quiet: bool
    shown: int | None = None
    best: float | None = None
    finished: Sequence[Trial] = ()
    began: float = field(default_factory=monotonic)

    def trials(self, finished: Sequence[Trial]) -> None:
        """Told of all finished trials, before the first and after each."""
        self.finished, self.began = finished, monotonic()
        new = finished if self.shown is None else finished[self.shown :]
        if self.shown is None and finished:
            self._line(f"{len(finished)} trials were finished before; the search goes on")
        for number, trial in enumerate(new, (self.shown or 0) + 1):
            self._line(self._text(number, trial))
        self.shown = len(finished)
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=len(finished), description=self._state())

    def epoch(self, epoch: Epoch) -> None:
        """Told of each epoch of the trial under way, and of the fits after the last."""
        if self.bar is not None:
            last = len(self.finished) >= self.config.trials
            doing = f"epoch {epoch.number}" + (" of the best settings" if last else "")
            self.bar.update(self.bar.task_ids[0], description=f"{doing}  {self._state()}")

    def _text(self, number: int, trial: Trial) -> str:
        """A finished trial in a line."""
        if trial.score is None:
            how = f"failed: {trial.error}"
        else:
            how = f"{self.metric.key} {figure_text(self.metric.key, trial.score)}"
            if trial.pruned:
                how += f", ended after {trial.epochs_run} epochs"
            elif self._is_best(trial.score):
                self.best = trial.score
                how += ", the best so far"
        return f"trial {number}: {how} ({settings_text(trial.settings)})"

    def _is_best(self, score: float) -> bool:
        if self.best is None:
            return True
        return score > self.best if self.metric.higher_is_better else score < self.best

    def _state(self) -> str:
        best = "" if self.best is None else f"best {figure_text(self.metric.key, self.best)}  "
        return f"{best}{self._left()}"

    def _left(self) -> str:
        """The time that the trials to come will take, if they take as long as those before."""
        if not self.finished:
            return ""
        spent = sum(trial.seconds for trial in self.finished)
        left = spent / len(self.finished) * (self.config.trials - len(self.finished))
        if self.config.max_minutes is not None:
            left = min(left, 60 * self.config.max_minutes - spent)
        minutes, seconds = divmod(round(max(left - (monotonic() - self.began), 0.0)), 60)
        return f"{minutes}:{seconds:02} left"

    def _line(self, text: str) -> None:
        if self.bar is not None:
            self.bar.console.print(visible(text), markup=False, highlight=False)
        elif not self.quiet:
            tell(text, on=sys.stderr)
