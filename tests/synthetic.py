"""Ratings made up so that what a model should find in them is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.rng import numpy_generator
from recsys_ae.types import PositionVector

STARS = (1.0, 5.0)


def low_rank(
    n_users: int, n_items: int, *, rank: int = 2, density: float = 0.2, noise: float = 0.1, seed: int = 0
) -> Ratings:
    """Ratings 3 + p·q + noise, cut to 1 to 5: factors are normal and p·q has variance 1, `noise` is a
    standard deviation, and a share `density` of the cells, drawn uniformly, is observed."""
    rng = numpy_generator(seed, "synthetic", "low-rank")
    users, items = np.divmod(_draw_cells(n_users * n_items, density, rng), n_items)
    of_users = rng.standard_normal((n_users, rank))
    of_items = rng.standard_normal((n_items, rank))
    liking = np.einsum("er,er->e", of_users[users], of_items[items]) / np.sqrt(rank)
    values = np.clip(3 + liking + noise * rng.standard_normal(len(users)), *STARS)
    return _ratings(users, items, values, (n_users, n_items), STARS)


def checkerboard(n: int, *, explicit: bool = False) -> Ratings:
    """n users and n items: even users like even items and odd ones odd, but user u has not seen item u, which
    any sane recommender must therefore put first. Liked items have value 1 (implicit feedback);
    `explicit`: 5, and the others, observed too, 1. After benfred/implicit, tests/recommender_base_test.py."""
    users, items = np.divmod(np.arange(n * n), n)
    liked = (users + items) % 2 == 0
    kept = (users != items) & (liked | explicit)
    values = np.where(liked, 5.0, 1.0) if explicit else np.ones(n * n)
    return _ratings(users[kept], items[kept], values[kept], (n, n), STARS if explicit else None)


def power_law(
    n_users: int, n_items: int, *, density: float = 0.05, exponent: float = 1.0, seed: int = 0
) -> Ratings:
    """Whole stars without any pattern, in cells drawn by popularity: user or item number i (from 0) is drawn
    in proportion to (i + 1) ** -exponent. At most a share `density` of the cells is observed: those drawn
    twice count once."""
    rng = numpy_generator(seed, "synthetic", "power-law")
    n_draws = round(density * n_users * n_items)
    users, items = (_draw_skewed(n, n_draws, exponent, rng) for n in (n_users, n_items))
    users, items = np.divmod(np.unique(users * n_items + items), n_items)
    values = rng.integers(1, 6, len(users)).astype(np.float64)
    return _ratings(users, items, values, (n_users, n_items), STARS)


def permuted(ratings: Ratings, *, seed: int = 0) -> Ratings:
    """The same cells with the values dealt out anew: what is left to learn is the overall mean."""
    return _revalued(ratings, numpy_generator(seed, "synthetic", "permuted").permutation(ratings.values))


def noise(ratings: Ratings, *, seed: int = 0) -> Ratings:
    """The same cells with values drawn uniformly from the distinct values of the ratings."""
    rng = numpy_generator(seed, "synthetic", "noise")
    return _revalued(ratings, rng.choice(np.unique(ratings.values), ratings.n_observed))


def _draw_cells(n_cells: int, density: float, rng: np.random.Generator) -> PositionVector:
    """Sorted distinct cells, round(density * n_cells) of them, in memory of their number."""
    wanted = round(density * n_cells)
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < wanted:
        drawn = np.union1d(drawn, rng.integers(0, n_cells, wanted - len(drawn)))
    return drawn


def _draw_skewed(n: int, n_draws: int, exponent: float, rng: np.random.Generator) -> PositionVector:
    cumulated = np.cumsum((np.arange(n) + 1.0) ** -exponent)
    return np.searchsorted(cumulated, rng.random(n_draws) * cumulated[-1], side="right").clip(max=n - 1)


def _ratings(
    users: PositionVector,
    items: PositionVector,
    values: np.ndarray,
    shape: tuple[int, int],
    scale: tuple[float, float] | None,
) -> Ratings:
    """From cells sorted by user, then item; users and items without ratings stay."""
    starts = np.searchsorted(users, np.arange(shape[0] + 1)).astype(np.int32)
    matrix = csr_array((values.astype(np.float32), items.astype(np.int32), starts), shape=shape)
    return Ratings(matrix, IdMap(np.arange(shape[0])), IdMap(np.arange(shape[1])), None, scale)


def _revalued(ratings: Ratings, values: np.ndarray) -> Ratings:
    old = ratings.matrix
    return replace(ratings, matrix=csr_array((values, old.indices, old.indptr), shape=old.shape))
