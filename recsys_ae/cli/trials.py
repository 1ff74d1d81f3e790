"""How far a search is, for whoever watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from recsys_ae.cli.answer import tell
from recsys_ae.errors import counted
from recsys_ae.metrics import Metric
from recsys_ae.reporting.progress import Line, can_watch, watched
from recsys_ae.reporting.tables import figure_text
from recsys_ae.results.search import settings_text
from recsys_ae.results.trials import Trial, best_of
from recsys_ae.settings.configs import SearchConfig
from recsys_ae.types import Epoch


@contextmanager
def trial_bar(config: SearchConfig, *, metric: Metric, quiet: bool) -> Iterator[TrialBar]:
    """The trials of a search on stderr: a line for each, and on a terminal a bar with the best score so far
    and the time left."""
    with watched(shown=not quiet) as line:
        yield TrialBar(config, metric, line, quiet)


@dataclass(slots=True)
class TrialBar:
    """`shown`: how many trials have their line, those of an earlier process too."""

    config: SearchConfig
    metric: Metric
    line: Line
    quiet: bool
    shown: int | None = None
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
        self._show("")

    def epoch(self, epoch: Epoch) -> None:
        """Told of each epoch of the trial under way, and of the fits after the last."""
        last = len(self.finished) >= self.config.trials
        self._show(f"epoch {epoch.number}" + (" of the best settings" if last else ""))

    def _show(self, doing: str) -> None:
        best = best_of(self.finished, self.metric)
        score = None if best is None else self.finished[best].score
        told = "" if score is None else f"best {figure_text(self.metric.key, score)}"
        words = "  ".join(filter(None, (doing, told)))
        self.line.show("trial", len(self.finished), self.config.trials, words=words, left=self._left)

    def _text(self, number: int, trial: Trial) -> str:
        """A finished trial in a line."""
        if trial.score is None:
            how = f"failed: {trial.error}"
        else:
            how = f"{self.metric.key} {figure_text(self.metric.key, trial.score)}"
            if trial.pruned:
                how += f", ended after {counted(trial.epochs_run, 'epoch')}"
            elif best_of(self.finished[:number], self.metric) == number - 1:
                how += ", the best so far"
        return f"trial {number}: {how} ({settings_text(trial.settings)})"

    def _left(self) -> float | None:
        """The seconds that the trials to come will take, if they take as long as those before; None where
        none of them tells, and where they have taken longer."""
        if not self.finished:
            return None
        spent = sum(trial.seconds for trial in self.finished)
        left = spent / len(self.finished) * (self.config.trials - len(self.finished))
        if self.config.max_minutes is not None:
            left = min(left, 60 * self.config.max_minutes - spent)
        left -= monotonic() - self.began
        return left if left > 0 else None

    def _line(self, text: str) -> None:
        if self.quiet:
            return
        if can_watch():
            self.line.print(text)
        else:
            tell(text, on=sys.stderr)
