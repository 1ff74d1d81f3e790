"""Whole experiments on real datasets, as they are and in other units: the same tables."""

from __future__ import annotations

import pytest
from test_units import mapped

from recsys_ae.data.configs import DataConfig
from recsys_ae.data.datasets.places import find
from recsys_ae.data.load import load_ratings
from recsys_ae.data.ratings import Ratings
from recsys_ae.evaluation.evaluator import evaluate
from recsys_ae.experiments.fit import fit_split
from recsys_ae.metrics import find_metric
from recsys_ae.models import configs as c
from recsys_ae.settings.configs import ValidationConfig
from recsys_ae.splitting.configs import RandomSplitConfig
from recsys_ae.splitting.make import make_split

UNITS = {"x20-7": (20.0, -7.0), "x0.001": (1e-3, 0.0)}
TRAINING = c.TrainingConfig(epochs=4)
OF_RATINGS: list[c.ModelConfig] = [
    c.ItemAutoRecConfig(hidden=(50,), training=TRAINING),
    c.UserAutoRecConfig(hidden=(50,), presence="free", training=TRAINING),
    c.BiasedMFConfig(factors=5, iterations=5),
    c.BayesianMFConfig(factors=4, sweeps=6),
    c.BiasesConfig(),
    c.PCAConfig(factors=5),
]
OF_ALL: list[c.ModelConfig] = [
    c.ALSConfig(factors=8, iterations=3), c.ItemKNNConfig(), c.PopularityConfig(), c.PureSVDConfig()
]  # fmt: skip


def table(ratings: Ratings) -> dict[str, dict[str, float]]:
    """Kind of model -> its metrics on the test part, everything at its defaults but the size of the models.
    `relevant` is chosen by the rule."""
    split = make_split(RandomSplitConfig(), ratings, seed=0)
    found = {}
    for model in [*(OF_RATINGS if ratings.feedback == "ratings" else []), *OF_ALL]:
        fitted = fit_split(model, split, validation=ValidationConfig(refit=True), seed=0)
        found[model.kind] = dict(evaluate(fitted.model, split).metrics)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["ml-100k", "filmtrust", "lastfm-hetrec", "movietweetings-100k", "goodbooks-10k"]
)
def test_tables_are_the_same_in_every_unit(name):
    """Errors up to the unit, lists as they are. A count of listening has a unit but no other zero."""
    if find(name) is None:
        pytest.skip(f"needs {name} in RECSYS_AE_DATA")
    ratings = load_ratings(DataConfig(source=name, duplicates="last"))
    plain = table(ratings)
    for factor, shift in UNITS.values():
        shift = shift if ratings.feedback == "ratings" else 0.0
        for kind, metrics in table(mapped(ratings, factor, shift)).items():
            for key, value in metrics.items():
                is_error = find_metric(key).family == "rating"
                unit, tolerance = (factor, 1e-4) if is_error else (1.0, 2e-3)
                assert value / unit == pytest.approx(plain[kind][key], rel=tolerance, abs=1e-6), (kind, key)
