"""Names for array shapes, and the few values that travel between rooms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

PositionVector = NDArray[np.int64]
PositionMatrix = NDArray[np.int64]
CountVector = NDArray[np.int64]
FloatVector = NDArray[np.float32] | NDArray[np.float64]
FloatMatrix = NDArray[np.float32] | NDArray[np.float64]
BoolVector = NDArray[np.bool_]
IdVector = NDArray[Any]  # one-dimensional, of str objects or int64
Progress = Callable[[int, int], None]  # told how much is done, of how much


def unwatched(done: int, total: int) -> None:
    """Be told of progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Mean:
    """An average on its way: kept as sum and count so that it is divided once, where it is reported."""

    sum: Any  # float, or a 0-d tensor while the gradient is still needed
    count: float

    def __add__(self, other: Mean) -> Mean:
        return Mean(self.sum + other.sum, self.count + other.count)

    @property
    def value(self) -> Any:
        return self.sum / self.count


Terms = dict[str, Mean]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training rows.

    `terms`: the mean of each term of the objective. `total`: what training minimises, penalties included, for
    each observed entry: the same thing for every model; None where a library does not tell it. `seconds`:
    wall time. `score`: the validation figure where one was computed, in its own units. `measures`: what was
    seen and nothing minimises, such as how sparse the codes were.
    """

    number: int
    terms: dict[str, float]
    total: float | None
    seconds: float
    n_steps: int
    score: float | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
