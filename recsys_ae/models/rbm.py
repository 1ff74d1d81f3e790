"""The RBM for collaborative filtering (Salakhutdinov, Mnih, Hinton 2007): a row is a user's ratings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array
from scipy.special import expit

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.data.ratings import Ratings
from recsys_ae.models.configs import RBMConfig
from recsys_ae.models.levels import Levels
from recsys_ae.models.parts import rbm_width
from recsys_ae.models.trainee import train_network
from recsys_ae.nn.penalties import L2Penalty
from recsys_ae.nn.rbm import RBM, ContrastiveDivergence
from recsys_ae.recommender import ItemVectors, clipped
from recsys_ae.rng import torch_generator
from recsys_ae.training.runner import Trained, TrainingOptions
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector

_DAMPING = 5.0  # ratings that each item's shares of levels are damped by before training
_CELLS_AT_ONCE = 1 << 24  # numbers worked on at a time: 64 MiB


@dataclass(frozen=True, slots=True, eq=False)
class RBMRecommender:
    """Reads the history of a user, seen in training or not, and predicts the mean of the levels of each item,
    weighted by their probabilities given those of the hidden units (one mean-field update: section 2.3 of
    the paper, eq. 11 and 12).

    `weights` (K * n_items, hidden), `visible_bias` (K * n_items,), `hidden_bias` (hidden,) and
    `presence_weights` (n_items, hidden) or None are float32, see `nn.rbm.RBM`. `limits`: of predicted
    ratings. A user without history gets the answer for an empty row; an item without training ratings the
    mean rating.
    """

    users: IdMap
    items: IdMap
    levels: Levels
    weights: FloatMatrix
    visible_bias: FloatVector
    hidden_bias: FloatVector
    limits: tuple[float, float]
    presence_weights: FloatMatrix | None = None

    kind: ClassVar[str] = "rbm"
    folds_in: ClassVar[bool] = True
    predicts_ratings: ClassVar[bool] = True
    ranks: ClassVar[bool] = True

    def score(self, batch: UserBatch) -> FloatMatrix:
        hidden = self._hidden(batch.history)
        scores = np.empty((len(hidden), len(self.items)), dtype=np.float32)
        n_rows = max(1, _CELLS_AT_ONCE // len(self.visible_bias))
        for start in range(0, len(hidden), n_rows):
            outputs = hidden[start : start + n_rows] @ self.weights.T
            outputs += self.visible_bias
            by_level = outputs.reshape(len(outputs), len(self.levels), -1)
            scores[start : start + n_rows] = self._means(by_level)
        return scores

    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        hidden = self._hidden(batch.history)
        scores = np.empty(len(rows), dtype=np.float32)
        n_pairs = max(1, _CELLS_AT_ONCE // (len(self.levels) * hidden.shape[1]))
        for start in range(0, len(rows), n_pairs):
            these = slice(start, start + n_pairs)
            places = items[these, None] + len(self.items) * np.arange(len(self.levels))
            outputs = np.einsum("pkf,pf->pk", self.weights[places], hidden[rows[these]])
            scores[these] = self._means((outputs + self.visible_bias[places])[:, :, None])[:, 0]
        return clipped(scores, self.limits)

    def item_vectors(self) -> ItemVectors:
        """The weights of an item's levels side by side, less their mean, which changes no probability."""
        by_level = self.weights.reshape(len(self.levels), len(self.items), -1)
        told_apart = by_level - by_level.mean(axis=0)
        return ItemVectors(told_apart.transpose(1, 0, 2).reshape(len(self.items), -1))

    def _hidden(self, history: csr_array) -> FloatMatrix:
        """(b, hidden) float32 probabilities of the hidden units given what is rated how."""
        ones = np.ones(len(history.data), dtype=np.float32)
        columns = self.levels.numbers(history.data) * len(self.items) + history.indices
        starts, shape = history.indptr, (history.shape[0], len(self.visible_bias))
        read = csr_array((ones, columns, starts), shape=shape) @ self.weights + self.hidden_bias
        if self.presence_weights is not None:
            read += csr_array((ones, history.indices, starts), shape=history.shape) @ self.presence_weights
        return expit(read)

    def _means(self, outputs: FloatMatrix) -> FloatMatrix:
        """(n, ...) mean ratings from outputs (n, K, ...), which are written over. The middle of the levels is
        taken off and put back, so that ratings far from 0 keep their digits."""
        middle = self.levels.values.mean()
        outputs -= outputs.max(axis=1, keepdims=True)
        np.exp(outputs, out=outputs)
        above = np.einsum("k,nk...->n...", (self.levels.values - middle).astype(np.float32), outputs)
        return above / outputs.sum(axis=1) + np.float32(middle)


def fit_rbm(config: RBMConfig, train: Ratings, options: TrainingOptions) -> Trained[RBMRecommender]:
    """Epoch 0 predicts about the damped means of the items."""
    levels = Levels.of(train, config.levels)
    network = start_rbm(config, train, levels, options.seed)
    l2 = L2Penalty(config.l2, n_observed=train.n_observed) if config.l2 else None
    objective = ContrastiveDivergence(partial(gibbs_steps, config), l2)

    def fitted(network: RBM) -> RBMRecommender:
        parameters = network.copied_parameters()
        return RBMRecommender(train.users, train.items, levels, limits=train.limits(), **parameters)

    rows = levels.of_entries(train.matrix)
    return train_network(network, objective, rows, config.training, options, fitted)


def start_rbm(config: RBMConfig, train: Ratings, levels: Levels, seed: int) -> RBM:
    """A machine that has not learnt yet: it gives each level of an item about its damped share."""
    counts = np.bincount(train.columns, minlength=train.n_items)
    width = rbm_width(config, train, len(levels))
    network = RBM(train.n_items, n_levels=len(levels), hidden=width, conditional=config.conditional)
    generator = torch_generator(seed, "parameters")
    return network.start(generator, levels.damped_shares(train, _DAMPING), counts > 0)


def gibbs_steps(config: RBMConfig, epoch: int) -> int:
    """T of CD_T in an epoch, from 1."""
    grown = 0 if config.grow_every is None else (epoch - 1) // config.grow_every
    return config.steps + grown
