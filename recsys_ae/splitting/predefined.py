"""Parts that someone else chose, and the split that holds nothing out."""

from __future__ import annotations

import numpy as np

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DataError
from recsys_ae.splitting.parts import split_of_ratings
from recsys_ae.splitting.split import Split
from recsys_ae.types import BoolVector


def predefined(ratings: Ratings, holdout_mask: BoolVector) -> Split:
    """The entries where `holdout_mask` (n_observed,), in the order of the matrix, is true are held out.

    Raises DataError where the mask does not fit or a part would be empty.
    """
    mask = np.asarray(holdout_mask)
    if mask.dtype != np.bool_ or mask.shape != (ratings.n_observed,):
        raise DataError(
            f"split 'predefined' needs one true or false for each of {ratings.n_observed} ratings, not "
            f"{mask.dtype} of shape {mask.shape}"
        )
    return split_of_ratings(ratings, mask, "predefined", 0)


def keep_all(ratings: Ratings) -> Split:
    """Everything is trained on and the holdout is empty. Raises DataError where there are no ratings."""
    if ratings.n_observed == 0:
        raise DataError("split 'all' has no ratings to train on; load more ratings, or loosen the filters")
    return Split(ratings, ratings, ratings.keep(np.zeros(ratings.n_observed, dtype=bool)), "all", 0)
