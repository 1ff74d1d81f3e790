"""A network under training by gradient, whatever it reads and minimises."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from scipy.sparse import csr_array

from recsys_ae.data.ratings import select_rows
from recsys_ae.models.configs import TrainingConfig
from recsys_ae.models.parts import make_schedule, pick_device
from recsys_ae.nn.autoencoder import Autoencoder
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import torch_seed
from recsys_ae.training.gradient import AutogradStep, GradientTrainee, make_optimizer
from recsys_ae.training.loop import shuffled_batches, train_epochs
from recsys_ae.training.runner import EpochRules, Trained, TrainingOptions, run_training

R = TypeVar("R")


def train_network(
    network: Autoencoder,
    objective: Objective,
    rows: csr_array,
    training: TrainingConfig,
    options: TrainingOptions,
    fitted: Callable[[Autoencoder], R],
) -> Trained[R]:
    """Minimise the objective over the rows, some at a time; `fitted` makes the recommender of the network as
    it is."""
    network = network.to(pick_device(options.context.device))
    objective = objective.to(network.device)
    optimizer = make_optimizer(training.optimizer, network.parameters(), learning_rate=training.learning_rate)
    noise = torch.Generator(network.device)
    sizes = np.diff(rows.indptr)
    batch_size = rows_per_step(training, n_rows=int(np.count_nonzero(sizes)))

    def all_rows() -> Iterator[RowBatch]:
        present = np.flatnonzero(sizes > 0)
        for start in range(0, len(present), batch_size):
            chosen = present[start : start + batch_size]
            yield RowBatch.of(select_rows(rows, chosen), device=network.device)

    def batches(epoch: int) -> Iterator[RowBatch]:
        objective.begin_epoch(network, all_rows)
        noise.manual_seed(torch_seed(options.seed, "corruption", epoch))
        for chosen in shuffled_batches(sizes, size=batch_size, seed=options.seed, epoch=epoch):
            yield RowBatch.of(select_rows(rows, chosen), device=network.device)

    step: AutogradStep[RowBatch] = AutogradStep(
        partial(objective, network, generator=noise),
        partial(objective.backward, network),
        optimizer,
        make_schedule(training.schedule, epochs=training.epochs),
    )
    epochs = partial(train_epochs, step, batches, max_epochs=training.epochs)
    trainee = GradientTrainee(
        network, objective, optimizer, epochs, partial(fitted, network), objective.sparsity.taken
    )
    rules = EpochRules(training.epochs, training.patience, training.validate_every)
    return run_training(trainee, rules, options)


def rows_per_step(training: TrainingConfig, *, n_rows: int) -> int:
    """The batch size, as far as it keeps the steps of an epoch over `n_rows` within their bounds."""
    largest, smallest = math.ceil(n_rows / training.min_steps), math.ceil(n_rows / training.max_steps)
    return max(min(training.batch_size, largest), smallest)
