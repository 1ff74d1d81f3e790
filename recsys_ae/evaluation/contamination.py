"""Whether a model may be tested on a split: not on what it has learnt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from recsys_ae.data.histories import Histories
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings, entry_rows
from recsys_ae.errors import DataError
from recsys_ae.evaluation.configs import EvaluationConfig
from recsys_ae.evaluation.evaluator import check_fits, evaluate
from recsys_ae.evaluation.report import Report, Status
from recsys_ae.recommender import Recommender
from recsys_ae.splitting.split import Split
from recsys_ae.types import Progress, unwatched

SEEN = "holdout_in_training"  # among the counts of a report


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What a model comes from: all ratings that it was fitted to or chosen by.

    `histories`: of its users; those at position -1 were only read, not learnt from. `items`: the columns of
    the histories. `data_fingerprint`: of the ratings that were split.
    """

    histories: Histories
    items: IdMap
    data_fingerprint: str

    @classmethod
    def of(cls, split: Split) -> Training:
        """What a model that is fitted to this split comes from."""
        return cls(split.histories(), split.train.items, split.data_fingerprint)

    def n_seen(self, holdout: Ratings) -> int:
        """How many of the holdout's pairs of user and item are among those of the training."""
        users = self.histories.users.positions(holdout.users.ids, missing="negative")
        items = self.items.positions(holdout.items.ids, missing="negative")
        rows, columns = users[holdout.rows()], items[holdout.columns]
        n_items, matrix = len(self.items), self.histories.matrix
        wanted = (rows * n_items + columns)[(rows >= 0) & (columns >= 0)]
        readers = entry_rows(matrix)
        known = (readers * n_items + matrix.indices)[self.histories.positions[readers] >= 0]
        return int(np.count_nonzero(np.isin(wanted, known)))

    def status_for(self, split: Split) -> tuple[Status, int]:
        """What a test on this split is worth, and how many of the holdout ratings the model has learnt from.
        One of them is enough: ratings of other data may be known, too."""
        n_seen = self.n_seen(split.holdout)
        if n_seen:
            return "contaminated", n_seen
        return ("clean" if split.data_fingerprint == self.data_fingerprint else "foreign"), 0


def evaluate_unless_seen(
    recommender: Recommender,
    split: Split,
    training: Training,
    config: EvaluationConfig | None = None,
    *,
    anyway: bool = False,
    on_tested: Progress = unwatched,
) -> Report:
    """The report of `evaluate`, with its status and, among the counts, how many holdout ratings the model has
    learnt from.

    Raises DataError where the model knows other users or items than the split, and where the status is not
    "clean", unless the test is wanted `anyway`.
    """
    check_fits(recommender, split)
    status, n_seen = training.status_for(split)
    if not anyway and status == "contaminated":
        raise DataError(
            f"{n_seen} of {split.holdout.n_observed} holdout ratings of this split are among those that the "
            "model was trained on, so that a test says too much; train a model on this split, or evaluate "
            "anyway (--anyway, anyway=True) and have the report marked as contaminated"
        )
    if not anyway and status == "foreign":
        raise DataError(
            "the ratings are not those that the model was trained on (other fingerprint); put the old file "
            "back, train again, or evaluate anyway (--anyway, anyway=True) and have the report marked as "
            "foreign"
        )
    report = evaluate(recommender, split, config, on_tested=on_tested)
    return replace(report, status=status, counts={**report.counts, SEEN: n_seen})
