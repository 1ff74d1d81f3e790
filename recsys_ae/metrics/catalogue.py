"""How recommendations spread over the catalogue: one number for all users.

The catalogue is every item of the item map, cold ones included.
"""

from __future__ import annotations

import numpy as np

from recsys_ae.metrics.metric import Exposure, Metric


def coverage(exposure: Exposure) -> float:
    """Share of the catalogue recommended to at least one user.

    Ge, Delgado-Battenfeld and Jannach, "Beyond accuracy: evaluating recommender systems by coverage and
    serendipity", RecSys 2010. NaN for an empty catalogue.
    """
    return float((exposure.counts > 0).mean()) if len(exposure.counts) else float("nan")


def gini(exposure: Exposure) -> float:
    """Gini index of how often items are recommended: 0 = all equally often, 1 = always the same single item.

    G = Σ_j (2j − n − 1) p_(j) / (n − 1) with the shares p sorted ascending (Shani and Gunawardana,
    "Evaluating recommendation systems", Recommender Systems Handbook, 2011). NaN where nothing is
    recommended or the catalogue has fewer than two items.
    """
    counts = np.sort(exposure.counts)
    n, total = len(counts), counts.sum()
    if n < 2 or total == 0:
        return float("nan")
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float((weights * counts).sum() / (total * (n - 1)))


COVERAGE = Metric(
    "coverage", "catalogue", higher_is_better=True, unit="share of the catalogue", function=coverage
)
CATALOGUE = (
    COVERAGE,
    Metric(
        "gini",
        "catalogue",
        higher_is_better=False,
        unit="inequality from 0 to 1",
        function=gini,
    ),
)
