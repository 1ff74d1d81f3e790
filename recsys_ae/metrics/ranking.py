"""How well the first `cutoff` places of a user's list find the relevant holdout items.

Each function is (Judged, cutoff) -> (b,) float64, NaN where a user has no relevant holdout item. A list
shorter than the cutoff is read as if the rest were misses. A place is a hit where its gain is positive.

Sources: Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 2008, chapter 8 (precision,
recall, average precision); Voorhees, "The TREC-8 question answering track report", 1999 (reciprocal rank);
Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002 (NDCG).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recsys_ae.metrics.metric import Judged, Metric
from recsys_ae.types import FloatMatrix, FloatVector

BoolMatrix = NDArray[np.bool_]


def precision(judged: Judged, *, cutoff: int) -> FloatVector:
    """Hits / cutoff, also where the list is shorter than the cutoff."""
    return _defined(judged, _n_hits(judged, cutoff) / cutoff)


def recall(judged: Judged, *, cutoff: int) -> FloatVector:
    """Hits / number of relevant holdout items: below 1 for a user with more of them than the cutoff.

    Liang et al. 2018 divide by min(cutoff, relevant items) instead: their figures are higher.
    """
    return _defined(judged, _n_hits(judged, cutoff) / np.maximum(judged.n_relevant, 1))


def hit_rate(judged: Judged, *, cutoff: int) -> FloatVector:
    """1 if at least one place is a hit, else 0."""
    return _defined(judged, np.minimum(_n_hits(judged, cutoff), 1.0))


def average_precision(judged: Judged, *, cutoff: int) -> FloatVector:
    """Sum of precision at each hit's place / min(relevant items, cutoff); its mean over users is MAP.

    With this denominator a perfect list scores 1 at any cutoff; trec_eval and ranx divide by the number
    of relevant items.
    """
    hits = _hits(judged, cutoff)
    places = np.arange(1, hits.shape[1] + 1)
    total = (hits * np.cumsum(hits, axis=1) / places).sum(axis=1)
    return _defined(judged, total / np.clip(judged.n_relevant, 1, cutoff))


def reciprocal_rank(judged: Judged, *, cutoff: int) -> FloatVector:
    """1 / place of the first hit, 0 where there is none; its mean over users is MRR."""
    hits = _hits(judged, cutoff)
    if hits.shape[1] == 0:
        return _defined(judged, np.zeros(len(hits)))
    first = hits.argmax(axis=1)
    return _defined(judged, np.where(hits.any(axis=1), 1.0 / (first + 1), 0.0))


def ndcg(judged: Judged, *, cutoff: int) -> FloatVector:
    """DCG / ideal DCG, both over the first `cutoff` places, where DCG = Σ gain / log2(place + 1).

    The gain counts as it is (with binary gains the same as 2^gain − 1).
    """
    ideal = _dcg(judged.ideal_gains[:, :cutoff])
    found = _dcg(judged.gains[:, :cutoff])
    return _defined(judged, np.divide(found, ideal, out=np.zeros_like(found), where=ideal > 0))


def _hits(judged: Judged, cutoff: int) -> BoolMatrix:
    return judged.gains[:, :cutoff] > 0


def _n_hits(judged: Judged, cutoff: int) -> FloatVector:
    return _hits(judged, cutoff).sum(axis=1, dtype=np.float64)


def _dcg(gains: FloatMatrix) -> FloatVector:
    discounts = 1.0 / np.log2(np.arange(2, gains.shape[1] + 2))
    return (gains * discounts).sum(axis=1)  # not a BLAS product: its rounding depends on the number of rows


def _defined(judged: Judged, values: FloatVector) -> FloatVector:
    return np.where(judged.n_relevant > 0, values, np.nan)


NDCG = Metric("ndcg", "ranking", higher_is_better=True, unit="share of the best gain", function=ndcg)
RECALL = Metric("recall", "ranking", higher_is_better=True, unit="share of relevant items", function=recall)
RANKING = (
    Metric("precision", "ranking", higher_is_better=True, unit="share of the places", function=precision),
    RECALL,
    Metric("hit_rate", "ranking", higher_is_better=True, unit="share of the users", function=hit_rate),
    Metric("map", "ranking", higher_is_better=True, unit="precision at hits", function=average_precision),
    Metric("mrr", "ranking", higher_is_better=True, unit="1 / place of first hit", function=reciprocal_rank),
    NDCG,
)
