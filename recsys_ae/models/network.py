"""Scores as the reconstruction of a user's history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.sparse import csr_array

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.models.debias import Biases, subtract
from recsys_ae.models.pairs import clipped, pair_products
from recsys_ae.nn.autoencoder import Autoencoder
from recsys_ae.nn.rows import RowBatch
from recsys_ae.recommender import State
from recsys_ae.rng import torch_generator
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class NetworkRecommender:
    """Reads the history of a user, seen in training or not, and reconstructs the whole row.

    `network`: Autoencoder over items, on the CPU. `limits`: of predicted ratings. `biases`: where
    given, the network sees ratings less biases, and they are added again. A user without history gets the
    reconstruction of an empty row; an item without training ratings the mean rating plus the user's bias.
    """

    users: IdMap
    items: IdMap
    network: Autoencoder
    widths: tuple[int, ...]
    activation: str
    limits: tuple[float, float]
    biases: Biases | None = None

    kind: ClassVar[str] = "network"
    folds_in: ClassVar[bool] = True
    predicts_ratings: ClassVar[bool] = True
    ranks: ClassVar[bool] = True

    @torch.inference_mode()
    def score(self, batch: UserBatch) -> FloatMatrix:
        history, of_users, of_items = self._debiased(batch.history)
        scores = self.network(RowBatch.of(history)).dense().numpy()
        scores += of_users[:, None]
        scores += of_items
        return scores

    @torch.inference_mode()
    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        history, of_users, of_items = self._debiased(batch.history)
        hidden = self.network(RowBatch.of(history)).hidden.numpy()
        last = self.network.last
        raw = pair_products(hidden, last.weight.numpy(), rows, items) + last.bias.numpy()[items]
        scores = self.network.stretch(torch.from_numpy(raw)).numpy() + of_users[rows] + of_items[items]
        return clipped(scores, self.limits)

    def _debiased(self, history: csr_array) -> tuple[csr_array, FloatVector, FloatVector]:
        """What the network reads, and the (b,) and (n_items,) biases that it does not see."""
        if self.biases is None:
            return history, np.zeros(history.shape[0], np.float32), np.zeros(len(self.items), np.float32)
        of_users = self.biases.of_histories(history)
        return subtract(history, of_users, self.biases.items), of_users, self.biases.items

    def state(self) -> State:
        arrays = {f"network/{name}": tensor.numpy() for name, tensor in self.network.state_dict().items()}
        meta: dict[str, Any] = {
            "widths": list(self.widths),
            "activation": self.activation,
            "limits": list(self.limits),
            "output_limits": self.network.limits and list(self.network.limits),
            "biases": None,
        }
        if self.biases is not None:
            arrays |= {"biases/users": self.biases.users, "biases/items": self.biases.items}
            meta["biases"] = {"mean": self.biases.mean, "user_damping": self.biases.user_damping}
        return State(arrays, meta)

    @classmethod
    def from_state(cls, users: IdMap, items: IdMap, state: State) -> NetworkRecommender:
        """Inverse of `state`."""
        meta, arrays = state.meta, state.arrays
        network = build_network(
            len(items),
            meta["widths"],
            activation=meta["activation"],
            limits=meta["output_limits"] and tuple(meta["output_limits"]),
            seed=0,
        )
        network.load_state_dict(
            {
                name.removeprefix("network/"): torch.from_numpy(np.array(array))
                for name, array in arrays.items()
                if name.startswith("network/")
            }
        )
        biases = meta["biases"] and Biases(
            users=arrays["biases/users"], items=arrays["biases/items"], **meta["biases"]
        )
        return cls(
            users, items, network, tuple(meta["widths"]), meta["activation"], tuple(meta["limits"]), biases
        )


def build_network(
    n_columns: int, widths: Sequence[int], *, activation: str, limits: tuple[float, float] | None, seed: int
) -> Autoencoder:
    """A network with the parameters that `seed` gives."""
    return Autoencoder(
        n_columns, widths, activation=activation, limits=limits, generator=torch_generator(seed, "parameters")
    )
