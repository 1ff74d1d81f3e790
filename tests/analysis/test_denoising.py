"""Training on masked rows beside the closed forms, and those beside NumPy."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from recsys_ae.analysis.denoising import (
    balanced_masks,
    closed_form,
    distance_to_closed_form,
    likes_matrix,
    train_by_chance,
    train_by_design,
)
from recsys_ae.models.configs import TrainingConfig

KINDS = pytest.mark.parametrize("kind", ["dlae", "edlae"])


def lbfgs(epochs: int) -> TrainingConfig:
    return TrainingConfig(optimizer="l-bfgs-b", epochs=epochs, iterations_per_epoch=300, patience=None)


@pytest.fixture(scope="module")
def likes() -> np.ndarray:
    return likes_matrix((120, 7))


def test_likes_are_zeros_and_ones(likes):
    assert set(np.unique(likes)) == {0.0, 1.0}
    assert (likes.sum(axis=0) > 10).all()


@pytest.mark.parametrize("probability", [0.2, 0.5])
def test_closed_forms_are_those_of_their_papers(likes, probability):
    gram = likes.T @ likes
    penalised = gram + probability / (1 - probability) * np.diag(np.diag(gram))
    expected = np.linalg.solve(penalised, gram)
    np.testing.assert_allclose(closed_form(likes, "dlae", probability), expected, atol=1e-5)
    inverse = np.linalg.inv(penalised)
    expected = np.eye(7) - inverse / np.diag(inverse)
    np.testing.assert_allclose(closed_form(likes, "edlae", probability), expected, atol=1e-5)


@pytest.mark.parametrize("n_columns", [3, 7, 8, 12])
def test_any_three_columns_of_balanced_masks_show_each_pattern_equally_often(n_columns):
    masks = balanced_masks(n_columns)
    assert masks.shape[1] == n_columns
    for three in combinations(range(n_columns), 3):
        counts = np.bincount(masks[:, three] @ [1, 2, 4], minlength=8)
        assert (counts == len(masks) / 8).all()


@KINDS
def test_masked_training_ends_at_the_closed_form(likes, kind):
    """Over masks whose mean is the expectation."""
    trained = train_by_design(likes, kind, lbfgs(10))
    assert distance_to_closed_form(trained, likes, kind, 0.5) < 2e-3


@KINDS
def test_more_masks_by_chance_come_closer(likes, kind):
    """Sixteen times as many: a quarter of the distance, give or take."""
    one, many = (
        distance_to_closed_form(train_by_chance(likes, kind, 0.3, lbfgs(1), copies=n), likes, kind, 0.3)
        for n in (2, 32)
    )
    assert many < 0.5 * one
    assert many < 0.2


def test_the_two_closed_forms_differ(likes):
    """Each is told from the other, so that a loss on the wrong entries is found."""
    trained = train_by_design(likes, "dlae", lbfgs(10))
    assert distance_to_closed_form(trained, likes, "edlae", 0.5) > 0.1
