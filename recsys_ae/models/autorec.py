"""User- and item-based AutoRec (Sedhain, Menon, Sanner, Xie 2015)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from recsys_ae.data.ratings import Ratings, select_rows
from recsys_ae.errors import DataError
from recsys_ae.models.baselines import rating_limits
from recsys_ae.models.configs import AutoRecConfig, ItemAutoRecConfig, UserAutoRecConfig
from recsys_ae.models.context import FitContext
from recsys_ae.models.debias import Biases, find_biases, without_biases
from recsys_ae.models.factors import FactorRecommender
from recsys_ae.models.folding import RidgeFolding
from recsys_ae.models.network import NetworkRecommender, build_network
from recsys_ae.models.parts import make_corruption, make_schedule, pick_device
from recsys_ae.nn.autoencoder import Autoencoder
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.rows import RowBatch
from recsys_ae.recommender import Recommender
from recsys_ae.rng import torch_seed
from recsys_ae.training.batching import shuffled_batches
from recsys_ae.training.checkpoints import Checkpoint
from recsys_ae.training.interrupts import deferred_interrupt
from recsys_ae.training.loop import train_epochs
from recsys_ae.training.optimizers import make_optimizer
from recsys_ae.training.steps import AutogradStep
from recsys_ae.training.stopping import EarlyStopping
from recsys_ae.types import Epoch, FloatMatrix

_ROWS_AT_ONCE = 2048
_MEAN_DAMPING = 5.0
_LEAST_FOLD_IN_L2 = 1e-3  # a short history alone does not determine factors
R = TypeVar("R", bound=Recommender)
Snapshot = Callable[[Autoencoder], R]


def fit_user_autorec(config: UserAutoRecConfig, train: Ratings, context: FitContext) -> NetworkRecommender:
    """Rows are users; the fitted network reconstructs a user's history."""
    biases = find_biases(train, config.debias)
    rows = without_biases(train, biases) if config.debias else train

    def recommender(network: Autoencoder) -> NetworkRecommender:
        on_cpu = network if network.first.weight.is_cpu else deepcopy(network).cpu()
        return NetworkRecommender(
            train.users,
            train.items,
            on_cpu,
            config.hidden,
            config.activation,
            limits=rating_limits(train),
            biases=biases if config.debias else None,
        )

    return _train(config, rows, context, recommender)


def fit_item_autorec(config: ItemAutoRecConfig, train: Ratings, context: FitContext) -> FactorRecommender:
    """Rows are items. Each item is encoded once; a user's score of it is the inner product of the user's row
    of the last layer with the item's code."""
    biases = find_biases(train, config.debias)
    rows = (without_biases(train, biases) if config.debias else train).transposed()
    return _train(config, rows, context, partial(_item_recommender, config, train, rows, biases))


def _train(config: AutoRecConfig, rows: Ratings, context: FitContext, snapshot: Snapshot[R]) -> R:
    """The `for` loop over epochs: validate, tell, stop, keep."""
    network = _initial_network(config, rows, context.seed).to(pick_device(context.device))
    optimizer = make_optimizer(
        config.training.optimizer,
        network,
        learning_rate=config.training.learning_rate,
        weight_decay=config.l2 / rows.n_observed,  # the loss is a mean of squared errors, lambda of a sum
    )
    stopping = EarlyStopping(config.training.patience)
    checkpoint = _checkpoint(config, rows, context)
    done = checkpoint.load(network, optimizer, stopping) if context.resume else []
    for epoch in done:
        context.on_epoch(epoch)  # a continued training has one curve, not the end of one
    with deferred_interrupt() as interrupt:
        for epoch in _epochs(config, rows, network, optimizer, context.seed, first=len(done) + 1):
            epoch = _validated(epoch, config, network, stopping, context, snapshot)
            done.append(epoch)
            context.on_epoch(epoch)
            if epoch.score is not None and stopping.finished(epoch.number):
                break
            if interrupt.requested:
                checkpoint.save(network, optimizer, stopping, done)
                context.on_interrupt(epoch.number)
                break
            checkpoint.save_if_due(network, optimizer, stopping, done)
    stopping.restore(network)
    return snapshot(network)


