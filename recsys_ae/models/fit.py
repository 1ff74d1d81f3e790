"""From a config to a fitted recommender: the one `match` over model configs."""

from __future__ import annotations

from typing import assert_never

from recsys_ae.data.ratings import Ratings
from recsys_ae.models import configs as c
from recsys_ae.models.context import FitContext
from recsys_ae.recommender import Recommender


def fit(config: c.ModelConfig, train: Ratings, context: FitContext | None = None) -> Recommender:
    """Fit a model to observed ratings only. The same config, seed and ratings give the same model, bit for
    bit on one machine with as many threads; on another device or with other threads up to rounding.

    Raises DataError where `train` is empty, DivergenceError where training reaches NaN.
    """
    context = context or FitContext()
    train.mean()  # refuses an empty training part with a sentence
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
