"""From configs to the parts of a network and its training: a `match` each."""

from __future__ import annotations

import logging
from functools import partial
from typing import assert_never

import numpy as np
import torch
from torch import nn

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError, DataError
from recsys_ae.models import configs as c
from recsys_ae.models.penalty_configs import PenaltyConfig
from recsys_ae.models.training_configs import CorruptionConfig, ScheduleConfig
from recsys_ae.nn import corruption
from recsys_ae.nn.autoencoder import Architecture
from recsys_ae.nn.losses import masked_squared_error, multinomial
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.penalties import PENALTIES, GaussianKL, L2Penalty, Sizes
from recsys_ae.training import gradient

log = logging.getLogger(__name__)
_WEIGHTS_PER_RATING = 100  # of a layer: half a million columns with one rating each need no 500 units
_TIED_PRESENCE = 4.0  # about what a mean rating weighs beside a residual: 3.6 stars over a deviation of 0.9


def make_multinomial_architecture(config: c.MultDAEConfig | c.MultVAEConfig, likes: Ratings) -> Architecture:
    """The network for such likes: the decoder mirrors the encoder."""
    widths = _widths(config.hidden, likes)
    match config:
        case c.MultDAEConfig():
            encoder, decoder, code = widths, widths[-2::-1], None
        case c.MultVAEConfig():
            encoder, decoder, code = widths, widths[::-1], config.code
        case _:
            assert_never(config)
    return Architecture(likes.n_items, encoder, decoder, config.activation, code=code)


def make_architecture(config: c.AutoRecConfig, rows: Ratings) -> Architecture:
    """The network for such rows. Raises DataError where a scaled output has nothing to stretch over."""
    limits = None
    if config.output == "scaled":
        limits = low, high = rows.limits()
        if low == high:
            raise DataError(
                "output 'scaled' has nothing to stretch over: all ratings are equal and no scale is "
                "declared; declare one, or set output: identity"
            )
    presence = _TIED_PRESENCE if config.presence == "tied" else None
    widths = _widths(config.hidden, rows)
    return Architecture(
        rows.n_items,
        widths,
        activation=config.activation,
        limits=limits,
        presence=presence,
        anchored=config.anchored,
        top_k=None if config.bottleneck is None else min(config.bottleneck.k, widths[-1]),
    )


def _widths(hidden: tuple[int, ...], rows: Ratings) -> tuple[int, ...]:
    """The widths, as far as a layer has a bounded number of weights for each rating. Columns without ratings
    do not count."""
    most = _most_units(rows)
    if max(hidden) > most:
        log.warning(
            "hidden layers have at most %d units: a layer has no more than %d weights for each rating",
            most,
            _WEIGHTS_PER_RATING,
        )
    return tuple(min(width, most) for width in hidden)


def _most_units(rows: Ratings) -> int:
    return _WEIGHTS_PER_RATING * rows.n_observed // max(1, _n_columns(rows))


def _n_columns(rows: Ratings) -> int:
    """How many columns have ratings."""
    return int(np.count_nonzero(np.bincount(rows.columns)))


def make_objective(config: c.AutoencoderConfig, rows: Ratings) -> Objective:
    """What is minimised over such rows."""
    penalties: dict[str, nn.Module] = {}
    if config.l2 > 0:
        penalties["l2"] = L2Penalty(config.l2, n_observed=rows.n_observed)
    if isinstance(config, c.MultVAEConfig) and config.beta > 0:
        n_rows = np.count_nonzero(np.diff(rows.matrix.indptr))
        penalties["kl"] = GaussianKL(
            config.beta, anneal_epochs=config.anneal_epochs, entries_per_row=rows.n_observed / n_rows
        )
    if isinstance(config, c.AutoRecConfig) and config.penalty is not None:
        penalties[config.penalty.kind] = make_penalty(config.penalty, config.hidden[-1], rows)
    loss = multinomial if isinstance(config, c.MultinomialConfig) else masked_squared_error
    return Objective(corruption=make_corruption(config.corruption), loss=loss, penalties=penalties)


def make_penalty(config: PenaltyConfig, n_units: int, rows: Ratings) -> nn.Module:
    """The penalty on codes of `n_units`, or of fewer where `_widths` cuts them, over such rows."""
    n_rows = np.count_nonzero(np.diff(rows.matrix.indptr))
    sizes = Sizes(min(n_units, _most_units(rows)), rows.n_observed, int(n_rows), _n_columns(rows))
    return PENALTIES[config.kind](**config.model_dump(exclude={"kind"}), sizes=sizes)


def make_corruption(config: CorruptionConfig | None) -> corruption.Corruption:
    match config:
        case None:
            return corruption.keep_clean
        case c.MaskingConfig():
            return partial(corruption.mask, probability=config.probability)
        case c.GaussianNoiseConfig():
            return partial(corruption.add_noise, deviation=config.deviation)
        case _:
            assert_never(config)


def make_schedule(config: ScheduleConfig, *, epochs: int) -> gradient.Schedule:
    match config:
        case c.ConstantSchedule():
            return gradient.constant
        case c.CosineSchedule():
            return partial(gradient.cosine, epochs=config.epochs or epochs, final_share=config.final_share)
        case c.StepSchedule():
            return partial(gradient.step_decay, every=config.every, factor=config.factor)
        case _:
            assert_never(config)


def pick_device(name: str) -> str:
    """ "cuda" or "cpu"; "auto" takes the GPU where there is one. Raises ConfigError for another name, or for
    "cuda" where torch sees no GPU."""
    match name:
        case "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        case "cuda" if not torch.cuda.is_available():
            raise ConfigError("device 'cuda': torch sees no GPU here; use device auto or cpu")
        case "cpu" | "cuda":
            return name
        case _:
            raise ConfigError(f"device {name!r} is unknown; use auto, cpu or cuda")
