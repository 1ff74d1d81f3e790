"""Mult-DAE and Mult-VAE (Liang, Krishnan, Hoffman, Jebara 2018): autoencoders of likes, made to rank."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recsys_ae.data.ratings import Ratings
from recsys_ae.models.configs import MultDAEConfig, MultVAEConfig
from recsys_ae.models.network import LikesNetworkRecommender
from recsys_ae.models.parts import make_multinomial_architecture, make_objective
from recsys_ae.models.positives import least_liked, likes_of, unit_rows
from recsys_ae.models.trainee import train_network
from recsys_ae.nn.autoencoder import NEVER, Autoencoder
from recsys_ae.rng import torch_generator
from recsys_ae.training.runner import Trained, TrainingOptions


def fit_multinomial(
    config: MultDAEConfig | MultVAEConfig, train: Ratings, options: TrainingOptions
) -> Trained[LikesNetworkRecommender]:
    """Rows are users. Items without likes are no part of any softmax and decide nothing. Raises DataError
    where nothing is liked."""
    positive = least_liked(config.positive, train.feedback)
    likes = likes_of(train, positive, config.kind)
    likes = replace(likes, matrix=unit_rows(likes.matrix, None), scale=None)
    network = start_network(config, likes, options.seed)

    def fitted(network: Autoencoder) -> LikesNetworkRecommender:
        return LikesNetworkRecommender(train.users, train.items, network.frozen_copy(), positive)

    objective = make_objective(config, likes)
    return train_network(network, objective, likes.matrix, config.training, options, fitted)


def start_network(config: MultDAEConfig | MultVAEConfig, likes: Ratings, seed: int) -> Autoencoder:
    """A network that has not learnt yet: each item's share of the softmax is its share of all likes."""
    counts = np.bincount(likes.columns, minlength=likes.n_items)
    shares = np.log(np.maximum(counts, 1) / likes.n_observed)
    network = Autoencoder.build(make_multinomial_architecture(config, likes))
    generator = torch_generator(seed, "parameters")
    return network.start(generator, means=np.where(counts > 0, shares, NEVER), observed=counts > 0)