def _epochs(
    config: AutoRecConfig,
    rows: Ratings,
    network: Autoencoder,
    optimizer: torch.optim.Optimizer,
    seed: int,
    *,
    first: int,
) -> Iterator[Epoch]:
    device = network.first.weight.device.type
    noise = torch.Generator(device)
    objective = Objective(make_corruption(config.corruption))
    step = AutogradStep(
        partial(objective, network, generator=noise),
        optimizer,
        make_schedule(config.training.schedule, epochs=config.training.epochs),
    )
    sizes = np.diff(rows.matrix.indptr)

    def batches(epoch: int) -> Iterator[RowBatch]:
        noise.manual_seed(torch_seed(seed, "corruption", epoch))
        for chosen in shuffled_batches(sizes, size=config.training.batch_size, seed=seed, epoch=epoch):
            yield RowBatch.of(select_rows(rows.matrix, chosen), device=device)

    return train_epochs(step, batches, max_epochs=config.training.epochs, first_epoch=first)


def _validated(
    epoch: Epoch,
    config: AutoRecConfig,
    network: Autoencoder,
    stopping: EarlyStopping,
    context: FitContext,
    snapshot: Snapshot[R],
) -> Epoch:
    last = epoch.number == config.training.epochs
    if context.validate is None or (epoch.number % config.training.validate_every and not last):
        return epoch
    score = context.validate(snapshot(network))
    stopping.observe(epoch.number, score, network)
    return replace(epoch, score=score)


def _initial_network(config: AutoRecConfig, rows: Ratings, seed: int) -> Autoencoder:
    """Output biases start at the damped mean of their column. Columns without any rating get no weights:
    nothing would ever train them, so they neither add noise to a code nor leave the mean rating."""
    network = build_network(
        rows.n_items,
        config.hidden,
        activation=config.activation,
        limits=_stretch_limits(rows) if config.output == "scaled" else None,
        seed=seed,
    )
    counts = np.bincount(rows.columns, minlength=rows.n_items)
    sums = np.bincount(rows.columns, weights=rows.values, minlength=rows.n_items)
    means = (sums + _MEAN_DAMPING * rows.mean()) / (counts + _MEAN_DAMPING)
    with torch.no_grad():
        network.last.bias.copy_(network.unstretch(torch.from_numpy(means).float()))
        for layer in (network.first, network.last):
            layer.weight[torch.from_numpy(counts == 0)] = 0.0
    return network


def _stretch_limits(rows: Ratings) -> tuple[float, float]:
    low, high = rating_limits(rows)
    if low == high:
        raise DataError(
            f"output 'scaled' has nothing to stretch over: all ratings are {low:g} and no scale is declared; "
            "declare one, or set output: identity"
        )
    return low, high


def _item_recommender(
    config: ItemAutoRecConfig, train: Ratings, rows: Ratings, biases: Biases, network: Autoencoder
) -> FactorRecommender:
    """The last layer seen from its average user, whom users without training ratings get, and towards whom
    ridge regression on the item codes shrinks a user unseen in training, with the penalty that the users of
    training paid."""
    weight, bias = network.last.weight.detach().cpu().numpy(), network.last.bias.detach().cpu().numpy()
    codes = _codes(network, rows)
    trained = np.diff(train.matrix.indptr)[:, None] > 0
    average, mean = weight[trained[:, 0]].mean(axis=0), bias[trained[:, 0]].mean()
    return FactorRecommender(
        users=train.users,
        items=train.items,
        user_factors=np.where(trained, weight - average, np.float32(0)),
        item_factors=codes,
        user_biases=np.where(trained[:, 0], bias - mean + biases.users, np.float32(0)),
        item_biases=codes @ average + biases.items,
        mean=float(mean),
        output=config.output,
        limits=rating_limits(train),
        fold_in_l2=max(config.l2 / 2, _LEAST_FOLD_IN_L2),
        folding=RidgeFolding(bias_l2=config.debias.user_damping if config.debias else _MEAN_DAMPING),
    )


@torch.inference_mode()
def _codes(network: Autoencoder, rows: Ratings) -> FloatMatrix:
    """(n_rows, width) float32 last hidden layer of every row."""
    device = network.first.weight.device.type
    blocks = (
        np.arange(start, min(start + _ROWS_AT_ONCE, rows.n_users))
        for start in range(0, rows.n_users, _ROWS_AT_ONCE)
    )
    return np.concatenate(
        [
            network(RowBatch.of(select_rows(rows.matrix, block), device=device)).hidden.cpu().numpy()
            for block in blocks
        ]
    )


def _checkpoint(config: AutoRecConfig, rows: Ratings, context: FitContext) -> Checkpoint:
    """The ratings are hashed only where there is a folder whose state the key must match."""
    if context.checkpoint is None:
        return Checkpoint(None, "")
    text = f"{config.model_dump_json()} {context.seed} {rows.fingerprint()}"
    return Checkpoint(context.checkpoint, hashlib.blake2b(text.encode(), digest_size=16).hexdigest())
