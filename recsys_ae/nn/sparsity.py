"""How sparse the codes of an epoch are: measured, not minimised."""

from __future__ import annotations

import torch
from torch import Tensor

from recsys_ae.nn.autoencoder import Autoencoder, Reconstruction
from recsys_ae.nn.bottleneck import TopK
from recsys_ae.nn.layers import states_of


class Sparsity:
    """Gathers the codes of an epoch batch by batch, as one sum for each unit, and tells of them

    `mean_activation`: the mean over all units and rows; a unit with bounds counts as the share of the way
    from its lowest to its highest state, which is what a wanted sparsity is a share of;
    `active_share`: the share of its units that are active in a row, averaged over rows;
    `dead_share`: the share of the units that were active in no row.

    A unit is active where it is above what its activation function says of 0: a sigmoid above 1/2, all others
    above 0. Behind a top-k bottleneck a unit is active where it passes.
    """

    def __init__(self) -> None:
        self._n_rows = 0
        self._states, self._active = torch.zeros(()), torch.zeros(())  # (width,) from the first batch on

    @torch.no_grad()
    def add(self, network: Autoencoder, reconstruction: Reconstruction) -> None:
        """Take in the codes of a batch. Codes that are drawn are left out: noise is no activation."""
        code = reconstruction.code
        if reconstruction.posterior is not None:
            return
        if self._n_rows == 0:
            self._states = code.new_zeros(code.shape[1], dtype=torch.float64)
            self._active = code.new_zeros(code.shape[1], dtype=torch.int64)
        self._n_rows += len(code)
        self._states += states_of(code, network.encoder.activation).sum(dim=0)
        self._active += _active(network, code).sum(dim=0)

    def taken(self) -> dict[str, float]:
        """What the codes were since the last time; nothing where there were none."""
        n_rows, self._n_rows = self._n_rows, 0
        if n_rows == 0:
            return {}
        return {
            "mean_activation": float(self._states.mean()) / n_rows,
            "active_share": float(self._active.double().mean()) / n_rows,
            "dead_share": float((self._active == 0).double().mean()),
        }


def _active(network: Autoencoder, code: Tensor) -> Tensor:
    """(b, width) bool: which units are active."""
    if isinstance(network.bottleneck, TopK):
        rest = network.rest()
        return code.ne(0 if rest is None else rest)
    return code > network.encoder.activation(code.new_zeros(()))
