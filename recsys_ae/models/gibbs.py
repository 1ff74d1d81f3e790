"""A Markov chain over all unknowns of a factorisation of ratings: Gibbs sampling.

The ratings have mean 0 and deviation 1, and no setting or starting value has a unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.sparse import csc_array, csr_array
from scipy.stats import wishart

from recsys_ae.kernels.gibbs import collapse_rows, draw_effects, draw_rows, squared_errors
from recsys_ae.models.folding import against, centres_of_rows, shares_of_rows
from recsys_ae.types import FloatMatrix, FloatVector

_START_DEVIATION = 0.1  # of factors and effects
_START_BIAS_DEVIATION = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """A normal distribution of vectors with a bias at their end: mean (k + 1,), precision (k + 1, k + 1)."""

    mean: FloatVector
    precision: FloatMatrix

    @classmethod
    def small(cls, width: int, bias_deviation: float) -> Normal:
        """Where a chain starts: small vectors, which grow where ratings say so. From large ones it finds back
        slowly where ratings say little."""
        deviations = np.full(width, _START_DEVIATION)
        deviations[-1] = bias_deviation
        return cls(np.zeros(width), np.diag(deviations**-2))

    @classmethod
    def drawn(cls, vectors: FloatMatrix, generator: np.random.Generator) -> Normal:
        """Given vectors (n, k + 1) from it, by the hyperprior of Salakhutdinov & Mnih 2008 (eq. 14: μ0 = 0,
        β0 = 2, W0 = I, ν0 = the width of the vectors), which has no unit."""
        n, width = vectors.shape
        average = vectors.mean(axis=0)
        scatter = (vectors - average).T @ (vectors - average)
        scale = np.eye(width) + scatter + 2 * n / (2 + n) * np.outer(average, average)  # W*⁻¹
        standard = np.atleast_2d(wishart.rvs(width + n, np.eye(width), random_state=generator))
        root = solve_triangular(
            np.linalg.cholesky(scale), np.linalg.cholesky(standard), lower=True, trans="T"
        )
        precision = root @ root.T  # of Wishart(W*, ν*)
        noise = np.linalg.solve(np.linalg.cholesky(precision).T, generator.standard_normal(width))
        return cls(n * average / (2 + n) + noise / np.sqrt(2 + n), precision)


@dataclass(slots=True, eq=False)
class Side:
    """The unknowns of the users, or of the items.

    A row's vector (k factors, then a bias) is normal around a centre: the mean of `prior`, and where there
    are `effects` the sum of those of the columns that the row has ratings at, over the root of their number.
    `ratings`: CSR; `vectors`: (n_rows, k + 1); `shares`: CSC of the same cells, the weights of the effects;
    `effects`: (n_columns, k + 1), normal as `of_effects` says, or None.
    """

    ratings: csr_array
    vectors: FloatMatrix
    prior: Normal
    shares: csc_array
    effects: FloatMatrix | None
    of_effects: Normal

    @classmethod
    def start(cls, ratings: csr_array, vectors: FloatMatrix, *, implicit: bool) -> Side:
        width = vectors.shape[1]
        shares = shares_of_rows(ratings).tocsc()
        effects = np.zeros((ratings.shape[1], width)) if implicit else None
        prior, of_effects = Normal.small(width, _START_BIAS_DEVIATION), Normal.small(width, _START_DEVIATION)
        return cls(ratings, vectors, prior, shares, effects, of_effects)

    def draw(self, others: FloatMatrix, noise_precision: float, generator: np.random.Generator) -> None:
        """Draw all of this side, the `others` (n_columns, k + 1) fixed: first the effects, with the vectors
        integrated out, then the vectors, then both priors."""
        rows = self.ratings
        design, targets = against(others, rows)
        normals = generator.standard_normal(self.vectors.shape)
        regression = rows.indptr, rows.indices, targets, design, noise_precision
        own = self._centres(), self.prior.precision, normals
        if self.effects is None:
            self.vectors = draw_rows(*regression, *own)
        else:
            curvatures, slopes, spreads = collapse_rows(*regression, *own)
            self._draw_effects(self.effects, curvatures, slopes, generator)
            slopes *= np.sqrt(np.diff(rows.indptr))[:, None]
            self.vectors = self._centres() + np.linalg.solve(self.prior.precision, slopes.T).T + spreads
        self.prior = Normal.drawn(self.vectors - self._centres() + self.prior.mean, generator)

    def _draw_effects(
        self,
        effects: FloatMatrix,
        curvatures: np.ndarray,
        slopes: FloatMatrix,
        generator: np.random.Generator,
    ) -> None:
        """Write over the effects and the slopes, which follow them."""
        at, prior = self.shares, self.of_effects
        normals = generator.standard_normal(effects.shape)
        draw_effects(at.indptr, at.indices, curvatures, slopes, effects, prior.mean, prior.precision, normals)
        self.of_effects = Normal.drawn(effects, generator)

    def _centres(self) -> FloatMatrix:
        return centres_of_rows(self.prior.mean, self.shares, self.effects)


@dataclass(slots=True, eq=False)
class Chain:
    """A Markov chain of all unknowns; its draws follow their joint posterior in the end."""

    users: Side
    items: Side
    noise_precision: float
    generator: np.random.Generator

    @classmethod
    def start(
        cls,
        rows: csr_array,
        n_factors: int,
        *,
        implicit_users: bool,
        implicit_items: bool,
        generator: np.random.Generator,
    ) -> Chain:
        """`rows`: ratings of users by items, where every user and every item has some."""
        columns = csr_array(rows.T.tocsr())
        columns.sort_indices()
        first = np.zeros((rows.shape[1], n_factors + 1))
        first[:, :-1] = _START_DEVIATION * generator.standard_normal((rows.shape[1], n_factors))
        users = Side.start(rows, np.zeros((rows.shape[0], n_factors + 1)), implicit=implicit_users)
        items = Side.start(columns, first, implicit=implicit_items)
        return cls(users, items, 1.0, generator)

    def sweep(self) -> float:
        """Draw everything once: users, items, the precision of the noise (its prior: gamma with shape and
        rate 1). Gives the mean squared error at the draw."""
        self.users.draw(self.items.vectors, self.noise_precision, self.generator)
        self.items.draw(self.users.vectors, self.noise_precision, self.generator)
        rows = self.users.ratings
        design, targets = against(self.items.vectors, rows)
        error = squared_errors(rows.indptr, rows.indices, targets, self.users.vectors, design).sum()
        self.noise_precision = self.generator.gamma(1 + rows.nnz / 2) / (1 + error / 2)
        return float(error / rows.nnz)
