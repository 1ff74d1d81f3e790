"""What training minimises."""

from __future__ import annotations

import torch
from torch import nn

from recsys_ae.nn.autoencoder import Autoencoder
from recsys_ae.nn.corruption import Corruption, keep_clean
from recsys_ae.nn.losses import masked_squared_error
from recsys_ae.nn.rows import RowBatch
from recsys_ae.types import Terms


class Objective(nn.Module):
    """Corrupt the input, reconstruct, compare with the clean values. The corruption happens here so that no
    caller can mix input and target up."""

    def __init__(self, corruption: Corruption = keep_clean) -> None:
        super().__init__()
        self.corruption = corruption

    def forward(self, network: Autoencoder, clean: RowBatch, *, generator: torch.Generator) -> Terms:
        """Terms of one batch: "reconstruction" is the squared error over observed entries."""
        output = network(self.corruption(clean, generator)).at(clean)
        return {"reconstruction": masked_squared_error(output, clean)}
