"""Bayesian matrix factorisation of ratings: the average over draws from the posterior."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ratings import Ratings, select_rows
from recsys_ae.models.biases import deviation_of
from recsys_ae.models.configs import BayesianMFConfig
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.folding import SampledFoldIn
from recsys_ae.models.gibbs import Chain, Normal
from recsys_ae.rng import numpy_generator
from recsys_ae.training.runner import Trained, TrainingOptions
from recsys_ae.types import Epoch, FloatMatrix, FloatVector, PositionVector

_MOST_BYTES = 2**30  # that the draws in a model may take
_ROWS_PER_FACTOR = 4  # of the smaller side: ten items cannot tell twenty factors from noise


def fit_bayesian_mf(
    config: BayesianMFConfig, train: Ratings, options: TrainingOptions
) -> Trained[FactorRecommender]:
    """The average over the draws that are kept. Ratings that are all equal leave nothing to draw.

    Nothing depends on users and items without training ratings, which are taken for average ones.
    """
    ratings = StandardRatings.of(train)
    n_factors = min(config.factors, max(1, min(ratings.rows.shape) // _ROWS_PER_FACTOR))
    chain = Chain.start(
        ratings.rows,
        n_factors,
        implicit_users=config.implicit in ("users", "both"),
        implicit_items=config.implicit in ("items", "both"),
        generator=numpy_generator(options.seed, "bayesian-mf"),
    )
    kept = set(kept_sweeps(config, n_most=_MOST_BYTES // _bytes_of_draw(n_factors, ratings)))
    draws, epochs = [], []
    for number in range(1, 1 + config.sweeps * ratings.vary):
        begun = time.perf_counter()
        error = chain.sweep() * ratings.deviation**2
        if number in kept:
            draws.append(Draw.of(chain))
        epochs.append(Epoch(number, {"reconstruction": error}, error, time.perf_counter() - begun, 2))
        options.context.on_epoch(epochs[-1])
    model = average(draws or [Draw.of(chain)], train, ratings)
    return Trained(model, tuple(epochs), epochs[-1].number if epochs else None)


def kept_sweeps(config: BayesianMFConfig, *, n_most: int) -> list[int]:
    """Numbers, from 1, of the sweeps whose draws are kept: `samples` of those after the burn-in or `n_most`,
    evenly spaced, the last among them."""
    n_used = config.sweeps - int(config.burn_in * config.sweeps)
    n_kept = max(1, min(config.samples, n_most, n_used))
    return [config.sweeps - n * n_used // n_kept for n in range(n_kept)]


def _bytes_of_draw(n_factors: int, ratings: StandardRatings) -> int:
    """Of users and items with ratings: how many others there are decides nothing."""
    n_users, n_items = ratings.rows.shape
    return 4 * (n_users * n_factors + 2 * n_items * (n_factors + 1))


@dataclass(frozen=True, slots=True, eq=False)
class StandardRatings:
    """Ratings less their mean, over their deviation (rating units; 1 where all ratings are equal up to
    rounding): `rows`, CSR float64 of the users at the positions `users` by the items at `items`, which have
    ratings. `vary`: whether they differ at all.
    """

    rows: csr_array
    users: PositionVector
    items: PositionVector
    mean: float
    deviation: float
    vary: bool

    @classmethod
    def of(cls, train: Ratings) -> StandardRatings:
        mean = train.mean()
        centred = train.values.astype(np.float64) - mean
        deviation = deviation_of(centred, train)
        users, rows = np.unique(train.rows(), return_inverse=True)
        items, columns = np.unique(train.columns, return_inverse=True)
        starts = np.searchsorted(rows, np.arange(len(users) + 1))
        matrix = csr_array((centred / deviation, columns, starts), shape=(len(users), len(items)))
        return cls(matrix, users, items, mean, deviation, bool(np.isclose(matrix.data.std(), 1.0)))


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """What a state of the chain says of users in general and of each item, in units of the standardised
    ratings. The vectors of users follow from it and from what they rated.

    `users`: what their vectors are drawn from, but for the `effects` (n_items, k + 1) float32 of what they
    rated; `items`: (n_items, k + 1) float32, less the average item.
    """

    noise_precision: float
    users: Normal
    average_user: FloatVector
    effects: FloatMatrix | None
    mean_effect: FloatVector
    items: FloatMatrix
    average_item: FloatVector

    @classmethod
    def of(cls, chain: Chain) -> Draw:
        users, items = chain.users, chain.items
        average_item = items.vectors.mean(axis=0)
        return cls(
            noise_precision=chain.noise_precision,
            users=users.prior,
            average_user=users.vectors.mean(axis=0),
            effects=None if users.effects is None else users.effects.astype(np.float32),
            mean_effect=users.of_effects.mean,
            items=(items.vectors - average_item).astype(np.float32),
            average_item=average_item,
        )


def average(draws: list[Draw], train: Ratings, ratings: StandardRatings) -> FactorRecommender:
    """The mean prediction over draws, as one product: the factors of all draws side by side.

    A user's are not drawn but the mean of their posterior given the rest of the draw, as those of an unseen
    user (`SampledFoldIn`): the expectation is the same, the noise less. The average user and the average item
    are taken off and go to the biases and to the mean rating, so that a vector of 0 means an average one.
    """
    average_items = np.array([draw.average_item for draw in draws])
    average_users = np.array([draw.average_user for draw in draws])
    items = np.zeros((len(draws), train.n_items, average_items.shape[1]), dtype=np.float32)
    items[:, ratings.items] = [draw.items for draw in draws]
    fold_in = SampledFoldIn(
        mean=ratings.mean,
        deviation=ratings.deviation,
        noise_precisions=np.array([draw.noise_precision for draw in draws]),
        prior_means=np.array([draw.users.mean for draw in draws]),
        prior_precisions=np.array([draw.users.precision for draw in draws]),
        average_users=average_users,
        average_items=average_items,
        item_biases=np.ascontiguousarray(items[:, :, -1]),
        effects=_effects(draws, ratings.items, items.shape),
    )
    item_factors = np.concatenate(items[:, :, :-1], axis=1)
    user_factors = np.zeros((train.n_users, item_factors.shape[1]), dtype=np.float32)
    user_biases = np.zeros(train.n_users, dtype=np.float32)
    seen = select_rows(train.matrix, ratings.users)
    user_factors[ratings.users], user_biases[ratings.users] = fold_in.solve(seen, item_factors)
    unit = ratings.deviation / len(draws)
    average_factors = np.concatenate(average_users[:, :-1])
    item_biases = items[:, :, -1].sum(axis=0, dtype=np.float64) + item_factors @ average_factors
    constants = (average_users + average_items)[:, -1].sum()
    constants += average_factors @ np.concatenate(average_items[:, :-1])
    return FactorRecommender(
        users=train.users,
        items=train.items,
        user_factors=user_factors,
        item_factors=item_factors,
        user_biases=user_biases,
        item_biases=(unit * item_biases).astype(np.float32),
        mean=ratings.mean + unit * float(constants),
        limits=train.limits(),
        fold_in=fold_in,
    )


def _effects(draws: list[Draw], items: PositionVector, shape: tuple[int, ...]) -> FloatMatrix | None:
    """`shape` float32: those of all items; items without training ratings have the mean of their prior."""
    if draws[0].effects is None:
        return None
    effects = np.empty(shape, dtype=np.float32)
    effects[:] = np.array([draw.mean_effect for draw in draws])[:, None]
    effects[:, items] = [draw.effects for draw in draws]
    return effects
