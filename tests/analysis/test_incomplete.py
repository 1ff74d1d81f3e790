"""Four kinds that are one model on complete ratings, and part where some are missing."""

from __future__ import annotations

import numpy as np
import pytest
from toys import fit

from recsys_ae.analysis.incomplete import (
    complete_ratings,
    factorise,
    hide_cells,
    item_axes,
    linear_models,
    predictions,
)
from recsys_ae.analysis.linear_equivalence import (
    double_centred,
    largest_angle,
    soft_thresholded,
    spectral_matrix,
)
from recsys_ae.data.ratings import Ratings
from recsys_ae.models.configs import BiasesConfig

KINDS = ["pca", "i-autorec", "u-autorec", "biased-mf"]
RANK = 2


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    """Ratings of 50 users and 18 items around -40, most of them negative, some users kinder than others."""
    taste = spectral_matrix((50, 18), [12.0, 9.0], noise=0.2, seed=1)
    return -40.0 + 20.0 * (taste + np.linspace(-1, 1, 50)[:, None] + np.linspace(0, 2, 18))


@pytest.fixture(scope="module")
def ratings(matrix) -> Ratings:
    return complete_ratings(matrix)


@pytest.fixture(scope="module")
def best(matrix) -> np.ndarray:
    """Means and the truncated SVD of what they leave."""
    left = double_centred(matrix)
    return matrix - left + soft_thresholded(left, RANK, 0.0)


@pytest.fixture(scope="module")
def axes(matrix) -> np.ndarray:
    return np.linalg.svd(double_centred(matrix))[2][:RANK].T


@pytest.mark.parametrize("kind", KINDS)
def test_on_complete_ratings_every_kind_is_the_truncated_svd_beside_the_biases(
    kind, ratings, matrix, best, axes
):
    model = fit(linear_models(RANK)[kind], ratings)
    found = predictions(model, ratings)
    assert np.abs(found - best).max() < 5e-3 * matrix.std()
    assert np.square(found - matrix).sum() == pytest.approx(np.square(best - matrix).sum(), rel=1e-4)
    assert largest_angle(item_axes(model), axes) < 1e-2


@pytest.mark.parametrize("change", [{"presence": "tied"}, {"presence": "free"}, {"tied": True}])
def test_neither_presence_nor_ties_matter_where_nothing_is_missing(change, ratings, matrix, best):
    config = linear_models(RANK)["u-autorec"]
    model = fit(type(config)(**{**config.model_dump(exclude={"kind"}), **change}), ratings)
    assert np.abs(predictions(model, ratings) - best).max() < 1e-2 * matrix.std()


def test_the_kinds_part_as_ratings_are_missing(ratings, matrix):
    gaps = []
    for share in (0.0, 0.1, 0.3):
        kept = hide_cells(ratings, share)
        found = {
            kind: predictions(fit(linear_models(RANK)[kind], kept), kept) for kind in KINDS[:2] + KINDS[3:]
        }
        spread = matrix.std()
        gaps.append([np.abs(found[kind] - found["biased-mf"]).mean() / spread for kind in KINDS[:2]])
    of_pca, of_autoencoder = np.transpose(gaps)
    assert (np.diff(of_pca) > 0.01).all()
    assert (np.diff(of_autoencoder) > 1e-3).all()
    assert (of_autoencoder[1:] < of_pca[1:]).all()  # one is fitted to the observed cells, as MF is


def test_hidden_cells_are_nested_and_zeros_stay(ratings):
    zeros = complete_ratings(np.zeros((30, 20)))
    assert zeros.n_observed == 600
    few, many = hide_cells(zeros, 0.2), hide_cells(zeros, 0.6)
    assert few.n_observed == pytest.approx(480, abs=50)
    assert many.n_observed == pytest.approx(240, abs=50)
    cells = [set(zip(r.rows().tolist(), r.columns.tolist(), strict=True)) for r in (few, many)]
    assert cells[1] < cells[0]
    assert hide_cells(zeros, 0.0).n_observed == 600


def test_axes_are_less_their_means_and_not_of_models_without(ratings):
    axes = item_axes(fit(linear_models(RANK)["biased-mf"], ratings))
    np.testing.assert_allclose(axes.mean(axis=0), 0.0, atol=1e-6)
    with pytest.raises(ValueError, match="bias"):
        item_axes(fit(BiasesConfig(), ratings))


def test_factorise_without_a_penalty_is_the_truncated_svd(matrix):
    left = double_centred(matrix)
    np.testing.assert_allclose(factorise(left, RANK, 1e-6), soft_thresholded(left, RANK, 0.0), atol=0.2)
