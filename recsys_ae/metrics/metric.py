"""A metric as a value, and the arrays that the functions of metrics read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, Literal, assert_never

import numpy as np

from recsys_ae.types import BoolVector, CountVector, FloatMatrix, FloatVector, PositionMatrix, PositionVector

Family = Literal["rating", "ranking", "beyond", "catalogue"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that reports give of a model, and all that is known of it: the only place that knows it.

    The family says what `function` reads and how its values become the figure.
    "rating": `Predictions` -> (m,) float64 error of each pair. The figure is the mean over all pairs, or its
    root where `rooted`. Reports keep each user's sum of errors in the column `error_sum`.
    "ranking" and "beyond": (`Judged`, cutoff) -> (b,) float64, NaN for a user for whom the metric is not
    defined. The figure is the mean over the other users.
    "catalogue": (n_items,) int64, how often each item is in the first `cutoff` places of all lists -> float,
    the figure itself.

    `cutoff`: how many places of a list count; None for ratings, and until `at` names one. `warm`: pairs with
    a cold user or a cold item are left out. `unit`: what the figure counts, in words.
    """

    name: str
    family: Family
    _: KW_ONLY
    higher_is_better: bool
    unit: str
    function: Callable[..., Any]
    error_sum: str = ""
    rooted: bool = False
    warm: bool = False
    cutoff: int | None = None

    @property
    def key(self) -> str:
        """The name in reports: "rmse", "rmse_warm", "ndcg_at_10"."""
        warm = "_warm" if self.warm else ""
        return f"{self.name}{warm}" if self.cutoff is None else f"{self.name}{warm}_at_{self.cutoff}"

    @property
    def label(self) -> str:
        """The name for people: "RMSE", "NDCG@10", "Hit rate@10"."""
        short = self.name.upper() if len(self.name) < 5 else self.name.replace("_", " ").capitalize()
        label = short if self.cutoff is None else f"{short}@{self.cutoff}"
        return f"{label} (warm)" if self.warm else label

    @property
    def needs(self) -> Literal["predicts_ratings", "ranks"]:
        """The property that a recommender must have for the metric to mean anything."""
        return "predicts_ratings" if self.family == "rating" else "ranks"

    @property
    def direction(self) -> str:
        """For labels: "lower is better" or "higher is better"."""
        return f"{'higher' if self.higher_is_better else 'lower'} is better"

    @property
    def most(self) -> float:
        """The highest figure that there can be: metrics of lists against the holdout are shares."""
        return 1.0 if self.family == "ranking" else math.inf

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a report that hold each user's sum and count, of which `figure` is made: the sum
        alone where every user with a value counts once, none where the figure is not made of users."""
        match self.family:
            case "rating":
                warm = "_warm" if self.warm else ""
                return self.error_sum + warm, f"n_predicted{warm}"
            case "ranking" | "beyond":
                return (self.key,)
            case "catalogue":
                return ()
            case _:
                assert_never(self.family)

    def at(self, cutoff: int) -> Metric:
        """The metric of the first `cutoff` places; metrics of ratings stay as they are."""
        return self if self.family == "rating" else replace(self, cutoff=cutoff)

    def figure(self, sums: Any, counts: Any) -> Any:
        """The figure of summed values and how many they are: numbers, or arrays of the same shape."""
        return (sums / counts) ** 0.5 if self.rooted else sums / counts

    def figure_of(self, values: FloatVector) -> float:
        """The figure of one value per pair or per user; NaN where there is none."""
        if self.family != "rating":
            values = values[~np.isnan(values)]
        return float(self.figure(values.sum(), len(values))) if len(values) else math.nan

    def is_better(self, score: float, than: float) -> bool:
        """Whether `score` is the better figure of the two; every number is better than NaN."""
        own, other = (sort_key(each, higher_is_better=self.higher_is_better) for each in (score, than))
        return own < other

    def best(self, scores: Sequence[float | None]) -> int | None:
        """Where the best score stands, the first of equal ones; None where none is a number."""
        keys = [sort_key(score, higher_is_better=self.higher_is_better) for score in scores]
        first = min(range(len(keys)), key=keys.__getitem__, default=None)
        return None if first is None or keys[first] == math.inf else first


def sort_key(value: float | None, *, higher_is_better: bool) -> float:
    """A number by which values sort best first, and what is no number last."""
    if value is None or math.isnan(value):
        return math.inf
    return -value if higher_is_better else value


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Predicted ratings beside the true ones, one row per holdout rating.

    `users`, `items`: (m,) int64 positions; `actual`, `predicted`: (m,) float32, rating units;
    `warm`: (m,) bool, true where neither the user nor the item is cold.
    """

    users: PositionVector
    items: PositionVector
    actual: FloatVector
    predicted: FloatVector
    warm: BoolVector

    def __len__(self) -> int:
        return len(self.actual)

    def warm_only(self) -> Predictions:
        """The pairs whose user and item are both known."""
        kept = self.warm
        return Predictions(
            self.users[kept], self.items[kept], self.actual[kept], self.predicted[kept], kept[kept]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Popularity:
    """How popular items are. `of_items`: (n_items,) float64, share of the `n_training_users` users who rated
    the item in training; `of_histories`: (n_users,) float64, mean popularity of the items in a user's
    history, NaN for none; `usual`: the mean of these over all evaluated users."""

    of_items: FloatVector
    n_training_users: int
    of_histories: FloatVector
    usual: float


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Ranked lists of one block of users, held against their holdout.

    `items`: (b, n) int64, best first, -1 = padding; `gains`: (b, n) float64, 0 = miss;
    `n_relevant`: (b,) int64, all relevant holdout items, listed or not;
    `ideal_gains`: (b, n) float64, the gains of the best possible list, descending;
    `popularity`: its `of_histories` are those of this block, (b,).
    """

    items: PositionMatrix
    gains: FloatMatrix
    n_relevant: CountVector
    ideal_gains: FloatMatrix
    popularity: Popularity
