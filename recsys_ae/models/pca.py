"""Linear autoencoders of low rank: a row is projected on the strongest directions of all rows."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh, qr
from scipy.sparse import csr_array

from recsys_ae.data.ratings import Ratings
from recsys_ae.models.biases import Biases
from recsys_ae.models.configs import PCAConfig, PureSVDConfig
from recsys_ae.models.linear import LinearRecommender
from recsys_ae.models.positives import Likes, least_liked, spread, without_empty
from recsys_ae.rng import numpy_generator
from recsys_ae.training.runner import TrainingOptions
from recsys_ae.types import FloatMatrix

_MOST_PASSES = 200
_SETTLED = 1e-7  # of all squares: what one more pass must explain
_NOTHING = 1e-6  # of the largest singular value: what is below it is rounding


def fit_pca(config: PCAConfig, train: Ratings, options: TrainingOptions) -> LinearRecommender:
    """Project what the biases leave of the ratings. Items without ratings are predicted by the biases."""
    biases = Biases.solve(train, config.biases)
    left, _, items = without_empty(biases.removed_from(train).matrix)
    weights, factors = (spread(part, items, train.n_items) for part in _projection(left, config, options))
    return LinearRecommender(
        users=train.users,
        items=train.items,
        item_weights=weights,
        item_factors=factors,
        biases=biases,
        limits=train.limits(),
        predicts_ratings=True,
    )


def fit_pure_svd(config: PureSVDConfig, train: Ratings, options: TrainingOptions) -> LinearRecommender:
    """Project the likes. Raises DataError where nothing is liked."""
    positive = least_liked(config.positive, train.feedback)
    likes = Likes.of(train, positive, kind=config.kind)
    parts = _projection(likes.matrix, config, options)
    weights, factors = (spread(part, likes.items, train.n_items) for part in parts)
    return LinearRecommender(
        users=train.users,
        items=train.items,
        item_weights=weights,
        item_factors=factors,
        reads="ones",
        positive=positive,
        unliked=likes.unliked(train.n_items),
    )


def _projection(
    matrix: csr_array, config: PCAConfig | PureSVDConfig, options: TrainingOptions
) -> tuple[FloatMatrix, FloatMatrix]:
    """Two (n_columns, k) matrices whose product, the second transposed, projects on the strongest directions.
    The second is as long in each as the rows are together: its rows are the columns of the matrix of that
    rank, turned, and as like each other as these. Axes of one length would make all columns alike as soon as
    there were as many axes as columns."""
    matrix = matrix.astype(np.float64)
    axes = principal_axes(matrix, config.factors, numpy_generator(options.seed, config.kind))
    lengths = np.linalg.norm(matrix @ axes, axis=0)  # the singular values
    return np.divide(axes, lengths, out=np.zeros_like(axes), where=lengths > 0), axes * lengths


def principal_axes(matrix: csr_array, n_axes: int, generator: np.random.Generator) -> FloatMatrix:
    """(n_columns, k) float64: the right singular vectors of the `n_axes` largest singular values, or of
    those that are not 0 where these are fewer; a column of zeros where all are.

    Block power iteration from a random start (Halko, Martinsson, Tropp 2011, algorithm 4.4), with half as
    many directions again, until a pass explains no more. It needs no gap between singular values, of which
    many may be equal, and two passes over the stored entries for each step.
    """
    width = min(n_axes + n_axes // 2 + 10, *matrix.shape)
    basis = qr(generator.standard_normal((matrix.shape[1], width)), mode="economic")[0]
    by_column = matrix.T.tocsr()
    total, explained = float(np.square(matrix.data).sum()), -1.0
    for _ in range(_MOST_PASSES):
        projected = matrix @ basis
        squares, turns = eigh(projected.T @ projected)  # of the singular values, ascending
        before, explained = explained, float(squares[-n_axes:].sum())
        if explained - before <= _SETTLED * total:
            break
        basis = qr(by_column @ projected, mode="economic")[0]
    kept = min(n_axes, int((squares > _NOTHING**2 * squares[-1]).sum()))
    return basis @ turns[:, ::-1][:, :kept] if kept else np.zeros((matrix.shape[1], 1))
