"""What makes two trainings the same training."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import grid
from toys import Scoring

from recsys_ae.data.ids import IdMap
from recsys_ae.models import configs as c
from recsys_ae.models.fit import _key

RATINGS = grid().with_scale((0.0, 5.0))
CHOOSER = Scoring(len, fingerprint="rmse on these ratings")
CONFIG = c.UserAutoRecConfig(hidden=(3,))
OTHERS = {
    "config": (c.UserAutoRecConfig(hidden=(4,)), RATINGS, 0, CHOOSER),
    "kind": (c.ItemAutoRecConfig(hidden=(3,)), RATINGS, 0, CHOOSER),
    "ratings": (CONFIG, RATINGS.keep(np.arange(RATINGS.n_observed) > 0), 0, CHOOSER),
    "ids": (
        CONFIG,
        type(RATINGS)(RATINGS.matrix, IdMap(RATINGS.users.ids + 1), RATINGS.items, scale=RATINGS.scale),
        0,
        CHOOSER,
    ),
    "scale": (CONFIG, RATINGS.with_scale((0.0, 10.0)), 0, CHOOSER),
    "seed": (CONFIG, RATINGS, 1, CHOOSER),
    "metric": (CONFIG, RATINGS, 0, Scoring(len, fingerprint="ndcg on these ratings")),
    "no validation": (CONFIG, RATINGS, 0, None),
}


@pytest.mark.parametrize("what", OTHERS)
def test_all_that_decides_the_result_of_a_training_is_in_its_key(what):
    assert _key(CONFIG, RATINGS, 0, CHOOSER) == _key(CONFIG, grid().with_scale((0.0, 5.0)), 0, CHOOSER)
    assert _key(*OTHERS[what]) != _key(CONFIG, RATINGS, 0, CHOOSER)
