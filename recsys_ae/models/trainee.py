"""A network under training by gradient, whatever it reads and minimises."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
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
from recsys_ae.nn import refeeding
from recsys_ae.nn.autoencoder import Autoencoder
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.pairs import layer_pairs
from recsys_ae.nn.rbm import RBM, ContrastiveDivergence
from recsys_ae.nn.rows import RowBatch
from recsys_ae.rng import derived_seed, torch_seed
from recsys_ae.training.fullbatch import WholeObjective, full_batch_epochs, lbfgs_epochs
from recsys_ae.training.gradient import AutogradStep, GradientTrainee, make_optimizer
from recsys_ae.training.layerwise import LayerwiseTrainee, Phase
from recsys_ae.training.loop import Step, shuffled_batches, train_epochs
from recsys_ae.training.runner import EpochRules, Trained, Trainee, TrainingOptions, run_training
from recsys_ae.types import CountVector, Mean, PositionVector, Terms

R = TypeVar("R")
N = TypeVar("N", Autoencoder, RBM)
_ENTRIES_AT_ONCE = 1 << 20  # of a block of rows that are read together
_ROWS_AT_ONCE = 1 << 13  # whose codes are in memory together


@dataclass(frozen=True, slots=True)
class Pretraining:
    """How each layer of a network is trained before the whole: for `epochs` epochs, to minimise its own of
    the `objectives`, which are in the order of the encoder's layers."""

    epochs: int
    objectives: Sequence[nn.Module]


def train_network(
    network: N,
    objective: Objective | ContrastiveDivergence,
    rows: csr_array,
    training: TrainingConfig,
    options: TrainingOptions,
    fitted: Callable[[N], R],
    *,
    pretraining: Pretraining | None = None,
) -> Trained[R]:
    """Minimise the objective over the rows; `fitted` makes the recommender of the network as it is.
    `pretraining`: of each layer by itself, before."""
    network = network.to(pick_device(options.context.device))
    objective = objective.to(network.device)
    make: Callable[..., Trainee[R]] = _of_all_rows if training.takes_all_rows else _of_batches
    trainee = make(network, objective, rows, training, options.seed, fitted)
    rules = EpochRules(training.epochs, training.patience, training.validate_every)
    if pretraining is not None:
        assert isinstance(network, Autoencoder), "only an autoencoder has layers that undo each other"
        phases: list[Phase[R]] = list(_phases(pretraining, network, rows, training, options.seed, fitted))
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
    fitted: Callable[[Any], R],
) -> Iterator[Phase[R]]:
    """The layers' own trainings, from the outermost inwards, each with random streams of its own."""
    epochs = pretraining.epochs
    alike = training.model_copy(update={"epochs": epochs, "schedule": ConstantSchedule(), "refeed": 0})
    pairs = zip(layer_pairs(network), pretraining.objectives, strict=True)
    for number, (pair, objective) in enumerate(pairs, 1):
        own_seed = derived_seed(seed, "pretraining", number)
        objective = objective.to(network.device)
        trainee = _of_batches(pair, objective, rows, alike, own_seed, lambda pair: fitted(network))
        yield Phase(trainee, epochs, data_term=f"pretraining layer {number}")


def _of_batches(
    network: Any,
    objective: Any,
    rows: csr_array,
    training: TrainingConfig,
    seed: int,
    fitted: Callable[[Any], R],
) -> GradientTrainee[R]:
    """A network, or layers of one, that takes each step on some of the rows. `objective`: one of such
    networks, `Objective` or `CodeObjective`."""
    optimizer = _optimizer(network, training)
    device = next(network.parameters()).device
    noise = torch.Generator(device)
    sizes = np.diff(rows.indptr)
    batch_size = rows_per_step(training, n_rows=int(np.count_nonzero(sizes)))

    def batches(epoch: int) -> Iterator[RowBatch]:
        if isinstance(network, Autoencoder):
            objective.begin_epoch(network, partial(_blocks, rows, device))
        noise.manual_seed(torch_seed(seed, "corruption", epoch))
        for chosen in shuffled_batches(sizes, size=batch_size, seed=seed, epoch=epoch):
            yield RowBatch.of(select_rows(rows, chosen), device=device)

    step: Step[RowBatch] = AutogradStep(
        partial(objective, network, generator=noise),
        partial(objective.backward, network),
        optimizer,
        make_schedule(training.schedule, epochs=training.epochs),
    )
    if training.refeed:
        assert isinstance(network, Autoencoder), "layers by themselves have no outputs of rows to read again"
        known = torch.from_numpy(np.bincount(rows.indices, minlength=rows.shape[1]) > 0).to(device)
        step = _refed(step, partial(refeeding.add_gradient, network, known=known), optimizer, training.refeed)
    epochs = partial(train_epochs, step, batches, max_epochs=training.epochs)
    measures = objective.sparsity.taken if isinstance(objective, Objective) else dict
    return GradientTrainee(network, objective, optimizer, epochs, partial(fitted, network), measures)


