"""What counts as a hit in a ranked list."""

from __future__ import annotations

from typing import Literal

import numpy as np

from recsys_ae.data.ratings import Ratings


def resolve_relevance(rule: float | Literal["all"] | None, train: Ratings) -> float | None:
    """The least holdout rating that counts as a hit; None: every one does.

    `rule`: that of `EvaluationConfig`. None takes, of explicit ratings, the lowest value that at most 40 % of
    the training ratings reach; where more than that have the highest value, the highest; of implicit feedback
    everything, but no counts of 0 where there are some: the least one above. The rule has no unit: it follows
    whatever the ratings are multiplied by or shifted by. Only training ratings are read. The answer is the
    shortest decimal number of the value in 32 bits.
    """
    if rule == "all":
        return None
    if rule is not None:
        return _shortest(rule)
    if train.feedback != "ratings" or train.n_observed == 0:
        counted = train.values[train.values > 0]
        return (
            _shortest(counted.min())
            if train.feedback == "counts" and 0 < len(counted) < train.n_observed
            else None
        )
    values, counts = np.unique(train.values, return_counts=True)
    reached = counts[::-1].cumsum()[::-1]  # by how many ratings each value is reached
    few = 5 * reached <= 2 * train.n_observed  # at most 40 %, in whole numbers
    return _shortest(values[few][0] if few.any() else values[-1])


def relevant_part(holdout: Ratings, least: float | None) -> Ratings:
    """The holdout ratings that count as hits: those of at least `least`, None: all."""
    return holdout if least is None else holdout.keep(holdout.values >= np.float32(least))


def _shortest(value: float | np.float32) -> float:
    return float(str(np.float32(value)))
