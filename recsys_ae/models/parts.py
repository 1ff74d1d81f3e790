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
from recsys_ae.models.training_configs import CorruptionConfig, ScheduleConfig
from recsys_ae.nn import corruption
from recsys_ae.nn.autoencoder import Architecture
from recsys_ae.nn.losses import Loss, emphasised_squared_error, masked_squared_error, multinomial
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.pairs import CodeObjective
from recsys_ae.nn.penalties import GaussianKL, L2Penalty
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
    presence = {"tied": _TIED_PRESENCE, "free": None, "none": 0.0}[config.presence]
    after = config.hidden[-2::-1] if config.decoder == "mirror" else config.decoder
    widths, depth = _widths((*config.hidden, *after), rows), len(config.hidden)
    _warn_of_copies(config, widths, rows)
    return Architecture(
        rows.n_items,
        widths[:depth],
        widths[depth:],
        activation=config.activation,
        limits=limits,
        presence=presence,
        anchored=config.anchored,
        tied=config.tied,
    )


def _warn_of_copies(config: c.AutoRecConfig, widths: tuple[int, ...], rows: Ratings) -> None:
    """Say so where the network could learn to copy its rows: where every layer has at least as many units as
    there are columns with ratings, and nothing stands against it. What does is a corruption: hidden entries
    cannot be copied. `l2` is none: it makes what is copied weaker, and from which size on it makes the
    network leave some of it out depends on the data."""
    n_columns = _columns_with_ratings(rows)
    if min(widths) >= n_columns and config.corruption is None:
        log.warning(
            "the code is overcomplete: with %d units or more in each layer for %d columns with ratings, and "
            "inputs that are not corrupted, the network can learn to copy them, which predicts nothing; set "
            "corruption, or make hidden narrower",
            min(widths),
            n_columns,
        )


def _widths(hidden: tuple[int, ...], rows: Ratings) -> tuple[int, ...]:
    """The widths, as far as a layer has a bounded number of weights for each rating. Columns without ratings
    do not count."""
    n_columns = _columns_with_ratings(rows)
    most = _WEIGHTS_PER_RATING * rows.n_observed // max(1, n_columns)
    if max(hidden) > most:
        log.warning(
            "hidden layers have at most %d units: a layer has no more than %d weights for each rating",
            most,
            _WEIGHTS_PER_RATING,
        )
    return tuple(min(width, most) for width in hidden)


def _columns_with_ratings(rows: Ratings) -> int:
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
    return Objective(
        corruption=make_corruption(config.corruption, rows),
        loss=make_loss(config),
        penalties=penalties,
        hidden_dropout=config.hidden_dropout if isinstance(config, c.AutoRecConfig) else 0.0,
    )


def make_layer_objectives(config: c.AutoRecConfig, rows: Ratings) -> list[nn.Module]:
    """What each layer minimises in pretraining, from the outermost inwards: reconstruction of corrupted
    inputs. The outermost has a weight for every column and pays for them, as the whole network does; of the
    codes that the others reconstruct there are as many as rows times units."""
    corrupted = make_corruption(config.corruption, rows)
    penalties = {"l2": L2Penalty(config.l2, n_observed=rows.n_observed)} if config.l2 > 0 else {}
    return [
        Objective(corruption=corrupted, penalties=penalties),
        *(CodeObjective(corrupted) for _ in config.hidden[1:]),
    ]


def make_loss(config: c.AutoencoderConfig) -> Loss:
    """The data term."""
    if isinstance(config, c.MultinomialConfig):
        return multinomial
    if not isinstance(config, c.AutoRecConfig) or config.emphasis is None:
        return masked_squared_error
    assert isinstance(config.corruption, c.MaskingConfig | c.SaltAndPepperConfig)
    share, of = config.corruption.probability, config.emphasis
    mean = share * of.corrupted + (1 - share) * of.uncorrupted  # so that an entry counts 1 on average
    return partial(emphasised_squared_error, corrupted=of.corrupted / mean, uncorrupted=of.uncorrupted / mean)


def make_corruption(config: CorruptionConfig | None, rows: Ratings) -> corruption.Corruption:
    """What becomes of such rows. The ends of the scale are those of an average user and item, in the units of
    the rows."""
    match config:
        case None:
            return corruption.keep_clean
        case c.MaskingConfig():
            return partial(corruption.mask, probability=config.probability, rescale=config.rescale)
        case c.SaltAndPepperConfig():
            return partial(corruption.salt_and_pepper, probability=config.probability, limits=rows.limits())
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
