"""Ways to find the factors of users who were not there in training, the item side being fixed.

Each solves one least-squares problem for each user, all users at once (`kernels.ridge`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csc_array, csr_array

from recsys_ae.data.ratings import entry_rows
from recsys_ae.kernels.gibbs import draw_rows
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


@dataclass(frozen=True, slots=True, eq=False)
class SampledFoldIn:
    """The posterior means of a user's vector, one for each draw of a Bayesian factorisation (S draws, k
    factors; a vector has a bias at its end; all in units of ratings less `mean`, over `deviation`).

    `noise_precisions`: (S,). `prior_means`, `prior_precisions`: (S, k + 1) and (S, k + 1, k + 1), of users'
    vectors. `effects`: (S, n_items, k + 1) float32, what it says of a user to have rated an item, however;
    None: nothing. `average_users`, `average_items`: (S, k + 1), taken off all vectors that go in or out;
    `item_biases`: (S, n_items) float32, less the average.
    """

    mean: float
    deviation: float
    noise_precisions: FloatVector
    prior_means: FloatMatrix
    prior_precisions: np.ndarray
    average_users: FloatMatrix
    average_items: FloatMatrix
    item_biases: FloatMatrix
    effects: np.ndarray | None

    kind: ClassVar[str] = "sampled"

    def check_fits(self, n_items: int, n_factors: int) -> None:
        """Raises ValueError where these are not draws for these items and factors, of all draws together."""
        n_draws = max(1, len(self.noise_precisions))
        k = n_factors // n_draws + 1
        expected: list[tuple[np.ndarray | None, tuple[int, ...]]] = [
            (self.noise_precisions, (n_draws,)),
            (self.prior_means, (n_draws, k)),
            (self.prior_precisions, (n_draws, k, k)),
            (self.average_users, (n_draws, k)),
            (self.average_items, (n_draws, k)),
            (self.item_biases, (n_draws, n_items)),
            (self.effects, (n_draws, n_items, k)),
        ]
        for array, shape in expected:
            if (array is not None and array.shape != shape) or n_factors % n_draws:
                raise ValueError(f"draws do not fit {n_items} items and {n_factors} factors")

    def solve(self, targets: csr_array, item_factors: FloatMatrix) -> tuple[FloatMatrix, FloatVector]:
        """(b, S · k) factors and (b,) biases, float32, divided by S. `targets`: (b, n_items) histories
        as they are; `item_factors`: (n_items, S · k). A user without history gets zeros."""
        n_draws = len(self.noise_precisions)
        factors = np.zeros((targets.shape[0], n_draws, item_factors.shape[1] // n_draws), dtype=np.float32)
        biases = np.zeros(targets.shape[0])
        shares, unit = shares_of_rows(targets), self.deviation / n_draws
        of_items = item_factors.reshape(len(item_factors), n_draws, -1)
        for draw in range(n_draws):
            vectors = self._vectors(draw, targets, shares, of_items[:, draw])
            factors[:, draw] = unit * vectors[:, :-1]
            biases += unit * (vectors[:, -1] + vectors[:, :-1] @ self.average_items[draw, :-1])
        return factors.reshape(len(factors), -1), biases.astype(np.float32)

    def _vectors(
        self, draw: int, ratings: csr_array, shares: csr_array, item_factors: FloatMatrix
    ) -> FloatMatrix:
        """(b, k + 1) float64, less the average user."""
        design = np.ones((len(item_factors), item_factors.shape[1] + 1))
        design[:, :-1] = item_factors + self.average_items[draw, :-1]
        biases = self.item_biases[draw, ratings.indices] + self.average_items[draw, -1]
        targets = (ratings.data.astype(np.float64) - self.mean) / self.deviation - biases
        effects = None if self.effects is None else self.effects[draw].astype(np.float64)
        centres = centres_of_rows(self.prior_means[draw], shares, effects)
        vectors = draw_rows(
            ratings.indptr,
            ratings.indices,
            targets,
            design,
            self.noise_precisions[draw],
            centres,
            self.prior_precisions[draw],
            np.zeros(centres.shape),
        )
        vectors -= self.average_users[draw]
        vectors[np.diff(ratings.indptr) == 0] = 0.0
        return vectors


def against(others: FloatMatrix, rows: csr_array) -> tuple[FloatMatrix, FloatVector]:
    """The regression of each row on the `others`: (n_columns, k + 1) a constant in place of their biases, and
    (n_observed,) ratings less these."""
    design = others.copy()
    design[:, -1] = 1.0  # its coefficient is the row's own bias
    return design, rows.data - others[rows.indices, -1]


def shares_of_rows(ratings: csr_array) -> csr_array:
    """The cells of `ratings` with 1 / √n in a row of n: how much each column moves the row's centre. A row
    with one entry has none: what its only column says of it could not be told from that column's own bias,
    which would go into the effect, and be lost for rows without entries."""
    counts = np.diff(ratings.indptr)
    several = counts > 1
    shares = 1.0 / np.sqrt(counts[entry_rows(ratings)])
    kept = several[entry_rows(ratings)]
    starts = np.append(0, np.cumsum(np.where(several, counts, 0)))
    return csr_array((shares[kept], ratings.indices[kept], starts), shape=ratings.shape)


def centres_of_rows(
    mean: FloatVector, shares: csr_array | csc_array, effects: FloatMatrix | None
) -> FloatMatrix:
    """(n_rows, k) float64: where the vectors of rows are expected, `effects` (n_columns, k) being those of
    what they rated (Koren 2008, eq. 15)."""
    moved = np.zeros((shares.shape[0], len(mean))) if effects is None else shares @ effects
    return moved + mean


FoldIn = RidgeFoldIn | ConfidenceFoldIn | SampledFoldIn