def _refed(
    on_rows: Step[RowBatch], refeed: Callable[..., Mean], optimizer: torch.optim.Optimizer, times: int
) -> Step[RowBatch]:
    """The step, followed by so many on what the network now makes of the clean rows. These pay no penalty: it
    is a part of the step on the rows themselves."""

    def steps(batch: RowBatch, *, step: int, epoch: int) -> Terms:
        terms = on_rows(batch, step=step, epoch=epoch)
        for number in range(1, times + 1):
            optimizer.zero_grad(set_to_none=True)
            term = refeed(batch, times=number)
            terms["refeed"] = terms["refeed"] + term if "refeed" in terms else term
            optimizer.step()
        return terms

    return steps


def _of_all_rows(
    network: Autoencoder,
    objective: Objective,
    rows: csr_array,
    training: TrainingConfig,
    seed: int,
    fitted: Callable[[Autoencoder], R],
) -> GradientTrainee[R]:
    """A network that takes each step on all rows, which it reads block by block."""
    whole = whole_objective(network, objective, rows, seed=seed)
    iterations, max_epochs = training.iterations_per_epoch, training.epochs
    measures = objective.sparsity.taken
    if training.optimizer != "l-bfgs-b":
        optimizer = _optimizer(network, training)
        epochs = partial(full_batch_epochs, whole, optimizer, iterations=iterations, max_epochs=max_epochs)
        return GradientTrainee(network, objective, optimizer, epochs, partial(fitted, network), measures)
    network.double()  # line searches end where values are rounded

    def fitted_single() -> R:
        return fitted(deepcopy(network).float())

    rhythm = training.validate_every
    epochs = partial(lbfgs_epochs, whole, iterations=iterations, max_epochs=max_epochs, validate_every=rhythm)
    return GradientTrainee(network, objective, None, epochs, fitted_single, measures)


def whole_objective(
    network: Autoencoder, objective: Objective, rows: csr_array, *, seed: int
) -> WholeObjective[RowBatch]:
    """The objective over all rows as one function of the parameters. Noise is that of the epoch, and each
    block has its own, whatever else is drawn for the blocks before it."""
    noise = torch.Generator(network.device)

    def blocks(epoch: int) -> Iterator[RowBatch]:
        for number, block in enumerate(_blocks(rows, network.device)):
            noise.manual_seed(torch_seed(seed, "corruption", epoch, number))
            yield block

    return WholeObjective(
        network,
        partial(objective, network, generator=noise),
        objective.backward_of_terms,
        partial(objective.add_known_gradient, network),
        blocks,
        partial(objective.begin_step, network, generator=noise),
    )


def _optimizer(network: nn.Module, training: TrainingConfig) -> torch.optim.Optimizer:
    assert training.optimizer != "l-bfgs-b", "an optimiser of SciPy"
    decay = {} if training.weight_decay is None else {"weight_decay": training.weight_decay}
    return make_optimizer(
        training.optimizer, network.parameters(), learning_rate=training.learning_rate, **decay
    )


def _blocks(rows: csr_array, device: torch.device) -> Iterator[RowBatch]:
    """All rows with entries, block by block."""
    for chosen in row_blocks(np.diff(rows.indptr)):
        yield RowBatch.of(select_rows(rows, chosen), device=device)


def row_blocks(sizes: CountVector) -> Iterator[PositionVector]:
    """Positions of the rows with at least one entry, each once, in their order: at most `_ENTRIES_AT_ONCE`
    entries together, if a row has not more, and `_ROWS_AT_ONCE` rows. `sizes`: (n_rows,) entries of each."""
    rows = np.flatnonzero(sizes > 0)
    ends, first = np.cumsum(sizes[rows]), 0
    while first < len(rows):
        before = ends[first] - sizes[rows[first]]
        fitting = int(np.searchsorted(ends, before + _ENTRIES_AT_ONCE, side="right"))
        end = min(max(fitting, first + 1), first + _ROWS_AT_ONCE)
        yield rows[first:end]
        first = end


def rows_per_step(training: TrainingConfig, *, n_rows: int) -> int:
    """The batch size, as far as it keeps the steps of an epoch over `n_rows` within their bounds."""
    largest, smallest = math.ceil(n_rows / training.min_steps), math.ceil(n_rows / training.max_steps)
    return max(min(training.batch_size, largest), smallest)
