"""AutoRec (Sedhain, Menon, Sanner, Xie 2015) of likes, with losses that count what is not liked: it ranks."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ratings import Ratings
from recsys_ae.models.configs import ImplicitAutoRecConfig, SampledLossConfig, WeightedLossConfig
from recsys_ae.models.network import LikesNetworkRecommender
from recsys_ae.models.parts import make_implicit_architecture, make_objective
from recsys_ae.models.positives import confidences, least_liked, likes_of
from recsys_ae.models.trainee import train_network
from recsys_ae.nn.autoencoder import Autoencoder
from recsys_ae.rng import torch_generator
from recsys_ae.training.runner import Trained, TrainingOptions


def fit_implicit_autorec(
    config: ImplicitAutoRecConfig, train: Ratings, options: TrainingOptions
) -> Trained[LikesNetworkRecommender]:
    """Rows are users. Users and items without likes are no part of any loss and decide nothing; such an item
    comes last. Raises DataError where nothing is liked."""
    positive = least_liked(config.positive, train.feedback)
    likes = weighted_likes(config, likes_of(train, positive, config.kind))
    unliked = np.bincount(likes.columns, minlength=likes.n_items) == 0

    def fitted(network: Autoencoder) -> LikesNetworkRecommender:
        own = network.frozen_copy().silenced(unliked)
        return LikesNetworkRecommender(train.users, train.items, own, positive)

    network, objective = start_network(config, likes, options.seed), make_objective(config, likes)
    return train_network(network, objective, likes.matrix, config.training, options, fitted)


def weighted_likes(config: ImplicitAutoRecConfig, likes: Ratings) -> Ratings:
    """The same entries, whose values are their weights in a weighted loss; a sampled one asks for none."""
    old, weights = likes.matrix, np.ones(likes.n_observed)
    if isinstance(config.loss, WeightedLossConfig):
        mean_count = float(likes.values.mean(dtype=np.float64)) if likes.feedback == "counts" else None
        weights = confidences(likes.values, config.loss.alpha, mean_count)
    matrix = csr_array((weights.astype(np.float32), old.indices, old.indptr), shape=old.shape)
    return replace(likes, matrix=matrix, scale=None)


def start_network(config: ImplicitAutoRecConfig, likes: Ratings, seed: int) -> Autoencoder:
    """A network that has not learnt yet: an item's outputs are alike for all users, and what is best so."""
    counts = np.bincount(likes.columns, minlength=likes.n_items)
    network = Autoencoder.build(make_implicit_architecture(config, likes))
    generator = torch_generator(seed, "parameters")
    return network.start(generator, means=_constants(config, likes, counts), observed=counts > 0)


def _constants(config: ImplicitAutoRecConfig, likes: Ratings, counts: np.ndarray) -> np.ndarray:
    """(n_items,) the output of each item that is best for all users together, 0 where there are no likes.

    Of a weighted loss the weight of the likes as a share of that of all cells. Of a sampled one the log of
    likes over draws to be expected, as if those that hit a like counted, too: so it is finite, and ordered by
    popularity."""
    match config.loss:
        case WeightedLossConfig():
            n_users = np.count_nonzero(np.diff(likes.matrix.indptr))
            weights = np.bincount(likes.columns, weights=likes.values, minlength=likes.n_items)
            return weights / (weights + n_users - counts).clip(min=1e-9)
        case SampledLossConfig(negatives=negatives):
            draws = negatives * likes.n_observed / np.count_nonzero(counts)
            return np.where(counts > 0, np.log(np.maximum(counts, 1) / draws), 0.0)
        case _:
            assert_never(config.loss)
