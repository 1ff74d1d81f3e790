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
from recsys_ae.models.training_configs import ScheduleConfig
from recsys_ae.nn import corruption
from recsys_ae.nn.autoencoder import Architecture
from recsys_ae.nn.losses import (
    Loss,
    SampledCrossEntropy,
    emphasised_squared_error,
    masked_squared_error,
    multinomial,
    weighted_squared_error,
)
from recsys_ae.nn.objective import Objective
from recsys_ae.nn.pairs import CodeObjective
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
    presence = {"tied": _TIED_PRESENCE, "free": None, "none": 0.0}[config.presence]
    depth = len(config.hidden)
    widths = _widths((*config.hidden, *config.after_code), rows)
    _warn_of_copies(config, widths, rows)
    of = config.bottleneck
    return Architecture(
        rows.n_items,
        widths[:depth],
        widths[depth:],
        activation=config.activation,
        limits=limits,
        presence=presence,
        anchored=config.anchored,
        tied=config.tied,
        code=_widths((of.code,), rows)[0] if isinstance(of, c.GaussianCodeConfig) else None,
        top_k=min(of.k, widths[depth - 1]) if isinstance(of, c.TopKConfig) else None,
    )


def _warn_of_copies(config: c.AutoRecConfig, widths: tuple[int, ...], rows: Ratings) -> None:
    """Say so where the network could learn to copy its rows: where every layer has at least as many units as
    there are columns with ratings, and nothing stands against it. What does is a corruption (hidden entries
    cannot be copied; after pretraining none is hidden), a penalty on the code, or a bottleneck. `l2` does
    not: it makes what is copied weaker, and from which size on it makes the network leave some of it out
    depends on the data."""
    n_columns = _columns_with_ratings(rows)
    corrupted = config.corrupted_share > 0 and config.pretraining is None
    free = not corrupted and config.penalty is None and config.bottleneck is None
    if free and min(widths) >= n_columns:
        log.warning(
            "the code is overcomplete: with %d units or more in each layer for %d columns with ratings, and "
            "neither corruption nor penalty, the network can learn to copy its inputs, which predicts "
            "nothing; set corruption or penalty, or make hidden narrower",
            min(widths),
            n_columns,
        )


def rbm_width(config: c.RBMConfig, rows: Ratings, n_levels: int) -> int:
    """How many hidden units an RBM has: each has a weight for every level of every item, and one more for the
    item itself where the RBM is conditional."""
    return _widths((config.hidden,), rows, per_column=n_levels + config.conditional)[0]


def make_implicit_architecture(config: c.ImplicitAutoRecConfig, likes: Ratings) -> Architecture:
    """The network for such likes: the outputs are linear in the code."""
    return Architecture(likes.n_items, _widths(config.hidden, likes), activation=config.activation)


def _widths(hidden: tuple[int, ...], rows: Ratings, *, per_column: int = 1) -> tuple[int, ...]:
    """The widths, as far as a layer has a bounded number of weights for each rating, where a unit has
    `per_column` for each column. Columns without ratings do not count."""
    most = _most_units(rows, per_column)
    if max(hidden) > most:
        log.warning(
            "hidden layers have at most %d units, not %d: a layer has up to %d weights for each rating",
            most,
            max(hidden),
            _WEIGHTS_PER_RATING,
        )
    return tuple(min(width, most) for width in hidden)


def _most_units(rows: Ratings, per_column: int = 1) -> int:
    return _WEIGHTS_PER_RATING * rows.n_observed // max(1, per_column * _columns_with_ratings(rows))


def _rows_with_ratings(rows: Ratings) -> int:
    return int(np.count_nonzero(np.diff(rows.matrix.indptr)))


def _columns_with_ratings(rows: Ratings) -> int:
    return int(np.count_nonzero(np.bincount(rows.columns)))


def make_objective(config: c.AutoencoderConfig, rows: Ratings) -> Objective:
    """What is minimised over such rows."""
    penalties: dict[str, nn.Module] = {}
    if config.l2 > 0:
        penalties["l2"] = L2Penalty(config.l2, n_observed=rows.n_observed)
    if (kl := _divergence(config, rows)) is not None:
        penalties["kl"] = kl
    if isinstance(config, c.AutoRecConfig) and config.penalty is not None:
        penalty = config.penalty.of_all_rows() if config.training.takes_all_rows else config.penalty
        penalties[penalty.kind] = make_penalty(penalty, config.hidden[-1], rows)
    corrupt = make_corruption(config, rows)
    if isinstance(config, c.ImplicitAutoRecConfig):
        corrupt = partial(corruption.of_unit_rows, corruption=corrupt)
    return Objective(
        corruption=corrupt,
        loss=make_loss(config, rows),
        penalties=penalties,
        hidden_dropout=config.hidden_dropout if isinstance(config, c.AutoRecConfig) else 0.0,
    )


