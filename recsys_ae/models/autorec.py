"""User- and item-based AutoRec (Sedhain, Menon, Sanner, Xie 2015)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from recsys_ae.data.ratings import Ratings, select_rows
from recsys_ae.models.biases import Biases, damped_means
from recsys_ae.models.configs import AutoRecConfig, ItemAutoRecConfig, UserAutoRecConfig
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.folding import RidgeFoldIn
from recsys_ae.models.network import NetworkRecommender
from recsys_ae.models.parts import make_architecture, make_layer_objectives, make_objective
from recsys_ae.models.trainee import Pretraining, train_network
from recsys_ae.nn.autoencoder import Autoencoder
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_generator
from recsys_ae.training.runner import Trained, TrainingOptions
from recsys_ae.types import FloatMatrix

_ROWS_AT_ONCE = 2048
_MEAN_DAMPING = 5.0
_LEAST_FOLD_IN_L2 = 1e-3  # a short history alone does not determine factors
R = TypeVar("R")


def fit_autorec(
    config: ItemAutoRecConfig | UserAutoRecConfig, train: Ratings, options: TrainingOptions
) -> Trained[FactorRecommender] | Trained[NetworkRecommender]:
    """AutoRec from either side."""
    if isinstance(config, ItemAutoRecConfig):
        return fit_item_autorec(config, train, options)
    return fit_user_autorec(config, train, options)


def fit_user_autorec(
    config: UserAutoRecConfig, train: Ratings, options: TrainingOptions
) -> Trained[NetworkRecommender]:
    """Rows are users; the fitted network reconstructs a user's history."""
    biases = _biases(config, train)

    def fitted(network: Autoencoder) -> NetworkRecommender:
        own = network.frozen_copy()
        return NetworkRecommender(train.users, train.items, own, limits=train.limits(), biases=biases)

    return _train(config, biases.removed_from(train), options, fitted)


def fit_item_autorec(
    config: ItemAutoRecConfig, train: Ratings, options: TrainingOptions
) -> Trained[FactorRecommender]:
    """Rows are items. Each item is encoded once; a user's score of it is the inner product of the user's row
    of the output layer with what that layer reads of the item."""
    biases = _biases(config, train)
    rows = biases.removed_from(train).transposed()
    return _train(config, rows, options, partial(item_recommender, config, train, rows, biases))


def _biases(config: AutoRecConfig, train: Ratings) -> Biases:
    """What is taken off the ratings before the network reads them: without `debias` their mean alone."""
    return Biases.of_mean(train) if config.debias is None else Biases.solve(train, config.debias)


def _train(
    config: AutoRecConfig, rows: Ratings, options: TrainingOptions, fitted: Callable[[Autoencoder], R]
) -> Trained[R]:
    """Minimise the objective over standardised `rows`; `fitted` makes the recommender of the network as it
    is. Inputs that are corrupted while layers are pretrained are so no longer in what follows."""
    network = start_network(config, rows, options.seed)
    pretraining = None
    if config.pretraining is not None:
        objectives = make_layer_objectives(config, rows)
        pretraining = Pretraining(config.pretraining.epochs, objectives)
        config = config.model_copy(update={"corruption": None})
    objective = make_objective(config, rows)
    return train_network(
        network, objective, rows.matrix, config.training, options, fitted, pretraining=pretraining
    )


def start_network(config: AutoRecConfig, rows: Ratings, seed: int) -> Autoencoder:
    """A network that has not learnt yet: it predicts what the biases say, or without biases the damped mean
    of each column; a tied one nearly so. Columns without ratings decide nothing."""
    counts = np.bincount(rows.columns, minlength=rows.n_items)
    means = None
    if config.debias is None:
        means = damped_means(rows.values, rows.columns, rows.n_items, _MEAN_DAMPING)
    network = Autoencoder.build(make_architecture(config, rows))
    return network.start(torch_generator(seed, "parameters"), means=means, observed=counts > 0)


def item_recommender(
    config: ItemAutoRecConfig, train: Ratings, rows: Ratings, biases: Biases, network: Autoencoder
) -> FactorRecommender:
    """The output layer seen from its average user, whom users without training ratings get, and towards whom
    ridge regression on the item codes shrinks a user unseen in training, with the penalty that the users of
    training paid. Only users with training ratings make the average. A scaled output is in the units of the
    ratings already; others are freed of their standardisation here."""
    weight, bias = network.output_layer()
    hidden = _hidden(network, rows)
    if not weight.any():  # no output reads the codes yet, so unseen users must not be fitted to them either
        hidden = np.zeros_like(hidden)
    trained = np.diff(train.matrix.indptr) > 0
    average, mean = weight[trained].mean(axis=0), bias[trained].mean()
    unit, zero = (np.float32(biases.deviation), biases.mean) if config.output == "identity" else (1, 0.0)
    return FactorRecommender(
        users=train.users,
        items=train.items,
        user_factors=np.where(trained[:, None], unit * (weight - average), np.float32(0)),
        item_factors=hidden,
        user_biases=np.where(trained, unit * (bias - mean) + biases.users, np.float32(0)),
        item_biases=unit * (hidden @ average) + biases.items,
        mean=float(unit * mean + zero),
        output=config.output,
        limits=train.limits(),
        fold_in=RidgeFoldIn(
            l2=max(config.l2 / 2, _LEAST_FOLD_IN_L2),
            bias_l2=config.debias.user_damping if config.debias else _MEAN_DAMPING,
        ),
    )


@torch.inference_mode()
def _hidden(network: Autoencoder, rows: Ratings) -> FloatMatrix:
    """(n_rows, width) float32: what the output layer reads of every row."""
    found = []
    for start in range(0, rows.n_users, _ROWS_AT_ONCE):
        block = np.arange(start, min(start + _ROWS_AT_ONCE, rows.n_users))
        batch = RowBatch.of(select_rows(rows.matrix, block), device=network.device)
        found.append(network(batch).hidden.cpu().numpy())
    return np.concatenate(found)
