"""Networks as they are in the middle of training: no parameter is 0."""

from __future__ import annotations

import torch

from recsys_ae.nn.autoencoder import Architecture, Autoencoder
from recsys_ae.rng import torch_generator


def drawn_network(plan: Architecture, seed: int = 0) -> Autoencoder:
    """A network of this plan with biases drawn, too, and weights of the output layer."""
    network = Autoencoder.build(plan).start(torch_generator(seed, "test"))
    generator = torch_generator(seed, "test", "last")
    for parameter in (network.decoder.last.matrix, network.decoder.last.bias):
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    return network
