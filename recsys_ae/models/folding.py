"""Ways to find the factors of users who were not there in training, the item side being fixed.

Each solves one least-squares problem for each user, all users at once (`kernels.ridge`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.kernels.ridge import solve_rows
from recsys_ae.models.positives import confidences, liked, positives
from recsys_ae.types import FloatMatrix, FloatVector


@dataclass(frozen=True, slots=True)
class RidgeFoldIn:
    """Least squares on the observed entries alone, as in explicit matrix factorisation.

    The penalty is `l2` · n^power on each squared factor and `bias_l2` · n^bias_power on the squared bias, n
    being the length of the history.
    """

    l2: float
    bias_l2: float
    power: float = 0.0
    bias_power: float = 0.0

    kind: ClassVar[str] = "ridge"

    def solve(self, targets: csr_array, item_factors: FloatMatrix) -> tuple[FloatMatrix, FloatVector]:
        """(b, k) factors and (b,) biases, float64. `targets`: (b, n_items) histories less everything that is
        not the user's; `item_factors`: (n_items, k). A user without history gets zeros."""
        k = item_factors.shape[1]
        design = np.ones((len(item_factors), k + 1))
        design[:, :-1] = item_factors
        penalties = np.append(np.full(k, self.l2), self.bias_l2)
        powers = np.append(np.full(k, self.power), self.bias_power)
        solutions = solve_rows(targets.indptr, targets.indices, targets.data, design, penalties, power=powers)
        return solutions[:, :-1], solutions[:, -1]


@dataclass(frozen=True, slots=True)
class ConfidenceFoldIn:
    """Weighted least squares on all items, as in implicit-feedback ALS (Hu, Koren, Volinsky 2008, eq. 4):
    liked items are 1 with `confidence`, all others 0 with confidence 1. `positive`: lowest rating that
    counts as liked; None: every observed entry. `mean_count`: of the training, where histories hold counts;
    `confidence` is then that of a mean count, see `confidences`. There are no biases."""

    l2: float
    confidence: float
    positive: float | None = None
    mean_count: float | None = None

    kind: ClassVar[str] = "confidence"

    def solve(self, targets: csr_array, item_factors: FloatMatrix) -> tuple[FloatMatrix, FloatVector]:
        """(b, k) factors and (b,) biases, all zero. `targets`: (b, n_items) histories as they are;
        `item_factors`: (n_items, k). A user without liked items gets zeros."""
        likes = positives(targets, self.positive)
        kept = targets.data[liked(targets, self.positive)]
        own = confidences(kept, self.confidence - 1.0, self.mean_count)
        factors = item_factors.astype(np.float64)
        solutions = solve_rows(
            likes.indptr,
            likes.indices,
            own,
            factors,
            np.full(factors.shape[1], self.l2),
            base=factors.T @ factors,
            weight=self.confidence - 1.0 if self.mean_count is None else own - 1.0,
        )
        return solutions, np.zeros(len(solutions))


FoldIn = RidgeFoldIn | ConfidenceFoldIn
