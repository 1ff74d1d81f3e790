"""From a config to a fitted recommender: the one `match` over model configs."""

from __future__ import annotations

from typing import assert_never

import numpy as np

from recsys_ae.data.ratings import Ratings
from recsys_ae.errors import DivergenceError
from recsys_ae.models import configs as c
from recsys_ae.models.context import FitContext
from recsys_ae.recommender import Recommender


def fit(config: c.ModelConfig, train: Ratings, context: FitContext | None = None) -> Recommender:
    """Fit a model to observed ratings only. The same config, seed and ratings give the same model, bit for
    bit on one machine with as many threads; on another device or with other threads up to rounding.

    Raises DataError where `train` is empty, DivergenceError where training reaches NaN.
    """
    train.mean()  # refuses an empty training part with a sentence
    recommender = _fitted(config, train, context or FitContext())
    _check_finite(recommender)
    return recommender


def _fitted(config: c.ModelConfig, train: Ratings, context: FitContext) -> Recommender:
    match config:
        case c.ItemAutoRecConfig():
            from recsys_ae.models.autorec import fit_item_autorec

            return fit_item_autorec(config, train, context)
        case c.UserAutoRecConfig():
            from recsys_ae.models.autorec import fit_user_autorec

            return fit_user_autorec(config, train, context)
        case c.BiasedMFConfig():
            from recsys_ae.models.biased_mf import fit_biased_mf

            return fit_biased_mf(config, train, context)
        case c.MeanConfig() | c.BiasesConfig() | c.PopularityConfig():
            from recsys_ae.models.baselines import fit_baseline

            return fit_baseline(config, train)
        case c.ALSConfig() | c.BPRConfig() | c.ItemKNNConfig():
            from recsys_ae.models.factorization import fit_implicit

            return fit_implicit(config, train, context)
        case _:
            assert_never(config)


def _check_finite(recommender: Recommender) -> None:
    """The loss is known before each update, so that of the last one nobody has seen."""
    for name, array in recommender.state().arrays.items():
        with np.errstate(invalid="ignore"):
            total = array.sum(dtype=np.float64)  # unlike a mask it takes no memory
        if not np.isfinite(total):
            raise DivergenceError(
                f"training ended with {name} that are not finite: try a learning rate ten times smaller"
            )
