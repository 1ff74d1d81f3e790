"""Where ratings are missing, the linear models that are one on complete data part.

On complete data four kinds of the engine, of the same rank and without penalties, are one model: `pca`, the
linear `i-autorec` and `u-autorec`, and `biased-mf`. All of them end at the truncated singular value
decomposition of what the biases leave. Where cells are missing, PCA counts them as average; an autoencoder
reads them as average and is judged at the observed ones alone; and factorisation reads nothing: it solves
for the factors of each user and item from the ratings that are there.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.histories import Histories
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.models.configs import (
    BiasedMFConfig,
    BiasesConfig,
    ItemAutoRecConfig,
    ModelConfig,
    PCAConfig,
    TrainingConfig,
    UserAutoRecConfig,
)
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.fit import fit
from recsys_ae.models.linear import LinearRecommender
from recsys_ae.models.network import NetworkRecommender
from recsys_ae.recommender import Recommender
from recsys_ae.rng import numpy_generator
from recsys_ae.training.runner import Context
from recsys_ae.types import FloatMatrix

_NOTHING = 1e-6  # a penalty that is rounding, for models that want one
_UNDAMPED = BiasesConfig(item_damping=_NOTHING, user_damping=_NOTHING)


def all_cells(matrix: FloatMatrix) -> csr_array:
    """Every cell stored, zeros too: a rating of 0 is a rating."""
    n_rows, n_columns = matrix.shape
    columns = np.tile(np.arange(n_columns, dtype=np.int32), n_rows)
    starts = np.arange(0, matrix.size + 1, n_columns, dtype=np.int32)
    return csr_array((matrix.astype(np.float32).ravel(), columns, starts), shape=matrix.shape)


def complete_ratings(matrix: FloatMatrix) -> Ratings:
    """Ratings of every item by every user; ids are positions."""
    users, items = (IdMap(np.arange(n)) for n in matrix.shape)
    return Ratings(all_cells(matrix), users, items)


def hide_cells(ratings: Ratings, share: float, *, seed: int = 0) -> Ratings:
    """The ratings without a `share` of them, drawn at random. With one seed, a larger share hides what a
    smaller one hides, and more."""
    draws = numpy_generator(seed, "hidden-cells").random(ratings.n_observed)
    return ratings.keep(draws >= share)


def linear_models(rank: int) -> dict[str, ModelConfig]:
    """The kinds that are one model on complete data, without penalties."""
    network = {
        "activation": "identity",
        "hidden": (rank,),
        "debias": _UNDAMPED,
        "presence": "none",
        "corruption": None,
        "l2": 0.0,
        "training": TrainingConfig(optimizer="l-bfgs-b", epochs=8, iterations_per_epoch=100, patience=None),
    }
    return {
        "pca": PCAConfig(factors=rank, biases=_UNDAMPED),
        "i-autorec": ItemAutoRecConfig(**network),
        "u-autorec": UserAutoRecConfig(**network),
        "biased-mf": _factorisation(rank, _NOTHING),
    }


def factorise(matrix: FloatMatrix, rank: int, l2: float) -> FloatMatrix:
    """(m, n) what the engine's `biased-mf` makes of a complete matrix whose rows and columns have mean 0: its
    P Q' where `l2` · (‖P‖² + ‖Q‖²) is added to ‖X - P Q'‖², in units of the matrix. The engine divides by the
    deviation of the ratings, and its own penalty has no unit."""
    ratings = complete_ratings(matrix)
    unit = float(np.sqrt(np.mean(np.square(matrix))))
    config = _factorisation(rank, l2 / unit)
    return predictions(fit(config, ratings, context=Context(device="cpu")).model, ratings)


def _factorisation(rank: int, l2: float) -> BiasedMFConfig:
    return BiasedMFConfig(factors=rank, l2=l2, power=0.0, biases=_UNDAMPED, iterations=200, patience=None)


def predictions(model: Recommender, ratings: Ratings) -> FloatMatrix:
    """(n_users, n_items) float64: a dense matrix, of the scores that users get who are known by `ratings`."""
    histories = Histories.of(ratings, users=model.users, items=model.items)
    return np.concatenate([model.score(batch) for _, batch in histories.batches()]).astype(np.float64)


def item_axes(model: Recommender) -> FloatMatrix:
    """(n_items, k) float64: what tells the items apart for this model, beside their biases: factors, codes,
    principal axes, or weights of an output layer, each less its mean over the items, which the users' biases
    may as well say. Raises ValueError for a model that has none."""
    match model:
        case FactorRecommender() | LinearRecommender() if model.item_factors is not None:
            axes = model.item_factors
        case NetworkRecommender():
            axes = model.network.output_layer()[0]
        case _:
            raise ValueError(f"a {model.kind} model has no axes of items")
    return axes.astype(np.float64) - axes.mean(axis=0, dtype=np.float64)
