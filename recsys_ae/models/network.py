"""Scores as the reconstruction of a user's history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import csr_array

from recsys_ae.data.histories import UserBatch
from recsys_ae.data.ids import IdMap
from recsys_ae.models.biases import Biases
from recsys_ae.models.positives import unit_rows
from recsys_ae.nn.autoencoder import Autoencoder, Reconstruction
from recsys_ae.nn.rows import RowBatch
from recsys_ae.recommender import Codes, ItemVectors, clipped
from recsys_ae.types import FloatMatrix, FloatVector, PositionVector


@dataclass(frozen=True, slots=True, eq=False)
class NetworkRecommender:
    """Reads the history of a user, seen in training or not, and reconstructs the whole row.

    `network`: Autoencoder over items, on the CPU, in evaluation mode, shared with nobody. `limits`: of
    predicted ratings. `biases`: the network sees ratings standardised by them, and says how a rating differs
    from them. A user without history gets the reconstruction of an empty row; an item without training
    ratings the mean rating plus the user's bias.
    """

    users: IdMap
    items: IdMap
    network: Autoencoder
    limits: tuple[float, float]
    biases: Biases

    kind: ClassVar[str] = "network"
    folds_in: ClassVar[bool] = True
    predicts_ratings: ClassVar[bool] = True
    ranks: ClassVar[bool] = True

    @torch.inference_mode()
    def score(self, batch: UserBatch) -> FloatMatrix:
        history, user_biases = self._read(batch.history)
        return self._rated(self.network(RowBatch.of(history)), user_biases)

    @torch.inference_mode()
    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        history, user_biases = self._read(batch.history)
        pairs = torch.from_numpy(np.asarray(rows)), torch.from_numpy(np.asarray(items))
        scores = self.network(RowBatch.of(history)).pairs(*pairs).numpy()
        scores *= np.float32(self.biases.deviation)
        scores += user_biases[rows] + self._item_means()[items]
        return clipped(scores, self.limits)

    @property
    def code_size(self) -> int | None:
        return self.network.drawn_code_size

    @property
    def bias_deviation(self) -> float:
        known = self.biases.users[self.biases.users.astype(bool)]  # others are 0
        return float(np.sqrt(np.mean(np.square(known)))) if len(known) else 0.0

    @torch.inference_mode()
    def encode(self, batch: UserBatch) -> Codes:
        history, user_biases = self._read(batch.history)
        return Codes(self.network(RowBatch.of(history)).code.numpy(), user_biases)

    @torch.inference_mode()
    def decode(self, codes: Codes) -> FloatMatrix:
        return self._rated(self.network.decoded(torch.from_numpy(codes.codes)), codes.biases)

    def item_vectors(self) -> ItemVectors:
        """The weights by which the output layer makes an item's score of what it reads."""
        return ItemVectors(self.network.output_layer()[0])

    def told(self, scores: FloatMatrix) -> FloatMatrix:
        return clipped(scores.copy(), self.limits)

    def _rated(self, reconstruction: Reconstruction, user_biases: FloatVector) -> FloatMatrix:
        """(b, n_items) what is reconstructed, in rating units."""
        scores = reconstruction.dense().numpy()
        scores *= np.float32(self.biases.deviation)
        scores += user_biases[:, None]
        scores += self._item_means()
        return scores

    def _item_means(self) -> FloatVector:
        """(n_items,) float32: what an item is rated by a user without a bias, as far as the biases know."""
        return self.biases.items + np.float32(self.biases.mean)

    def _read(self, history: csr_array) -> tuple[csr_array, FloatVector]:
        """What the network reads, and the (b,) user biases that it does not see."""
        of_users = self.biases.of_histories(history)
        return self.biases.standardised(history, of_users), of_users


@dataclass(frozen=True, slots=True, eq=False)
class LikesNetworkRecommender:
    """Reads what a user likes, seen in training or not, and scores all items by the raw outputs of a network,
    such as the logs of their shares of a softmax, up to a constant of the user. The likes of a row have
    length 1 together.

    `positive`: entries below it are no likes; None: all are. A user without likes gets the scores of an empty
    row; items without likes in training come last.
    """

    users: IdMap
    items: IdMap
    network: Autoencoder
    positive: float | None = None

    kind: ClassVar[str] = "likes-network"
    folds_in: ClassVar[bool] = True
    predicts_ratings: ClassVar[bool] = False
    ranks: ClassVar[bool] = True

    @torch.inference_mode()
    def score(self, batch: UserBatch) -> FloatMatrix:
        return self._reconstructed(batch).dense().numpy()

    @torch.inference_mode()
    def score_pairs(self, batch: UserBatch, rows: PositionVector, items: PositionVector) -> FloatVector:
        pairs = torch.from_numpy(np.asarray(rows)), torch.from_numpy(np.asarray(items))
        return self._reconstructed(batch).pairs(*pairs).numpy()

    @property
    def code_size(self) -> int | None:
        return self.network.drawn_code_size

    @property
    def bias_deviation(self) -> float:
        return 0.0

    @torch.inference_mode()
    def encode(self, batch: UserBatch) -> Codes:
        codes = self._reconstructed(batch).code.numpy()
        return Codes(codes, np.zeros(len(codes), dtype=np.float32))

    @torch.inference_mode()
    def decode(self, codes: Codes) -> FloatMatrix:
        return self.network.decoded(torch.from_numpy(codes.codes)).dense().log_softmax(dim=1).numpy()

    def item_vectors(self) -> ItemVectors:
        """The weights by which the output layer makes an item's score of what it reads."""
        return ItemVectors(self.network.output_layer()[0])

    def told(self, scores: FloatMatrix) -> FloatMatrix:
        return np.exp(scores)

    def _reconstructed(self, batch: UserBatch) -> Reconstruction:
        return self.network(RowBatch.of(unit_rows(batch.history, self.positive)))
