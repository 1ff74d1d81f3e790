"""A linear autoencoder beside what it is on complete data: PCA.

Baldi and Hornik 1989: of all linear maps of rank k that reconstruct the rows of a matrix X from themselves,
the best projects on the k leading right singular vectors of X, and everything else where the gradient
vanishes is a saddle. So gradient descent must end where the singular value decomposition begins; with biases,
the same of X less its column means, which is PCA. Here both are computed, by the engine's own training and by
LAPACK, and held against each other: for small matrices, of which dense copies are made in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import subspace_angles
from scipy.sparse import csr_array

from recsys_ae.analysis.incomplete import all_cells
from recsys_ae.models.configs import TrainingConfig
from recsys_ae.models.trainee import train_network
from recsys_ae.nn.autoencoder import Architecture, Autoencoder
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.penalties import L2Penalty
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import numpy_generator, torch_generator
from recsys_ae.training.runner import Context, TrainingOptions

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LinearMap:
    """What a linear autoencoder of n columns makes of a row x: x @ `weights` + `offset`.

    `weights`: (n, n) float64; `offset`: (n,) float64. `axes`: (n, k) float64, what the outputs are made of:
    the weights of the output layer, a row for each column of the data.
    """

    weights: Matrix
    offset: Vector
    axes: Matrix

    def __call__(self, rows: Matrix) -> Matrix:
        """(m, n) the reconstructions of rows (m, n)."""
        return rows @ self.weights + self.offset


@dataclass(frozen=True, slots=True)
class Agreement:
    """A trained map beside the best one. `error`, `best_error`: sums of squared errors over all cells, in
    squared units of the data. `angle`: the largest principal angle between their axes, in radians."""

    error: float
    best_error: float
    angle: float

    @property
    def excess(self) -> float:
        """The error above the best one, as a share of that."""
        return self.error / self.best_error - 1.0


def spectral_matrix(
    shape: tuple[int, int], singular_values: Vector | list[float], *, noise: float = 0.0, seed: int = 0
) -> Matrix:
    """A matrix with these singular values (k at most the shorter side) and singular vectors drawn at random.
    `noise`: standard deviation of what is added to each cell."""
    generator = numpy_generator(seed, "spectral-matrix")
    k = len(singular_values)
    left, right = (np.linalg.qr(generator.standard_normal((n, k)))[0] for n in shape)
    return left * np.asarray(singular_values) @ right.T + noise * generator.standard_normal(shape)


def double_centred(matrix: Matrix) -> Matrix:
    """What the means of rows and columns leave, as undamped biases do: both are 0 then."""
    rows, columns = matrix.mean(axis=1, keepdims=True), matrix.mean(axis=0)
    return matrix - rows - columns + matrix.mean()


def train_linear_autoencoder(
    matrix: Matrix,
    rank: int,
    training: TrainingConfig,
    *,
    tied: bool = False,
    biases: bool = False,
    l2: float = 0.0,
    seed: int = 0,
    **objective: Any,
) -> LinearMap:
    """The map that the engine's network learns by gradient when it has one hidden layer of `rank` identity
    units and sees all cells of `matrix` (m, n). Its unit is taken off for training and put back, and so is
    the mean of all cells where there are biases, which begin at the means of the columns.

    `tied`: the output layer is the transpose of the first. `biases`: both layers have biases that are
    trained; else there are none. `l2`: half of it multiplies the squared weights of both layers beside the
    *sum* of squared errors, in squared units of the data (see `L2Penalty`). `objective`: the corruption and
    the loss, as `Objective` takes them.
    """
    zero = float(matrix.mean()) if biases else 0.0
    unit = float(np.sqrt(np.mean(np.square(matrix - zero))))
    standardised = (matrix - zero) / unit
    architecture = Architecture(matrix.shape[1], (rank,), activation="identity", tied=tied)
    means = standardised.mean(axis=0) if biases else None
    network = Autoencoder.build(architecture).start(torch_generator(seed, "parameters"), means=means)
    for parameter in network.parameters():
        if parameter.dim() == 1:
            parameter.requires_grad_(biases)
    if l2:
        objective["penalties"] = {"l2": L2Penalty(l2 / unit**2, n_observed=matrix.size)}
    trained = train_network(
        network,
        Objective(**objective),
        all_cells(standardised),
        training,
        TrainingOptions(seed, context=Context(device="cpu")),
        _map_of,
    )
    found = trained.model
    offset = unit * found.offset + zero * (1.0 - found.weights.sum(axis=0))
    return LinearMap(found.weights, offset, found.axes)


def best_map(matrix: Matrix, rank: int, *, biases: bool = False) -> LinearMap:
    """The best map of that rank: the projection on the leading right singular vectors of `matrix` (m, n), or
    with `biases` on its principal components, around its column means."""
    means = matrix.mean(axis=0) if biases else np.zeros(matrix.shape[1])
    axes = np.linalg.svd(matrix - means, full_matrices=False)[2][:rank].T
    weights = axes @ axes.T
    return LinearMap(weights, means - means @ weights, axes)


def shrunk_map(matrix: Matrix, rank: int, l2: float, *, tied: bool = False) -> LinearMap:
    """The best map of that rank without biases where `l2` / 2 · (‖V‖² + ‖W‖²) is added to ‖X - X V W'‖², or
    with `tied` layers `l2` / 2 · ‖V‖² to ‖X - X V V'‖².

    Kunin, Bloom, Goeva, Seed 2019, theorem 4.2 with λ = l2 / 2: the axes stay the principal ones, and what
    is projected on one of singular value σ is shrunk to the share (1 - λ / σ²)₊ of it. Tied layers pay for
    one matrix where others pay for two, so theirs is the λ of half the `l2`.
    """
    axes = np.linalg.svd(matrix, full_matrices=False)[2][:rank].T
    squares = np.square(matrix @ axes).sum(axis=0)
    shares = np.maximum(0.0, 1.0 - (l2 / 4 if tied else l2 / 2) / squares)
    return LinearMap(axes * shares @ axes.T, np.zeros(matrix.shape[1]), axes[:, shares > 0])


def soft_thresholded(matrix: Matrix, rank: int, l2: float) -> Matrix:
    """(m, n) the best P Q' of that rank where `l2` · (‖P‖² + ‖Q‖²) is added to ‖X - P Q'‖²: each singular
    value σ becomes (σ - l2)₊ (Srebro, Rennie, Jaakkola 2005, lemma 1: the penalty is twice the nuclear norm).
    So penalised factors make σ - λ of σ where penalised layers make σ - λ / σ of it: a layer reads the data,
    and pays less where they are strong."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    return left[:, :rank] * np.maximum(values[:rank] - l2, 0.0) @ right[:rank]


