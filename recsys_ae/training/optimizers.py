"""Torch optimisers by name."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn


def make_optimizer(
    name: Literal["adam", "sgd", "rmsprop"], module: nn.Module, *, learning_rate: float, l2: float
) -> torch.optim.Optimizer:
    """Optimiser of the sum of the objective and `l2` times the squared weights, biases excluded.

    The penalty enters as weight decay of 2 · l2, its exact gradient, so that it costs no pass of its own.
    """
    weights = [p for p in module.parameters() if p.dim() >= 2]
    biases = [p for p in module.parameters() if p.dim() < 2]
    groups = [
        {"params": weights, "weight_decay": 2 * l2, "initial_lr": learning_rate},
        {"params": biases, "weight_decay": 0.0, "initial_lr": learning_rate},
    ]
    match name:
        case "adam":
            return torch.optim.Adam(groups, lr=learning_rate, fused=True)
        case "sgd":
            return torch.optim.SGD(groups, lr=learning_rate, momentum=0.9, nesterov=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=learning_rate)
