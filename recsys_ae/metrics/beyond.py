"""What a list is like apart from being right. Per user; NaN where nothing is recommended.

Means run over the items really recommended within the cutoff, not over the padding of a short list.
"""

from __future__ import annotations

import numpy as np

from recsys_ae.metrics.metric import Judged, Metric
from recsys_ae.types import FloatVector


def novelty(judged: Judged, *, cutoff: int) -> FloatVector:
    """(b,) mean self-information −log2(popularity) of the recommended items, in bits.

    Popularity is the share of training users who rated the item (Zhou et al., "Solving the apparent
    diversity-accuracy dilemma of recommender systems", PNAS 107(10), 2010). An item that nobody rated in
    training counts as rated by one user: as novel as the rarest known items, not infinitely so.
    """
    shares = np.maximum(judged.popularity, 1.0 / max(judged.n_training_users, 1))
    return _mean_of_recommended(judged, -np.log2(shares), cutoff)


def popularity_bias(judged: Judged, *, cutoff: int) -> FloatVector:
    """(b,) how much more popular the recommendations are than what the user rated, relative to what users
    usually rate: (mean popularity recommended − mean popularity in the history) / `usual_popularity`.

    Its mean over users is ΔGAP = (GAP_r − GAP_p) / GAP_p of Abdollahpouri, Mansoury, Burke and Mobasher,
    "The unfairness of popularity bias in recommendation", RMSE workshop at RecSys 2019, with all evaluated
    users as the group: 0 = as popular as their histories, 1 = twice as popular. NaN for users without
    history.
    """
    if not judged.usual_popularity > 0:
        return np.full(len(judged.items), np.nan)
    recommended = _mean_of_recommended(judged, judged.popularity, cutoff)
    return (recommended - judged.history_popularity) / judged.usual_popularity


def _mean_of_recommended(judged: Judged, values: FloatVector, cutoff: int) -> FloatVector:
    items = judged.items[:, :cutoff]
    listed = items >= 0
    total = np.where(listed, values[items], 0.0).sum(axis=1)
    count = listed.sum(axis=1)
    return np.divide(total, count, out=np.full(len(items), np.nan), where=count > 0)


BEYOND = (
    Metric("novelty", "beyond", higher_is_better=True, unit="bits", function=novelty),
    Metric(
        "popularity_bias",
        "beyond",
        higher_is_better=False,
        unit="share of the usual popularity",
        function=popularity_bias,
    ),
)