def squared_error(map: LinearMap, matrix: Matrix) -> float:
    """Sum over all cells."""
    return float(np.square(matrix - map(matrix)).sum())


def agreement(trained: LinearMap, best: LinearMap, matrix: Matrix) -> Agreement:
    """How far a trained map of `matrix` (m, n) is from the best one."""
    return Agreement(
        squared_error(trained, matrix), squared_error(best, matrix), largest_angle(trained.axes, best.axes)
    )


def principal_angles(some: Matrix, others: Matrix) -> Vector:
    """(k,) the principal angles between the spans of the columns of two matrices (n, k), in radians, the
    largest first: all 0 where one span holds the other, π/2 where they share nothing."""
    return subspace_angles(some, others)


def largest_angle(some: Matrix, others: Matrix) -> float:
    """The first of the `principal_angles`."""
    return float(principal_angles(some, others)[0])


def axis_angles(map: LinearMap, best: LinearMap) -> Vector:
    """(k,) the angle in radians between each principal axis and the left singular vector of the same rank of
    the trained output layer: of the axes one by one, not of their span."""
    own = np.linalg.svd(map.axes, full_matrices=False)[0]
    cosines = np.abs((own * best.axes).sum(axis=0))
    return np.arccos(np.minimum(cosines, 1.0))


def relative_distance(found: Matrix, expected: Matrix) -> float:
    """‖found - expected‖ / ‖expected‖, by the Frobenius norm."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def _map_of(network: Autoencoder) -> LinearMap:
    """What the network makes of an empty row and of each unit row says all of a map that is affine."""
    n = network.output_layer()[1].shape[0]
    rows = csr_array(np.vstack([np.zeros((1, n)), np.eye(n)]), dtype=np.float32)
    outputs = network(RowBatch.of(rows)).dense().detach().numpy().astype(np.float64)
    axes = network.output_layer()[0].astype(np.float64)
    return LinearMap(outputs[1:] - outputs[0], outputs[0], axes)
