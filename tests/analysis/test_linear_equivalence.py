"""A trained linear autoencoder beside factorisations by LAPACK, and by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import svd
from sklearn.decomposition import PCA

from recsys_ae.analysis.incomplete import factorise
from recsys_ae.analysis.linear_equivalence import (
    Agreement,
    agreement,
    axis_angles,
    best_map,
    double_centred,
    largest_angle,
    principal_angles,
    relative_distance,
    shrunk_map,
    soft_thresholded,
    spectral_matrix,
    squared_error,
    train_linear_autoencoder,
)
from recsys_ae.models.configs import CosineSchedule, TrainingConfig

LBFGS = TrainingConfig(optimizer="l-bfgs-b", epochs=10, iterations_per_epoch=200, patience=None)
ADAM = TrainingConfig(
    epochs=600, batch_size=100, min_steps=1, learning_rate=0.1, schedule=CosineSchedule(), patience=None
)
OPTIMIZERS = pytest.mark.parametrize("training", [LBFGS, ADAM], ids=["l-bfgs-b", "adam"])
TIES = pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
RANK, VALUES = 3, [9.0, 7.0, 5.0]


@pytest.fixture(scope="module")
def matrix() -> np.ndarray:
    """60 × 20 with three singular values far above the noise."""
    return spectral_matrix((60, 20), VALUES, noise=0.1, seed=3)


def test_spectral_matrix_has_its_singular_values():
    exact = spectral_matrix((30, 12), [4.0, 2.5, 1.0])
    np.testing.assert_allclose(svd(exact, compute_uv=False)[:4], [4.0, 2.5, 1.0, 0.0], atol=1e-12)
    assert not np.array_equal(exact, spectral_matrix((30, 12), [4.0, 2.5, 1.0], seed=1))


@TIES
@OPTIMIZERS
def test_complete_data_give_the_truncated_svd(matrix, training, tied):
    trained = train_linear_autoencoder(matrix, RANK, training, tied=tied)
    values, axes = svd(matrix, full_matrices=False)[1:]
    found = agreement(trained, best_map(matrix, RANK), matrix)
    assert found.best_error == pytest.approx(np.square(values[RANK:]).sum())
    assert abs(found.excess) < 1e-4
    assert largest_angle(trained.axes, axes[:RANK].T) < 1e-2
    assert trained.axes.shape == (20, RANK)
    assert not trained.offset.any()  # no biases were trained


@TIES
@OPTIMIZERS
def test_biases_give_pca_whatever_the_unit(matrix, training, tied):
    """Of ratings between -31 and 46, none of which is centred."""
    shifted = 7.0 - 15.0 * matrix + np.arange(20.0)
    trained = train_linear_autoencoder(shifted, RANK, training, tied=tied, biases=True)
    reference = PCA(RANK, svd_solver="full").fit(shifted)
    expected = reference.inverse_transform(reference.transform(shifted))
    error = np.square(shifted - expected).sum()
    np.testing.assert_allclose(best_map(shifted, RANK, biases=True)(shifted), expected)
    assert abs(squared_error(trained, shifted) / error - 1.0) < 1e-4
    assert largest_angle(trained.axes, reference.components_.T) < 1e-2
    assert relative_distance(trained(shifted), expected) < 1e-3


def test_centred_data_need_no_biases(matrix):
    centred = matrix - matrix.mean(axis=0)
    with_them, without = (best_map(centred, RANK, biases=biases) for biases in (True, False))
    np.testing.assert_allclose(with_them.weights, without.weights, atol=1e-12)
    np.testing.assert_allclose(with_them.offset, 0.0, atol=1e-12)


def test_a_shift_without_biases_is_another_axis(matrix):
    """The equivalence is with the SVD of what the network reads, not with PCA."""
    shifted = matrix + 1.5
    trained = train_linear_autoencoder(shifted, RANK, LBFGS)
    assert abs(agreement(trained, best_map(shifted, RANK), shifted).excess) < 1e-4
    assert largest_angle(trained.axes, best_map(shifted, RANK, biases=True).axes) > 0.5


@TIES
@pytest.mark.parametrize("unit", [1.0, 100.0])
def test_l2_shrinks_the_principal_axes_as_the_closed_form_says(matrix, tied, unit):
    l2 = 40.0
    trained = train_linear_autoencoder(unit * matrix, RANK, LBFGS, tied=tied, l2=l2 * unit**2)
    squares = np.square(svd(matrix, compute_uv=False)[:RANK])
    shares = 1.0 - (l2 / 4 if tied else l2 / 2) / squares
    axes = svd(matrix, full_matrices=False)[2][:RANK].T
    assert shares[-1] == pytest.approx(0.6 if tied else 0.2, abs=0.05)  # it shows
    np.testing.assert_allclose(np.diag(axes.T @ trained.weights @ axes), shares, atol=1e-3)
    assert relative_distance(shrunk_map(matrix, RANK, l2, tied=tied).weights, axes * shares @ axes.T) < 1e-9
    assert relative_distance(trained.weights, axes * shares @ axes.T) < 2e-3


def test_l2_turns_the_output_layer_to_the_axes_one_by_one(matrix):
    """Without it any basis of their span is as good as another (Kunin et al. 2019)."""
    best = best_map(matrix, RANK)
    assert axis_angles(train_linear_autoencoder(matrix, RANK, LBFGS, l2=10.0), best).max() < 1e-2
    assert axis_angles(train_linear_autoencoder(matrix, RANK, LBFGS), best).max() > 0.1


def test_l2_leaves_out_weak_axes(matrix):
    trained = train_linear_autoencoder(matrix, RANK, LBFGS, l2=80.0)  # 80 / 2 is between 5² and 7²
    assert shrunk_map(matrix, RANK, 80.0).axes.shape == (20, 2)
    assert np.linalg.matrix_rank(trained.weights, tol=1e-2) == 2


@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_penalised_factors_are_soft_thresholded_and_layers_are_not(unit):
    """Both pay 3 for their squares, or as much in another unit."""
    matrix = double_centred(spectral_matrix((60, 20), VALUES, noise=0.1, seed=3))
    factors = factorise(unit * matrix, RANK, 3.0 * unit) / unit
    expected = soft_thresholded(matrix, RANK, 3.0)
    left, values, right = svd(matrix, full_matrices=False)
    np.testing.assert_allclose(svd(expected, compute_uv=False)[:RANK], values[:RANK] - 3.0)
    assert relative_distance(expected, left[:, :RANK] * (values[:RANK] - 3.0) @ right[:RANK]) < 1e-9
    assert relative_distance(factors, expected) < 1e-3
    assert relative_distance(shrunk_map(matrix, RANK, 6.0)(matrix), expected) > 0.2


def test_double_centred_has_no_means():
    centred = double_centred(np.arange(12.0).reshape(3, 4) ** 2)
    np.testing.assert_allclose([*centred.mean(axis=0), *centred.mean(axis=1)], 0.0, atol=1e-12)


def test_angles_of_known_planes():
    plane = np.eye(4)[:, :2]
    turned = np.column_stack([[1.0, 0, 0, 0], [0, np.cos(0.3), np.sin(0.3), 0]])
    np.testing.assert_allclose(principal_angles(plane, turned @ [[2.0, 1], [0, 5]]), [0.3, 0.0], atol=1e-7)
    assert largest_angle(plane, turned) == pytest.approx(0.3)


def test_excess_is_relative():
    assert Agreement(error=3.0, best_error=2.0, angle=0.0).excess == 0.5
