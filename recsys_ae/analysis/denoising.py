"""A linear autoencoder that is trained on masked rows, beside the closed form of what it converges to.

Hide each entry of a row x with probability p and read the others 1 / (1 - p) times as strongly, x̃. Over all
masks, the expectation of ‖x - x̃ B‖² is ‖x - x B‖² plus p / (1 - p) · Σ_j x_j² ‖B_j‖²: masking noise is an L2
penalty that grows with the item's popularity, and of full rank its minimum is the kind `dlae`. Where only the
hidden entries are compared, it is `edlae` (Steck 2020), but for the diagonal: the weight of an item for
itself, which nobody reads while the item is hidden.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
import torch
from scipy.linalg import hadamard

from recsys_ae.analysis.incomplete import complete_ratings
from recsys_ae.analysis.linear_equivalence import (
    LinearMap,
    Matrix,
    relative_distance,
    train_linear_autoencoder,
)
from recsys_ae.models.closed_form import fit_linear_autoencoder
from recsys_ae.models.configs import DLAEConfig, EDLAEConfig, TrainingConfig
from recsys_ae.nn.corruption import Corruption, mask
from recsys_ae.nn.losses import emphasised_squared_error, masked_squared_error
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import numpy_generator

Kind = Literal["dlae", "edlae"]
_NO_L2 = 1e-7  # closed forms want some; so little is rounding


def likes_matrix(shape: tuple[int, int], *, rank: int = 3, seed: int = 0) -> Matrix:
    """Ones where a user of n_users likes an item of n_items, by chance, more likely where their random tastes
    of `rank` dimensions agree; zeros elsewhere."""
    generator = numpy_generator(seed, "likes-matrix")
    tastes = [generator.standard_normal((n, rank)) for n in shape]
    chances = 1.0 / (1.0 + np.exp(1.0 - 1.5 * tastes[0] @ tastes[1].T))
    return (generator.random(shape) < chances).astype(np.float64)


def closed_form(likes: Matrix, kind: Kind, probability: float) -> Matrix:
    """(n_items, n_items) float64: the weights of the engine's model of that kind with this dropout, and all
    but no other penalty."""
    make = DLAEConfig if kind == "dlae" else EDLAEConfig
    config = make(dropout=probability, l2=_NO_L2, positive=1.0)
    return np.asarray(fit_linear_autoencoder(config, complete_ratings(likes)).item_weights, dtype=np.float64)


def train_by_chance(
    likes: Matrix, kind: Kind, probability: float, training: TrainingConfig, *, copies: int, seed: int = 0
) -> LinearMap:
    """The map of full rank that is learnt from so many `copies` of each row, each with a mask of its own that
    is drawn at random, and stays the same throughout an epoch. With one epoch this is the best map for that
    sample of masks; the error of sampling falls with the root of the copies."""
    corruption = partial(mask, probability=probability)
    return _train(np.tile(likes, (copies, 1)), kind, probability, corruption, training, seed)


def train_by_design(likes: Matrix, kind: Kind, training: TrainingConfig, *, seed: int = 0) -> LinearMap:
    """The same for masks of probability 1/2, with the expectation over them taken exactly: each row is copied
    once for each of the `balanced_masks`."""
    shown = balanced_masks(likes.shape[1])
    masks = np.tile(shown, (len(likes), 1))
    corruption = partial(_show, shown=masks)
    return _train(np.repeat(likes, len(shown), axis=0), kind, 0.5, corruption, training, seed)


def balanced_masks(n_columns: int) -> np.ndarray:
    """(2 N, n_columns) bool, N the least power of 2 above n_columns: masks such that any three columns show
    each of their 8 patterns equally often. A loss that is quadratic in what is read, and asks whether its
    target is hidden, sees no more than three columns at once: its mean over these masks is its expectation
    over all. They are the columns of a Hadamard matrix and of its negative (Plackett and Burman 1946, folded
    over as by Box and Wilson 1951): an orthogonal array of strength 3."""
    n = 1 << n_columns.bit_length()
    half = hadamard(n)[:, 1 : n_columns + 1] > 0
    return np.concatenate([half, ~half])


def distance_to_closed_form(trained: LinearMap, likes: Matrix, kind: Kind, probability: float) -> float:
    """Relative distance of the trained weights from those of the closed form; of `edlae` off the diagonal."""
    expected = closed_form(likes, kind, probability)
    counted = np.ones_like(expected) if kind == "dlae" else 1.0 - np.eye(len(expected))
    return relative_distance(trained.weights * counted, expected * counted)


def _train(
    rows: Matrix,
    kind: Kind,
    probability: float,
    corruption: Corruption,
    training: TrainingConfig,
    seed: int,
) -> LinearMap:
    loss = masked_squared_error
    if kind == "edlae":
        loss = partial(emphasised_squared_error, corrupted=1.0 / probability, uncorrupted=0.0)
    return train_linear_autoencoder(
        rows, rows.shape[1], training, seed=seed, corruption=corruption, loss=loss
    )


def _show(batch: RowBatch, generator: torch.Generator, *, shown: np.ndarray) -> RowBatch:
    """A corruption: of all rows at once, the cells that are `shown` (m, n) bool twice as strongly."""
    kept = torch.from_numpy(shown.ravel())
    assert len(kept) == len(batch.values), "the masks are those of all rows together"
    return batch.weighted(2.0 * kept).marked(~kept)
