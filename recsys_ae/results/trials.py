"""What a model was chosen by: validation scores of all that was tried, and what they leave open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import log
from typing import Any, Literal

from recsys_ae.metrics import Metric

Edge = Literal["lowest", "highest", "low end", "high end"]
_NEAR = 0.05  # of a range: a search rarely chooses its very end


_AT_EDGE: dict[Edge, str] = {
    "lowest": "the lowest that was tried",
    "highest": "the highest that was tried",
    "low end": "at the low end of its range",
    "high end": "at the high end of its range",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One fit to a part of the training ratings, scored on the rest of them.

    `settings`: in which it differs from the other trials. `score`: in the units of its metric; None where it
    failed, as `error` says. `seconds`: of fitting and scoring. `epochs_run`: 0 for a model without epochs;
    `best_epoch`: the one that was kept. `at_last_epoch`: it ended because no more epochs were allowed.
    `pruned`: it ended early, as its curve fell behind those of the others; `score` is its best until then.
    """

    settings: dict[str, Any]
    score: float | None
    seconds: float
    epochs_run: int = 0
    best_epoch: int | None = None
    at_last_epoch: bool = False
    error: str | None = None
    pruned: bool = False

    @property
    def ended(self) -> Literal["finished", "pruned", "failed"]:
        return "failed" if self.score is None else "pruned" if self.pruned else "finished"

    @property
    def is_untrained(self) -> bool:
        """Whether the state before all training was kept, though there were epochs after it."""
        return self.best_epoch == 0 and self.epochs_run > 0


@dataclass(frozen=True, slots=True)
class Validation:
    """All trials in their order. `metric`: the key of what they are scored by; `chosen`: which of them won;
    `edges`: of its settings those at an edge of their grid, see `edges_of`, or near an end of their range.
    `importances`: how much each searched setting decided which trials were among the best, as shares of 1;
    empty where that is not known. `also`: what the winner reaches on the same ratings by other metrics, which
    chose nothing here: so that models that were chosen by different ones can be told apart."""

    metric: str
    trials: tuple[Trial, ...]
    chosen: int = 0
    edges: dict[str, Edge] = field(default_factory=dict)
    importances: dict[str, float] = field(default_factory=dict)
    also: dict[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Validation({len(self.trials)} trials, {self.metric} {self.score} of trial {self.chosen + 1})"

    @property
    def winner(self) -> Trial:
        return self.trials[self.chosen]

    @property
    def score(self) -> float | None:
        """The validation score of the winner."""
        return self.winner.score

    def scores(self) -> dict[str, float]:
        """Metric -> validation score of the winner, first by that which chose it, as far as there are any."""
        return ({} if self.score is None else {self.metric: self.score}) | self.also

    @property
    def seconds(self) -> float:
        """What all trials took together."""
        return sum(trial.seconds for trial in self.trials)

    def to_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "score": self.score,
            "also": self.also,
            "settings": self.winner.settings,
            "edges": self.edges,
            "importances": self.importances,
            "at_last_epoch": self.winner.at_last_epoch,
            "chosen": self.chosen,
            "trials": [asdict(trial) for trial in self.trials],
        }

    def remarks(self) -> list[str]:
        """What the choice leaves open, in words."""
        scored = [trial for trial in self.trials if trial.score is not None]
        tied = [trial.settings for trial in scored if trial.score == self.score]
        found = [
            f"{name} {self.winner.settings[name]} is {_AT_EDGE[edge]}"
            for name, edge in self.edges.items()
            if all(other[name] == self.winner.settings[name] for other in tied)  # a tie says nothing of edges
        ]
        if len(scored) == len(tied) > 1:
            found.append(f"all {len(tied)} settings that were tried scored the same")
        if self.winner.is_untrained:
            found.append("kept epoch 0: what training begins with")
        if self.winner.at_last_epoch:
            last, best = self.winner.epochs_run, self.winner.best_epoch
            found.append(f"training ended at the last allowed epoch, {last}, and the best was {best}")
        return found


def best_of(trials: Sequence[Trial], metric: Metric) -> int | None:
    """The place of the first of the best trials that came to their end, or of the first of these where no
    score is a number; None where none has a score."""
    scores = {place: t.score for place, t in enumerate(trials) if t.score is not None and not t.pruned}
    best = metric.best(list(scores.values()))
    return next(iter(scores), None) if best is None else list(scores)[best]


def edges_of(grid: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]) -> dict[str, Edge]:
    """The chosen settings beyond which a better value may lie: the lowest or highest number of their grid.

    A list of one number counts as this number. Grids with anything else in them have no order and so no edge;
    a single value is no grid. Of two values one is always at an edge, and that is said too: they cannot show
    that the best lies between them.
    """
    found: dict[str, Edge] = {}
    for name, values in grid.items():
        numbers = [number_of(value) for value in values]
        known = [number for number in numbers if number is not None]
        chosen = number_of(settings[name])
        if chosen is None or len(known) < len(numbers) or len(set(known)) < 2:
            continue
        if chosen == min(known):
            found[name] = "lowest"
        elif chosen == max(known):
            found[name] = "highest"
    return found


def end_of_range(value: Any, low: float, high: float, *, is_log: bool) -> Edge | None:
    """Whether a value chosen from a range lies in the twentieth of it next to an end, beyond which a better
    one may lie. `is_log`: by ratios, not by differences."""
    number = number_of(value)
    if number is None:
        return None
    if is_log:
        number, low, high = log(number), log(low), log(high)
    share = (number - low) / (high - low)
    if _NEAR < share < 1 - _NEAR:
        return None
    return "low end" if share <= _NEAR else "high end"


def number_of(value: Any) -> float | None:
    """A setting as a number, a list of one number as this; None where it is something else."""
    if isinstance(value, list | tuple) and len(value) == 1:
        (value,) = value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
