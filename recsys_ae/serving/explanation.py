"""Why a model scores an item as it does: what each rating of the history adds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from recsys_ae.data.histories import UserBatch, blocks_of
from recsys_ae.data.ids import IdMap
from recsys_ae.errors import CapabilityError
from recsys_ae.recommender import Recommender
from recsys_ae.types import FloatVector, PositionVector


def contributions(recommender: Recommender, batch: UserBatch, place: int) -> FloatVector:
    """(m,) float64: by how much the score of the item at `place` falls when one rating is left out of the
    history of a user (a batch of one), for each of its m entries, in their order.

    Every score is one of the folded-in history, so that of a model that knows the user by trained factors it
    may differ a little from the score in lists. The answer is exact for any model that folds in; as such
    models are not additive, the contributions need not add up to the score. It takes one score of the whole
    catalogue for each entry, a block at a time.

    Raises CapabilityError for a model that does not fold in.
    """
    if not recommender.folds_in:
        raise CapabilityError(
            "this model does not read histories, so that nothing in them explains a score; choose a model "
            "that folds in (u-autorec, i-autorec, ease, item-knn)"
        )
    unseen = np.array([-1])
    whole = recommender.score(UserBatch(unseen, batch.history, batch.timestamps))[0, place]
    left_out = np.arange(len(batch.history.data))
    longest = max(len(left_out), len(recommender.items))
    scores = [recommender.score(_without(batch, block))[:, place] for block in blocks_of(left_out, longest)]
    return np.float64(whole) - np.concatenate([np.empty(0), *scores])


def explanation(batch: UserBatch, found: FloatVector, *, items: IdMap, n: int) -> pd.DataFrame:
    """The `n` entries of the history that contribute most, the first of equal ones first: columns item,
    rating, contribution."""
    best = np.argsort(-found, kind="stable")[:n]
    return pd.DataFrame(
        {
            "item": items.ids[batch.history.indices[best]],
            "rating": batch.history.data[best],
            "contribution": found[best],
        }
    )


def _without(batch: UserBatch, left_out: PositionVector) -> UserBatch:
    """The user of a batch of one as b users whom training has not seen; from the history of the j-th the
    entry at left_out[j] is missing."""
    b, m = len(left_out), len(batch.history.data)
    kept = np.arange(m) != left_out[:, None]
    columns, values = (np.broadcast_to(a, (b, m))[kept] for a in (batch.history.indices, batch.history.data))
    starts = np.arange(b + 1) * (m - 1)
    times = None if batch.timestamps is None else np.broadcast_to(batch.timestamps, (b, m))[kept]
    history = csr_array((values, columns, starts), shape=(b, batch.history.shape[1]))
    return UserBatch(np.full(b, -1), history, times)
