"""What a model was chosen by: validation scores of all that was tried, and what they leave open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Edge = Literal["lowest", "highest"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One fit to a part of the training ratings, scored on the rest of them.

    `settings`: in which it differs from the other trials. `score`: in the units of its metric; None where it
    failed, as `error` says. `seconds`: of fitting and scoring. `epochs_run`: 0 for a model without epochs;
    `best_epoch`: the one that was kept. `at_last_epoch`: it ended because no more epochs were allowed.
    """

    settings: dict[str, Any]
    score: float | None
    seconds: float
    epochs_run: int = 0
    best_epoch: int | None = None
    at_last_epoch: bool = False
    error: str | None = None

    @property
    def is_untrained(self) -> bool:
        """Whether the state before all training was kept, though there were epochs after it."""
        return self.best_epoch == 0 and self.epochs_run > 0


@dataclass(frozen=True, slots=True)
class Validation:
    """All trials in their order. `metric`: the key of what they are scored by; `chosen`: which of them won;
    `edges`: of its settings those at an edge of their grid, see `edges_of`."""

    metric: str
    trials: tuple[Trial, ...]
    chosen: int = 0
    edges: dict[str, Edge] = field(default_factory=dict)

    @property
    def winner(self) -> Trial:
        return self.trials[self.chosen]

    @property
    def score(self) -> float | None:
        """The validation score of the winner."""
        return self.winner.score

    @property
    def seconds(self) -> float:
        """What all trials took together."""
        return sum(trial.seconds for trial in self.trials)

    def to_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "score": self.score,
            "settings": self.winner.settings,
            "edges": self.edges,
            "at_last_epoch": self.winner.at_last_epoch,
            "chosen": self.chosen,
            "trials": [asdict(trial) for trial in self.trials],
        }

    def remarks(self) -> list[str]:
        """What the choice leaves open, in words."""
        found = [
            f"{name} {self.winner.settings[name]} is the {edge} that was tried"
            for name, edge in self.edges.items()
        ]
        if self.winner.is_untrained:
            found.append("kept epoch 0: what training begins with")
        if self.winner.at_last_epoch:
            last, best = self.winner.epochs_run, self.winner.best_epoch
            found.append(f"training ended at the last allowed epoch, {last}, and the best was {best}")
        return found


def edges_of(grid: Mapping[str, Sequence[Any]], settings: Mapping[str, Any]) -> dict[str, Edge]:
    """The chosen settings beyond which a better value may lie: the lowest or highest number of their grid.

    A list of one number counts as this number. Grids with anything else in them have no order and so no edge;
    a single value is no grid. Of two values one is always at an edge, and that is said too: they cannot show
    that the best lies between them.
    """
    found: dict[str, Edge] = {}
    for name, values in grid.items():
        numbers = [_number(value) for value in values]
        known = [number for number in numbers if number is not None]
        chosen = _number(settings[name])
        if chosen is None or len(known) < len(numbers) or len(set(known)) < 2:
            continue
        if chosen == min(known):
            found[name] = "lowest"
        elif chosen == max(known):
            found[name] = "highest"
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, list | tuple) and len(value) == 1:
        (value,) = value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
