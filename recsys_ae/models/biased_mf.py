"""Biased matrix factorisation of ratings by alternating least squares."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ratings import Ratings
from recsys_ae.kernels.ridge import solve_rows
from recsys_ae.models.biases import Biases
from recsys_ae.models.configs import BiasedMFConfig
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.folding import RidgeFoldIn, against
from recsys_ae.rng import numpy_generator
from recsys_ae.training.checkpoints import Arrays
from recsys_ae.training.loop import next_number
from recsys_ae.training.runner import EpochRules, Trained, TrainingOptions, run_training
from recsys_ae.types import Epoch, FloatMatrix

_START_DEVIATION = 0.3  # of the first user factors


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The unknowns, float64: (n_users, k + 1) and (n_items, k + 1), each row's bias in the last column. They
    explain standardised ratings."""

    users: FloatMatrix
    items: FloatMatrix


def fit_biased_mf(
    config: BiasedMFConfig, train: Ratings, options: TrainingOptions
) -> Trained[FactorRecommender]:
    """The iteration with the best validation score, or the last one where nothing validates. An item without
    training ratings scores mean + user bias."""
    biases = Biases.solve(train, config.biases)
    trainee = AlternatingTrainee(config, train, biases, start(config, train, biases, options.seed))
    return run_training(trainee, EpochRules(config.iterations, config.patience), options)


@dataclass(slots=True)
class AlternatingTrainee:
    """Both sides of a factorisation, solved for in turn. `biases`: what ratings are standardised by; `sides`:
    as they are now."""

    config: BiasedMFConfig
    train: Ratings
    biases: Biases
    sides: Sides

    def epochs(self, done: Sequence[Epoch]) -> Iterator[Epoch]:
        """Each epoch solves for all items with the users fixed, then for all users with the items fixed, so
        that users unseen in training, folded in, are treated alike. Its total is the objective divided by the
        number of ratings."""
        standardised = self.biases.centred(self.train)
        by_user, by_item = standardised.matrix, standardised.transposed().matrix
        for number in range(next_number(done), self.config.iterations + 1):
            begun = time.perf_counter()
            items = half_step(self.config, by_item, self.sides.users, self.config.biases.item_damping)
            users = half_step(self.config, by_user, items, self.config.biases.user_damping)
            self.sides = Sides(users, items)
            sums = objective(self.config, standardised, self.sides)
            terms = {name: value / self.train.n_observed for name, value in sums.items()}
            yield Epoch(number, terms, sum(terms.values()), time.perf_counter() - begun, 2)

    def parameters(self) -> Arrays:
        return {"users": self.sides.users, "items": self.sides.items}

    def progress(self) -> Arrays:
        return {}

    def restore(self, parameters: Arrays, progress: Arrays | None = None) -> None:
        self.sides = Sides(**parameters)

    def candidate(self) -> FactorRecommender:
        unit = self.biases.deviation
        users, items = self.sides.users, self.sides.items.astype(np.float32)
        return FactorRecommender(
            users=self.train.users,
            items=self.train.items,
            user_factors=np.ascontiguousarray(unit * users[:, :-1], dtype=np.float32),
            item_factors=np.ascontiguousarray(items[:, :-1]),
            user_biases=(unit * users[:, -1]).astype(np.float32),
            item_biases=(unit * self.sides.items[:, -1]).astype(np.float32),
            mean=self.biases.mean,
            limits=self.train.limits(),
            fold_in=RidgeFoldIn(self.config.l2, self.config.biases.user_damping, self.config.power),
        )


def start(config: BiasedMFConfig, train: Ratings, biases: Biases, seed: int) -> Sides:
    """The bias model: small random factors of the users with ratings, and none of the items, so that users
    folded in get none either."""
    users, items = (np.zeros((n, config.factors + 1)) for n in train.matrix.shape)
    users[:, -1], items[:, -1] = biases.users / biases.deviation, biases.items / biases.deviation
    known = np.diff(train.matrix.indptr) > 0
    generator = numpy_generator(seed, "biased-mf")
    users[known, :-1] = _START_DEVIATION * generator.standard_normal((int(known.sum()), config.factors))
    return Sides(users, items)


def half_step(config: BiasedMFConfig, rows: csr_array, others: FloatMatrix, damping: float) -> FloatMatrix:
    """(n_rows, k + 1) float64: the best factors and biases of one side, `others` (n_columns, k + 1) fixed.
    `damping`: the penalty of this side's squared biases."""
    design, targets = against(others, rows)
    penalties = np.append(np.full(config.factors, config.l2), damping)
    powers = np.append(np.full(config.factors, config.power), 0.0)
    return solve_rows(rows.indptr, rows.indices, targets, design, penalties, power=powers)


def objective(config: BiasedMFConfig, standardised: Ratings, sides: Sides) -> dict[str, float]:
    """What every half-step lowers: the sum of squared errors, and the penalties."""
    products = np.empty(standardised.n_observed)
    rows = standardised.rows()
    for begin in range(0, standardised.n_observed, 1 << 16):
        part = slice(begin, begin + (1 << 16))
        users, items = sides.users[rows[part]], sides.items[standardised.columns[part]]
        products[part] = np.einsum("mk,mk->m", users[:, :-1], items[:, :-1]) + users[:, -1] + items[:, -1]
    errors = standardised.values - products
    n_by_user = np.diff(standardised.matrix.indptr)
    n_by_item = np.bincount(standardised.columns, minlength=standardised.n_items)
    penalty = _penalty(config, sides.users, n_by_user, config.biases.user_damping)
    penalty += _penalty(config, sides.items, n_by_item, config.biases.item_damping)
    return {"reconstruction": float(errors @ errors), "l2": penalty}


def _penalty(config: BiasedMFConfig, side: FloatMatrix, counts: np.ndarray, damping: float) -> float:
    squares = config.l2 * counts**config.power * (side[:, :-1] ** 2).sum(axis=1) + damping * side[:, -1] ** 2
    return float(squares[counts > 0].sum())
