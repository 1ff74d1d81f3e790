"""Scores as the reconstruction of a user's history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from recsys_ae.data.batches import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.models.pairs import pair_products
from recsys_ae.nn.autoencoder import Autoencoder
from recsys_ae.nn.rows import RowBatch
from recsys_ae.recommender import State
from recsys_ae.rng import torch_generator
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class NetworkRecommender:
    """Reads the history of a user, seen in training or not, and reconstructs the whole row.

    `network`: Autoencoder over items, on the CPU. `limits`: predictions are clipped to them. A user without
    history gets the reconstruction of an empty row; an item without training ratings the mean rating.
    """

    users: IdMap
    items: IdMap
    network: Autoencoder
    widths: tuple[int, ...]
    activation: str
    limits: tuple[float, float]

    kind: ClassVar[str] = "network"
    folds_in: ClassVar[bool] = True
    predicts_ratings: ClassVar[bool] = True
    ranks: ClassVar[bool] = True

    @torch.inference_mode()
    def score(self, batch: UserBatch) -> FloatMatrix:
        return self.network(RowBatch.of(batch.history)).dense().clamp_(*self.limits).numpy()

    @torch.inference_mode()
    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        hidden = self.network(RowBatch.of(batch.history)).hidden.numpy()
        last = self.network.last
        raw = pair_products(hidden, last.weight.numpy(), rows, items) + last.bias.numpy()[items]
        return self.network.stretch(torch.from_numpy(raw)).clamp_(*self.limits).numpy()

    def state(self) -> State:
        arrays = {name: tensor.numpy() for name, tensor in self.network.state_dict().items()}
        meta = {"widths": list(self.widths), "activation": self.activation, "limits": list(self.limits),
                "output_limits": self.network.limits and list(self.network.limits)}
        return State(arrays, meta)

    @classmethod
    def from_state(cls, users: IdMap, items: IdMap, state: State) -> NetworkRecommender:
        meta = state.meta
        network = build_network(len(items), meta["widths"], activation=meta["activation"],
                                limits=meta["output_limits"] and tuple(meta["output_limits"]), seed=0)
        network.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in state.arrays.items()})
        return cls(users, items, network, tuple(meta["widths"]), meta["activation"], tuple(meta["limits"]))


def build_network(n_columns: int, widths: Sequence[int], *, activation: str,
                  limits: tuple[float, float] | None, seed: int) -> Autoencoder:
    """A network with the parameters that `seed` gives."""
    return Autoencoder(n_columns, widths, activation=activation, limits=limits,
                       generator=torch_generator(seed, "parameters"))
