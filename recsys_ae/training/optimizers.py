"""Torch optimisers by name."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn


def make_optimizer(
    name: Literal["adam", "sgd", "rmsprop"], module: nn.Module, *, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Optimiser of the objective plus half of `weight_decay` times the squared weights, biases excluded.

    The penalty enters as its exact gradient, so that it costs no pass of its own.
    """
    weights = [p for p in module.parameters() if p.dim() >= 2]
    biases = [p for p in module.parameters() if p.dim() < 2]
    groups = [
        {"params": weights, "weight_decay": weight_decay, "initial_lr": learning_rate},
        {"params": biases, "weight_decay": 0.0, "initial_lr": learning_rate},
    ]
    match name:
        case "adam":
            return torch.optim.Adam(groups, lr=learning_rate, fused=True)
        case "sgd":
            return torch.optim.SGD(groups, lr=learning_rate, momentum=0.9, nesterov=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr=learning_rate)
