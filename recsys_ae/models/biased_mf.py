"""Biased matrix factorisation of ratings by alternating least squares."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ratings import Ratings
from recsys_ae.kernels.ridge import solve_rows
from recsys_ae.models.biases import damped_means
from recsys_ae.models.configs import BiasedMFConfig
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.folding import RidgeFoldIn
from recsys_ae.rng import numpy_generator
from recsys_ae.training.checkpoints import Arrays
from recsys_ae.training.runner import EpochRules, Trained, TrainingOptions, run_training
from recsys_ae.types import Epoch, FloatMatrix

_START_DEVIATION = 0.1  # of the first item factors
_START_DAMPING = 10.0  # of the first item biases


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The unknowns, float64: (n_users, k + 1) and (n_items, k + 1), each row's bias in the last column."""

    users: FloatMatrix
    items: FloatMatrix


def fit_biased_mf(
    config: BiasedMFConfig, train: Ratings, options: TrainingOptions
) -> Trained[FactorRecommender]:
    """The iteration with the best validation score, or the last one where nothing validates. An item without
    training ratings scores mean + user bias."""
    trainee = AlternatingTrainee(config, train, start(config, train, options.seed))
    return run_training(trainee, EpochRules(config.iterations, config.patience), options)


@dataclass(slots=True)
class AlternatingTrainee:
    """Both sides of a factorisation, solved for in turn. `sides`: as they are now."""

    config: BiasedMFConfig
    train: Ratings
    sides: Sides

    def epochs(self, done: Sequence[Epoch]) -> Iterator[Epoch]:
        """Each epoch solves for all users with the items fixed, then for all items with the users fixed; its
        total is the objective divided by the number of ratings."""
        by_user, by_item = self.train.matrix, self.train.transposed().matrix
        mean = self.train.mean()
        for number in range(len(done) + 1, self.config.iterations + 1):
            begun = time.perf_counter()
            users = half_step(self.config, by_user, self.sides.items, mean=mean)
            self.sides = Sides(users, half_step(self.config, by_item, users, mean=mean))
            sums = objective(self.config, self.train, self.sides)
            terms = {name: value / self.train.n_observed for name, value in sums.items()}
            yield Epoch(number, terms, sum(terms.values()), time.perf_counter() - begun, 2)

    def parameters(self) -> Arrays:
        return {"users": self.sides.users, "items": self.sides.items}

    def progress(self) -> Arrays:
        return {}

    def restore(self, parameters: Arrays, progress: Arrays | None = None) -> None:
        self.sides = Sides(**parameters)

    def candidate(self) -> FactorRecommender:
        users, items = self.sides.users.astype(np.float32), self.sides.items.astype(np.float32)
        return FactorRecommender(
            users=self.train.users,
            items=self.train.items,
            user_factors=np.ascontiguousarray(users[:, :-1]),
            item_factors=np.ascontiguousarray(items[:, :-1]),
            user_biases=users[:, -1].copy(),
            item_biases=items[:, -1].copy(),
            mean=self.train.mean(),
            limits=self.train.limits(),
            fold_in=RidgeFoldIn(self.config.l2, self.config.bias_l2, self.config.power),
        )


def start(config: BiasedMFConfig, train: Ratings, seed: int) -> Sides:
    """Damped means as item biases, small random item factors, zeros for the users and for items without
    ratings."""
    generator = numpy_generator(seed, "biased-mf")
    factors = _START_DEVIATION * generator.standard_normal((train.n_items, config.factors))
    factors[np.bincount(train.columns, minlength=train.n_items) == 0] = 0.0
    biases = damped_means(train.values - train.mean(), train.columns, train.n_items, _START_DAMPING)
    items = np.zeros((train.n_items, config.factors + 1))
    items[:, :-1], items[:, -1] = factors, biases
    return Sides(np.zeros((train.n_users, config.factors + 1)), items)


def half_step(config: BiasedMFConfig, rows: csr_array, others: FloatMatrix, *, mean: float) -> FloatMatrix:
    """(n_rows, k + 1) float64: the best factors and biases of one side, `others` (n_columns, k + 1) fixed."""
    design = others.copy()
    design[:, -1] = 1.0  # the coefficient of this constant is the row's own bias
    targets = rows.data - mean - others[rows.indices, -1]
    penalties = np.full(design.shape[1], config.l2)
    penalties[-1] = config.bias_l2
    return solve_rows(rows.indptr, rows.indices, targets, design, penalties, power=config.power)


def objective(config: BiasedMFConfig, train: Ratings, sides: Sides) -> dict[str, float]:
    """What every half-step lowers: the sum of squared errors, and the penalties."""
    products = np.empty(train.n_observed)
    rows = train.rows()
    for begin in range(0, train.n_observed, 1 << 16):
        part = slice(begin, begin + (1 << 16))
        users, items = sides.users[rows[part]], sides.items[train.columns[part]]
        products[part] = np.einsum("mk,mk->m", users[:, :-1], items[:, :-1]) + users[:, -1] + items[:, -1]
    errors = train.values - train.mean() - products
    n_by_user = np.diff(train.matrix.indptr)
    n_by_item = np.bincount(train.columns, minlength=train.n_items)
    penalty = _penalty(config, sides.users, n_by_user) + _penalty(config, sides.items, n_by_item)
    return {"reconstruction": float(errors @ errors), "l2": penalty}


def _penalty(config: BiasedMFConfig, side: FloatMatrix, counts: np.ndarray) -> float:
    squares = config.l2 * (side[:, :-1] ** 2).sum(axis=1) + config.bias_l2 * side[:, -1] ** 2
    return float((counts**config.power * squares)[counts > 0].sum())
