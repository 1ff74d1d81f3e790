"""What lists are like apart from being right.

Novelty and popularity bias are figures of each user, NaN where nothing is recommended: means over the items
really recommended within the cutoff, not over the padding of a short list. Coverage and Gini are one figure
of all users, made of how often each item is recommended: (n_items,) for every item of the item map, cold ones
included.
"""

from __future__ import annotations

import numpy as np

from recsys_ae.metrics.metric import Judged, Metric
from recsys_ae.types import CountVector, FloatVector


def novelty(judged: Judged, *, cutoff: int) -> FloatVector:
    """(b,) mean self-information −log2(popularity) of the recommended items, in bits.

    Popularity is the share of training users who rated the item (Zhou et al., "Solving the apparent
    diversity-accuracy dilemma of recommender systems", PNAS 107(10), 2010). An item that nobody rated in
    training counts as rated by one user: as novel as the rarest known items, not infinitely so.
    """
    shares = np.maximum(judged.popularity.of_items, 1.0 / max(judged.popularity.n_training_users, 1))
    return _mean_of_recommended(judged, -np.log2(shares), cutoff)


def popularity_bias(judged: Judged, *, cutoff: int) -> FloatVector:
    """(b,) how much more popular the recommendations are than what the user rated, relative to what users
    usually rate: (mean popularity recommended − mean popularity in the history) / usual popularity.

    Its mean over users is ΔGAP = (GAP_r − GAP_p) / GAP_p of Abdollahpouri, Mansoury, Burke and Mobasher,
    "The unfairness of popularity bias in recommendation", RMSE workshop at RecSys 2019, with all evaluated
    users as the group: 0 = as popular as their histories, 1 = twice as popular. NaN for users without
    history.
    """
    popularity = judged.popularity
    if not popularity.usual > 0:
        return np.full(len(judged.items), np.nan)
    recommended = _mean_of_recommended(judged, popularity.of_items, cutoff)
    return (recommended - popularity.of_histories) / popularity.usual


def coverage(counts: CountVector) -> float:
    """Share of the catalogue recommended to at least one user.

    Ge, Delgado-Battenfeld and Jannach, "Beyond accuracy: evaluating recommender systems by coverage and
    serendipity", RecSys 2010. NaN for an empty catalogue.
    """
    return float((counts > 0).mean()) if len(counts) else float("nan")


def gini(counts: CountVector) -> float:
    """Gini index of how often items are recommended: 0 = all equally often, 1 = always the same single item.

    G = Σ_j (2j − n − 1) p_(j) / (n − 1) with the shares p sorted ascending (Shani and Gunawardana,
    "Evaluating recommendation systems", Recommender Systems Handbook, 2011). NaN where nothing is
    recommended or the catalogue has fewer than two items.
    """
    counts = np.sort(counts)
    n, total = len(counts), counts.sum()
    if n < 2 or total == 0:
        return float("nan")
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float((weights * counts).sum() / (total * (n - 1)))


def _mean_of_recommended(judged: Judged, values: FloatVector, cutoff: int) -> FloatVector:
    items = judged.items[:, :cutoff]
    listed = items >= 0
    total = np.where(listed, values[items], 0.0).sum(axis=1)
    count = listed.sum(axis=1)
    return np.divide(total, count, out=np.full(len(items), np.nan), where=count > 0)


BEYOND = (
    Metric("novelty", "beyond", higher_is_better=True, unit="bits", function=novelty),
    Metric(
        "popularity_bias", "beyond", higher_is_better=False, unit="share of the usual popularity",
        function=popularity_bias,
    ),
)  # fmt: skip
COVERAGE = Metric(
    "coverage", "catalogue", higher_is_better=True, unit="share of the catalogue", function=coverage
)
CATALOGUE = (
    COVERAGE,
    Metric("gini", "catalogue", higher_is_better=False, unit="inequality from 0 to 1", function=gini),
)
