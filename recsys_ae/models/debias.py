"""Ratings freed of user and item biases, so that a network spends nothing on them.

Only the biases go, the mean rating stays: an observed entry still weighs about the mean in the input, and so
the network goes on seeing *which* items were rated, which helps as much as how they were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from recsys_ae.data.ratings import Ratings, entry_rows
from recsys_ae.models.baselines import damped_means, solve_biases
from recsys_ae.models.configs import BiasesConfig
from recsys_ae.types import FloatVector


@dataclass(frozen=True, slots=True, eq=False)
class Biases:
    """Biases of the training part. `users`: (n_users,), `items`: (n_items,) float32 rating units; `mean`: the
    mean rating; `user_damping`: with which the bias of a history is estimated."""

    mean: float
    users: FloatVector
    items: FloatVector
    user_damping: float

    def of_histories(self, history: csr_array) -> FloatVector:
        """(b,) float32 user bias of each row: the damped mean of what mean and item biases leave."""
        left = history.data - np.float32(self.mean) - self.items[history.indices]
        return damped_means(left, entry_rows(history), history.shape[0], self.user_damping).astype(np.float32)


def find_biases(train: Ratings, config: BiasesConfig | None) -> Biases:
    """Biases as the bias baseline has them; all zero where `config` is None."""
    if config is None:
        zeros = np.zeros(train.n_users, np.float32), np.zeros(train.n_items, np.float32)
        return Biases(train.mean(), *zeros, user_damping=np.inf)
    users, items = solve_biases(
        train, user_damping=config.user_damping, item_damping=config.item_damping, sweeps=config.sweeps
    )
    return Biases(train.mean(), users.astype(np.float32), items.astype(np.float32), config.user_damping)


def without_biases(ratings: Ratings, biases: Biases) -> Ratings:
    """The same observed entries, user and item biases subtracted; no declared scale."""
    return replace(ratings, matrix=subtract(ratings.matrix, biases.users, biases.items), scale=None)


def subtract(matrix: csr_array, of_rows: FloatVector, of_columns: FloatVector) -> csr_array:
    """The stored entries of `matrix` less the bias of their row and of their column."""
    values = matrix.data - of_rows[entry_rows(matrix)] - of_columns[matrix.indices]
    return csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)
