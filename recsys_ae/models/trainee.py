"""A network under training by gradient, whatever it reads and minimises."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import nn

from recsys_ae.data.ratings import select_rows
from recsys_ae.models.configs import ConstantSchedule, TrainingConfig
from recsys_ae.models.parts import make_schedule, pick_device
from recsys_ae.nn.autoencoder import Autoencoder
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.pairs import layer_pairs
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import derived_seed, torch_seed
from recsys_ae.training.gradient import AutogradStep, GradientTrainee, make_optimizer
from recsys_ae.training.layerwise import LayerwiseTrainee, Phase
from recsys_ae.training.loop import shuffled_batches, train_epochs
from recsys_ae.training.runner import EpochRules, Trained, Trainee, TrainingOptions, run_training

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Pretraining:
    """How each layer of a network is trained before the whole: for `epochs` epochs, to minimise its own of
    the `objectives`, which are in the order of the encoder's layers."""

    epochs: int
    objectives: Sequence[nn.Module]


def train_network(
    network: Autoencoder,
    objective: Objective,
    rows: csr_array,
    training: TrainingConfig,
    options: TrainingOptions,
    fitted: Callable[[Autoencoder], R],
    *,
    pretraining: Pretraining | None = None,
) -> Trained[R]:
    """Minimise the objective over the rows, some at a time; `fitted` makes the recommender of the network as
    it is. `pretraining`: of each layer by itself, before."""
    network = network.to(pick_device(options.context.device))
    objective = objective.to(network.device)
    trainee: Trainee[R] = _of_batches(network, objective, rows, training, options.seed, fitted)
    rules = EpochRules(training.epochs, training.patience, training.validate_every)
    if pretraining is not None:
        phases = list(_phases(pretraining, network, rows, training, options.seed, fitted))
        before = sum(phase.n_epochs for phase in phases)
        trainee = LayerwiseTrainee((*phases, Phase(trainee, training.epochs)))
        rules = replace(rules, max_epochs=before + training.epochs, pretraining=before)
    return run_training(trainee, rules, options)


def _phases(
    pretraining: Pretraining,
    network: Autoencoder,
    rows: csr_array,
    training: TrainingConfig,
    seed: int,
    fitted: Callable[[Autoencoder], R],
) -> Iterator[Phase[R]]:
    """The layers' own trainings, from the outermost inwards, each with random streams of its own."""
    epochs = pretraining.epochs
    alike = training.model_copy(update={"epochs": epochs, "schedule": ConstantSchedule()})
    pairs = zip(layer_pairs(network), pretraining.objectives, strict=True)
    for number, (pair, objective) in enumerate(pairs, 1):
        own_seed = derived_seed(seed, "pretraining", number)
        objective = objective.to(network.device)
        trainee = _of_batches(pair, objective, rows, alike, own_seed, lambda pair: fitted(network))
        yield Phase(trainee, epochs, data_term=f"pretraining layer {number}")


def _of_batches(
    network: nn.Module,
    objective: Any,
    rows: csr_array,
    training: TrainingConfig,
    seed: int,
    fitted: Callable[[Any], R],
) -> GradientTrainee[R]:
    """A network, or layers of one, that takes each step on some of the rows. `objective`: one of such
    networks, `Objective` or `CodeObjective`."""
    optimizer = make_optimizer(training.optimizer, network.parameters(), learning_rate=training.learning_rate)
    device = next(network.parameters()).device
    noise = torch.Generator(device)
    sizes = np.diff(rows.indptr)
    batch_size = rows_per_step(training, n_rows=int(np.count_nonzero(sizes)))

    def batches(epoch: int) -> Iterator[RowBatch]:
        noise.manual_seed(torch_seed(seed, "corruption", epoch))
        for chosen in shuffled_batches(sizes, size=batch_size, seed=seed, epoch=epoch):
            yield RowBatch.of(select_rows(rows, chosen), device=device)

    step: AutogradStep[RowBatch] = AutogradStep(
        partial(objective, network, generator=noise),
        partial(objective.backward, network),
        optimizer,
        make_schedule(training.schedule, epochs=training.epochs),
    )
    epochs = partial(train_epochs, step, batches, max_epochs=training.epochs)
    return GradientTrainee(network, objective, optimizer, epochs, partial(fitted, network))


def rows_per_step(training: TrainingConfig, *, n_rows: int) -> int:
    """The batch size, as far as it keeps the steps of an epoch over `n_rows` within their bounds."""
    largest, smallest = math.ceil(n_rows / training.min_steps), math.ceil(n_rows / training.max_steps)
    return max(min(training.batch_size, largest), smallest)