def make_penalty(config: PenaltyConfig, n_units: int, rows: Ratings) -> nn.Module:
    """The penalty on codes of `n_units`, or of fewer where `_widths` cuts them, over such rows."""
    n_units = min(n_units, _most_units(rows))
    sizes = Sizes(n_units, rows.n_observed, _rows_with_ratings(rows), _columns_with_ratings(rows))
    return PENALTIES[config.kind](**config.model_dump(exclude={"kind"}), sizes=sizes)


def _divergence(config: c.AutoencoderConfig, rows: Ratings) -> GaussianKL | None:
    """What holds drawn codes to the standard normal; None where there are none, or nothing holds them. A
    squared error is twice minus a normal log-likelihood, so beside it the divergence counts twice, too."""
    match config:
        case c.MultVAEConfig():
            codes, weight = config, config.beta
        case c.AutoRecConfig(bottleneck=c.GaussianCodeConfig() as codes):
            weight = 2 * codes.beta
        case _:
            return None
    if weight == 0:
        return None
    entries_per_row = rows.n_observed / _rows_with_ratings(rows)
    return GaussianKL(weight, anneal_epochs=codes.anneal_epochs, entries_per_row=entries_per_row)


def make_layer_objectives(config: c.AutoRecConfig, rows: Ratings) -> list[nn.Module]:
    """What each layer minimises in pretraining, from the outermost inwards: reconstruction of corrupted
    inputs. The outermost has a weight for every column and pays for them, as the whole network does; of the
    codes that the others reconstruct there are as many as rows times units."""
    corrupted = make_corruption(config, rows)
    penalties = {"l2": L2Penalty(config.l2, n_observed=rows.n_observed)} if config.l2 > 0 else {}
    return [
        Objective(corruption=corrupted, penalties=penalties),
        *(CodeObjective(corrupted) for _ in config.hidden[1:]),
    ]


def make_loss(config: c.AutoencoderConfig, rows: Ratings) -> Loss:
    """The data term."""
    match config:
        case c.MultinomialConfig():
            return multinomial
        case c.ImplicitAutoRecConfig(loss=c.WeightedLossConfig()):
            return weighted_squared_error
        case c.ImplicitAutoRecConfig(loss=c.SampledLossConfig(negatives=negatives, power=power)):
            counts = torch.from_numpy(np.bincount(rows.columns, minlength=rows.n_items)).double()
            chances = torch.where(counts > 0, counts**power, 0.0)
            return SampledCrossEntropy(chances, negatives=negatives)
        case c.AutoRecConfig(emphasis=c.EmphasisConfig() as emphasis):
            assert isinstance(config.corruption, c.MaskingConfig | c.SaltAndPepperConfig)
            return _emphasised(emphasis, config.corruption.probability)
        case _:
            return masked_squared_error


def _emphasised(config: c.EmphasisConfig, corrupted_share: float) -> Loss:
    """Scaled so that an entry counts 1 on average."""
    mean = corrupted_share * config.corrupted + (1 - corrupted_share) * config.uncorrupted
    corrupted, uncorrupted = config.corrupted / mean, config.uncorrupted / mean
    return partial(emphasised_squared_error, corrupted=corrupted, uncorrupted=uncorrupted)


def make_corruption(config: c.AutoencoderConfig, rows: Ratings) -> corruption.Corruption:
    """What becomes of such rows. The ends of the scale are those of an average user and item, in the units of
    the rows."""
    match config.corruption:
        case None:
            return corruption.keep_clean
        case c.MaskingConfig(probability=probability, rescale=rescale):
            return partial(corruption.mask, probability=probability, rescale=rescale)
        case c.SaltAndPepperConfig(probability=probability):
            return partial(corruption.salt_and_pepper, probability=probability, limits=rows.limits())
        case c.GaussianNoiseConfig(deviation=deviation):
            of_likes = isinstance(config, c.LikesConfig)
            return partial(corruption.add_noise, deviation=deviation, relative=of_likes)
        case _:
            assert_never(config.corruption)


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
