"""From a config to a fitted recommender: the one `match` over model configs."""

from __future__ import annotations

import hashlib
import json
from typing import assert_never

import numpy as np

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import ConfigError, DivergenceError
from recsys_ae.models import configs as c
from recsys_ae.models.codec import state_of
from recsys_ae.recommender import Recommender
from recsys_ae.training.runner import Context, Trained, TrainingOptions, Validator

_Network = (
    c.ItemAutoRecConfig
    | c.UserAutoRecConfig
    | c.MultDAEConfig
    | c.MultVAEConfig
    | c.ImplicitAutoRecConfig
    | c.RBMConfig
)


def fit(
    config: c.ModelConfig,
    train: Ratings,
    *,
    seed: int = 0,
    validator: Validator[Recommender] | None = None,
    context: Context | None = None,
) -> Trained[Recommender]:
    """Fit a model to observed ratings only. The same config, seed and ratings give the same model, bit for
    bit on one machine with as many threads; on another device or with other threads up to rounding.

    `validator`: chooses the epoch of models that train over epochs; the others ignore it.
    Raises DataError where `train` is empty, DivergenceError where training reaches NaN, ConfigError where a
    model without epochs of our own is to be resumed.
    """
    train.mean()  # refuses an empty training part with a sentence
    context = context or Context()
    check_resumable(config, context)
    key = _key(config, train, seed, validator) if context.checkpoints is not None else ""
    trained = _fitted(config, train, TrainingOptions(seed, validator, context, key))
    _check_finite(trained.model)
    return trained


def check_resumable(config: c.ModelConfig, context: Context) -> None:
    """Raises ConfigError where a training is to be resumed whose model keeps no state."""
    if context.resume and not config.trains_in_epochs:
        raise ConfigError(
            f"model {config.kind!r} is fitted in one go and keeps no state to resume from; leave out --resume"
        )


def has_state(config: c.ModelConfig, train: Ratings, *, seed: int, context: Context) -> bool:
    """Whether a training like this one, to the last epoch, was stopped and can be resumed."""
    folder = context.checkpoints
    return folder is not None and (folder / _key(config, train, seed, None)).exists()


def _fitted(config: c.ModelConfig, train: Ratings, options: TrainingOptions) -> Trained[Recommender]:
    match config:
        case c.AutoencoderConfig() | c.RBMConfig():
            return _fitted_network(config, train, options)
        case c.BiasedMFConfig():
            from recsys_ae.models.biased_mf import fit_biased_mf

            return fit_biased_mf(config, train, options)
        case c.BayesianMFConfig():
            from recsys_ae.models.bayesian_mf import fit_bayesian_mf

            return fit_bayesian_mf(config, train, options)
        case c.MeanConfig() | c.BiasesConfig() | c.PopularityConfig():
            from recsys_ae.models.biases import fit_biases

            return Trained(fit_biases(config, train))
        case c.ALSConfig() | c.BPRConfig() | c.ItemKNNConfig():
            from recsys_ae.models.factorization import fit_implicit

            return fit_implicit(config, train, options)
        case c.EASEConfig() | c.EDLAEConfig() | c.DLAEConfig():
            from recsys_ae.models.closed_form import fit_linear_autoencoder

            return Trained(fit_linear_autoencoder(config, train))
        case c.PCAConfig():
            from recsys_ae.models.pca import fit_pca

            return Trained(fit_pca(config, train, options))
        case c.PureSVDConfig():
            from recsys_ae.models.pca import fit_pure_svd

            return Trained(fit_pure_svd(config, train, options))
        case _:
            assert_never(config)


def _fitted_network(config: _Network, train: Ratings, options: TrainingOptions) -> Trained[Recommender]:
    match config:
        case c.ItemAutoRecConfig() | c.UserAutoRecConfig():
            from recsys_ae.models.autorec import fit_autorec

            return fit_autorec(config, train, options)
        case c.MultDAEConfig() | c.MultVAEConfig():
            from recsys_ae.models.multinomial import fit_multinomial

            return fit_multinomial(config, train, options)
        case c.RBMConfig():
            from recsys_ae.models.rbm import fit_rbm

            return fit_rbm(config, train, options)
        case c.ImplicitAutoRecConfig():
            from recsys_ae.models.implicit_autorec import fit_implicit_autorec

            return fit_implicit_autorec(config, train, options)
        case _:
            assert_never(config)


def _key(config: c.ModelConfig, train: Ratings, seed: int, validator: Validator[Recommender] | None) -> str:
    """A hash of all that decides the result of this very training."""
    parts = [
        config.model_dump(mode="json"),
        train.fingerprint(),
        train.limits(),
        seed,
        None if validator is None else validator.fingerprint,
    ]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=10).hexdigest()


def _check_finite(recommender: Recommender) -> None:
    """The loss is known before each update, so that of the last one nobody has seen."""
    for name, array in state_of(recommender).arrays.items():
        with np.errstate(invalid="ignore"):
            total = array.sum(dtype=np.float64)  # unlike a mask it takes no memory
        if not np.isfinite(total):
            raise DivergenceError(
                f"training ended with {name} that are not finite: try a learning rate ten times smaller"
            )
